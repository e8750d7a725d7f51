//! Clones and templates.

use std::collections::BTreeMap;

use super::{set_drive_value, start, vm_of, volume_in};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::mock::event::MockEvent;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockStorage, MockVm, State, VolumeRecord};
use crate::mock::vm::check_unlocked;
use crate::mock::vm_config::{self, is_drive};

pub(in crate::mock) fn clone(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let new: VmId = context
        .param("newid")
        .parse()
        .map_err(|_| Refusal::parameter("newid", "invalid format - not a VM ID"))?;
    let source = state.vm(context.param("node"), id)?;
    check_unlocked(source)?;
    if state.vms.contains_key(&new) {
        return Err(Refusal::died(format!(
            "unable to create VM {new}: config file already exists"
        )));
    }
    let template = source.options.contains_key("template");
    let full = match context.optional("full") {
        Some(full) => full == "1",
        None => !template,
    };
    if !full && !template {
        return Err(Refusal::died(
            "Linked clone feature is not supported for a VM that is no template",
        ));
    }
    for option in ["storage", "format"] {
        if !full && context.optional(option).is_some() {
            return Err(Refusal::died(format!(
                "parameter '{option}' not allowed for linked clones"
            )));
        }
    }
    let node = match context.optional("target") {
        Some(target) => state.node(target)?,
        None => source.node.clone(),
    };
    let storage = match context.optional("storage") {
        Some(name) => Some(state.image_storage(&node, name)?.clone()),
        None => None,
    };
    let plan = Copy {
        source: id,
        new,
        node: node.clone(),
        storage,
        name: context.optional("name").map(str::to_owned),
        description: context.optional("description").map(str::to_owned),
        pool: context.optional("pool").map(str::to_owned),
    };
    let locked = BTreeMap::from([("lock".to_owned(), "clone".to_owned())]);
    state.vms.insert(new, MockVm::new(node, locked));
    start(
        context,
        state,
        "qmclone",
        Box::new(move |state| plan.run(state)),
    )
}

/// A copy of a VM under way.
struct Copy {
    source: VmId,
    new: VmId,
    node: NodeName,
    storage: Option<MockStorage>,
    name: Option<String>,
    description: Option<String>,
    pool: Option<String>,
}

impl Copy {
    fn run(self, state: &mut State) -> Result<Vec<String>, String> {
        let result = self.copy(state);
        if result.is_err() {
            state.vms.remove(&self.new);
        }
        result
    }

    fn copy(&self, state: &mut State) -> Result<Vec<String>, String> {
        let source = vm_of(state, self.source)?;
        let mut options = source.options.clone();
        for name in ["lock", "template", "snaptime", "parent"] {
            options.remove(name);
        }
        options.retain(|name, _| !name.starts_with("unused"));
        let mut log = Vec::new();
        let disks: Vec<String> = options
            .iter()
            .filter(|(name, value)| is_drive(name) && !value.contains("media=cdrom"))
            .map(|(name, _)| name.clone())
            .collect();
        let mut volumes = Vec::new();
        for disk in disks {
            let old = volume_in(state, vm_of(state, self.source)?, &disk);
            let Some(old) = old else { continue };
            let target = match &self.storage {
                Some(storage) => storage.clone(),
                None => state
                    .storages
                    .iter()
                    .find(|known| known.name == old.storage())
                    .cloned()
                    .ok_or_else(|| missing_storage(&old.storage()))?,
            };
            let size = state.volumes.get(&old).map_or(0, |record| record.size);
            let new = vm_config::allocate(state, &target, self.new, size, None)?;
            log.push(format!("create full clone of drive {disk} ({old})"));
            volumes.push((disk, new));
        }
        self.rename(&mut options);
        if let Some(vm) = state.vms.get_mut(&self.new) {
            vm.node = self.node.clone();
            vm.options = options;
        }
        for (disk, volume) in volumes {
            set_drive_value(state, self.new, &disk, "file", volume.as_str());
        }
        if let Some(pool) = &self.pool {
            state.pools.add_vm(pool, self.new);
        }
        state.emit(&MockEvent::VmCreated { vmid: self.new });
        Ok(log)
    }

    /// A copy has a name, an identity and addresses of its own.
    fn rename(&self, options: &mut BTreeMap<String, String>) {
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| {
            let old = options.get("name").cloned();
            format!(
                "Copy-of-VM-{}",
                old.unwrap_or_else(|| self.source.to_string())
            )
        });
        options.insert("name".to_owned(), name);
        if let Some(description) = &self.description {
            options.insert("description".to_owned(), description.clone());
        }
        let uuid = vm_config::uuid_of(self.new, "smbios");
        options.insert("smbios1".to_owned(), format!("uuid={uuid}"));
        options.insert(
            "vmgenid".to_owned(),
            vm_config::uuid_of(self.new, "generation"),
        );
        for (name, value) in options
            .iter_mut()
            .filter(|(name, _)| name.starts_with("net"))
        {
            let Some((model, rest)) = value.split_once('=') else {
                continue;
            };
            let after = rest.split_once(',').map_or("", |(_, after)| after);
            let mac = vm_config::mac_of(self.new, name);
            *value = match after {
                "" => format!("{model}={mac}"),
                after => format!("{model}={mac},{after}"),
            };
        }
    }
}

fn missing_storage(storage: &StorageName) -> String {
    format!("storage '{storage}' does not exist")
}

pub(in crate::mock) fn template(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    if vm.running {
        return Err(Refusal::died(format!(
            "you can't convert a VM to template if VM is running ({id})"
        )));
    }
    if vm.options.contains_key("template") && context.optional("disk").is_none() {
        return Err(Refusal::died("you can't convert a template to a template"));
    }
    let effect = move |state: &mut State| {
        if let Some(vm) = state.vms.get_mut(&id) {
            vm.options.insert("template".to_owned(), "1".to_owned());
        }
        let disks: Vec<(String, VolumeId)> = {
            let vm = vm_of(state, id)?;
            let names = vm.options.keys().filter(|name| is_drive(name));
            names
                .filter_map(|name| Some((name.clone(), volume_in(state, vm, name)?)))
                .filter(|(_, volume)| volume.as_str().contains("vm-"))
                .collect()
        };
        for (disk, old) in disks {
            let base = VolumeId::new(old.as_str().replace("vm-", "base-"));
            if let (Ok(base), Some(record)) = (base, state.volumes.remove(&old)) {
                let record = VolumeRecord {
                    id: base.clone(),
                    ..record
                };
                state.volumes.insert(base.clone(), record);
                set_drive_value(state, id, &disk, "file", base.as_str());
            }
        }
        Ok(Vec::new())
    };
    start(context, state, "qmtemplate", Box::new(effect))
}
