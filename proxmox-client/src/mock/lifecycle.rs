//! Resizing and moving disks, clones, templates, snapshots, migration.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, MockVm, Snapshot, State, VolumeRecord};
use super::task::{self, Effect, TaskSubject};
use super::vm::{check_lock, check_unlocked};
use super::vm_config::{self, drive_values, is_drive, shown_size};
use crate::id::{NodeName, StorageName, VmId, VolumeId};

/// Starts a task for the VM of the call.
fn start(context: &Context<'_>, state: &mut State, worker: &str, effect: Effect) -> Reply {
    let id = context.vm_id()?;
    let node = state.vm(context.param("node"), id)?.node.clone();
    let subject = TaskSubject {
        worker,
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    task::start(context.shared, state, &subject, effect)
}

fn vm_of(state: &State, id: VmId) -> Result<&MockVm, String> {
    state
        .vms
        .get(&id)
        .ok_or_else(|| "the VM was removed meanwhile".to_owned())
}

/// The disk volume in a slot.
fn volume_in(state: &State, vm: &MockVm, disk: &str) -> Option<VolumeId> {
    let values = drive_values(state.contract, disk, vm.options.get(disk)?);
    VolumeId::new(values.get("file")?.as_str()).ok()
}

/// Writes one value of a drive option.
fn set_drive_value(state: &mut State, id: VmId, disk: &str, key: &str, value: &str) {
    let contract = state.contract;
    let Some(vm) = state.vms.get_mut(&id) else {
        return;
    };
    let Some(text) = vm.options.get(disk) else {
        return;
    };
    let mut values = drive_values(contract, disk, text);
    values.insert(key.to_owned(), value.to_owned());
    let properties = contract
        .vm_option(disk)
        .and_then(|schema| contract.formats().properties(schema));
    if let Some(properties) = properties {
        let printed = super::check::print(properties, &values);
        vm.options.insert(disk.to_owned(), printed);
    }
}

/// Everything about the disk is found out by the task.
pub(super) fn resize(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let (disk, size) = (
        context.param("disk").to_owned(),
        context.param("size").to_owned(),
    );
    let effect = move |state: &mut State| {
        let vm = vm_of(state, id)?;
        check_lock(vm)?;
        let text = vm.options.get(&disk);
        let text = text.ok_or_else(|| format!("disk '{disk}' does not exist"))?;
        if text.contains("media=cdrom") {
            return Err("you can't resize a cdrom".to_owned());
        }
        let volume = volume_in(state, vm, &disk);
        let volume = volume.ok_or_else(|| format!("disk '{disk}' does not exist"))?;
        let now = state.volumes.get(&volume).map_or(0, |record| record.size);
        let wanted = match size.strip_prefix('+') {
            Some(more) => now + bytes(more),
            None => bytes(&size),
        };
        if wanted < now {
            return Err("shrinking disks is not supported".to_owned());
        }
        if let Some(record) = state.volumes.get_mut(&volume) {
            record.size = wanted;
        }
        set_drive_value(state, id, &disk, "size", &shown_size(wanted));
        state.emit(&MockEvent::VmChanged { vmid: id });
        Ok(vec!["Image resized.".to_owned()])
    };
    start(context, state, "resize", Box::new(effect))
}

fn bytes(text: &str) -> u64 {
    text.parse::<crate::vm::Size>()
        .map_or(0, crate::vm::Size::bytes)
}

pub(super) fn move_disk(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let disk = context.param("disk").to_owned();
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    check_digest(context, vm)?;
    let missing = || Refusal::died(format!("disk '{disk}' does not exist"));
    let old = volume_in(state, vm, &disk).ok_or_else(missing)?;
    let node = vm.node.clone();
    let target = state
        .usable_storage(&node, context.param("storage"))?
        .clone();
    context.caller.require(
        &format!("/storage/{}", target.name),
        &["Datastore.AllocateSpace"],
    )?;
    let format = context.optional("format").map(str::to_owned);
    let delete = context.optional("delete") == Some("1");
    let effect = move |state: &mut State| {
        check_lock(vm_of(state, id)?)?;
        let size = state.volumes.get(&old).map_or(0, |record| record.size);
        let new = vm_config::allocate(state, &target, id, size, format.as_deref())?;
        set_drive_value(state, id, &disk, "file", new.as_str());
        if delete {
            state.volumes.remove(&old);
        } else if let Some(vm) = state.vms.get_mut(&id) {
            let free = (0..256).map(|number| format!("unused{number}"));
            if let Some(slot) = free.into_iter().find(|slot| !vm.options.contains_key(slot)) {
                vm.options.insert(slot, old.to_string());
            }
        }
        state.emit(&MockEvent::VmChanged { vmid: id });
        Ok(vec![format!("create full clone of drive {disk} ({old})")])
    };
    start(context, state, "qmmove", Box::new(effect))
}

fn check_digest(context: &Context<'_>, vm: &MockVm) -> Result<(), Refusal> {
    match context.optional("digest") {
        Some(digest) if digest != vm_config::digest(&vm.options) => Err(Refusal::died(
            "detected modified configuration - file changed by other user? Try again.",
        )),
        _ => Ok(()),
    }
}

pub(super) fn clone(context: &Context<'_>, state: &mut State) -> Reply {
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
        Some(name) => Some(state.usable_storage(&node, name)?.clone()),
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

pub(super) fn template(context: &Context<'_>, state: &mut State) -> Reply {
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

/// Whether all disks are on storages that can do this; directories of raw files cannot.
fn supports_snapshots(state: &State, vm: &MockVm) -> bool {
    let disks = vm
        .options
        .iter()
        .filter(|(name, value)| is_drive(name) && !value.contains("media=cdrom"));
    disks.into_iter().all(|(name, _)| {
        let Some(volume) = volume_in(state, vm, name) else {
            return true;
        };
        let storage = state
            .storages
            .iter()
            .find(|known| known.name == volume.storage());
        storage.is_none_or(|storage| !storage.holds_files() || volume.name().ends_with(".qcow2"))
    })
}

pub(super) fn feature(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let has = match context.param("feature") {
        "snapshot" => supports_snapshots(state, vm),
        "clone" => vm.options.contains_key("template"),
        _ => true,
    };
    Ok(json!({ "hasFeature": u8::from(has), "nodes": [vm.node] }))
}

pub(super) fn snapshots(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let made = vm.snapshots.iter().map(|(name, snapshot)| {
        let mut item = json!({
            "name": name, "snaptime": snapshot.time, "vmstate": u8::from(snapshot.with_memory),
            "description": snapshot.description.as_deref().unwrap_or_default(),
        });
        if let Some(parent) = &snapshot.parent {
            item["parent"] = parent.as_str().into();
        }
        item
    });
    let mut current = json!({
        "name": "current", "description": "You are here!", "running": u8::from(vm.running),
        "digest": vm_config::digest(&vm.options),
    });
    if let Some(parent) = &vm.parent {
        current["parent"] = parent.as_str().into();
    }
    Ok(made.chain([current]).collect())
}

pub(super) fn create_snapshot(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let name = context.param("snapname").to_owned();
    if matches!(name.as_str(), "current" | "pending") {
        return Err(Refusal::died(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    let description = context.optional("description").map(str::to_owned);
    let with_memory = context.optional("vmstate") == Some("1");
    let effect = move |state: &mut State| {
        let vm = vm_of(state, id)?;
        check_lock(vm)?;
        if vm.snapshots.contains_key(&name) {
            return Err(format!("snapshot name '{name}' already used"));
        }
        if !supports_snapshots(state, vm) {
            return Err("snapshot feature is not available".to_owned());
        }
        let number = state.started_tasks;
        if let Some(vm) = state.vms.get_mut(&id) {
            let snapshot = Snapshot {
                options: vm.options.clone(),
                description,
                parent: vm.parent.replace(name.clone()),
                with_memory: with_memory && vm.running,
                time: 1_795_650_000 + u64::from(number),
            };
            vm.snapshots.insert(name, snapshot);
        }
        Ok(Vec::new())
    };
    start(context, state, "qmsnapshot", Box::new(effect))
}

pub(super) fn snapshot_config(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let name = context.param("snapname");
    let snapshot = vm.snapshots.get(name);
    let snapshot =
        snapshot.ok_or_else(|| Refusal::died(format!("snapshot '{name}' does not exist")))?;
    Ok(vm_config::shown(state.contract, &snapshot.options))
}

pub(super) fn delete_snapshot(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let name = context.param("snapname").to_owned();
    let effect = move |state: &mut State| {
        let vm = state
            .vms
            .get_mut(&id)
            .ok_or("the VM was removed meanwhile")?;
        check_lock(vm)?;
        let removed = vm.snapshots.remove(&name);
        let removed = removed.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        for snapshot in vm.snapshots.values_mut() {
            if snapshot.parent.as_ref() == Some(&name) {
                snapshot.parent.clone_from(&removed.parent);
            }
        }
        if vm.parent.as_ref() == Some(&name) {
            vm.parent = removed.parent;
        }
        Ok(Vec::new())
    };
    start(context, state, "qmdelsnapshot", Box::new(effect))
}

pub(super) fn roll_back(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let name = context.param("snapname").to_owned();
    let then_start = context.optional("start") == Some("1");
    let effect = move |state: &mut State| {
        check_lock(vm_of(state, id)?)?;
        let snapshot = vm_of(state, id)?.snapshots.get(&name).cloned();
        let snapshot = snapshot.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        super::power::stop(state, id)?;
        if let Some(vm) = state.vms.get_mut(&id) {
            vm.options = snapshot.options;
            vm.pending.clear();
            vm.parent = Some(name);
        }
        state.emit(&MockEvent::VmChanged { vmid: id });
        match then_start || snapshot.with_memory {
            true => super::power::start(state, id),
            false => Ok(Vec::new()),
        }
    };
    start(context, state, "qmrollback", Box::new(effect))
}

/// Volumes of the VM on storages that only its node has.
fn local_volumes(state: &State, vm: &MockVm, cdroms: bool) -> Vec<VolumeId> {
    let drives = vm
        .options
        .iter()
        .filter(|(name, value)| is_drive(name) && value.contains("media=cdrom") == cdroms);
    drives
        .filter_map(|(name, _)| volume_in(state, vm, name))
        .filter(|volume| {
            let storage = state
                .storages
                .iter()
                .find(|known| known.name == volume.storage());
            storage.is_none_or(|storage| !storage.shared)
        })
        .collect()
}

pub(super) fn check_migration(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let local = local_volumes(state, vm, false)
        .into_iter()
        .chain(local_volumes(state, vm, true));
    let local: Vec<Value> = local
        .map(|volume| {
            let cdrom = volume.name().starts_with("iso/");
            json!({ "volid": volume, "cdrom": u8::from(cdrom), "size": state.volumes.get(&volume).map(|v| v.size) })
        })
        .collect();
    let others = state
        .nodes
        .iter()
        .filter(|node| node.name != vm.node && node.online);
    let mut answer = json!({
        "running": u8::from(vm.running), "local_disks": local, "local_resources": [],
        "mapped-resources": [], "mapped-resource-info": {},
    });
    if !vm.running {
        answer["allowed_nodes"] = others.map(|node| node.name.as_str()).collect();
        answer["not_allowed_nodes"] = json!({});
    }
    Ok(answer)
}

pub(super) fn migrate(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let target = context.param("target").to_owned();
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    if vm.node.as_str() == target {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    let node = state
        .nodes
        .iter()
        .find(|node| node.name.as_str() == target)
        .cloned();
    let node = node.ok_or_else(|| Refusal::died(format!("no such cluster node '{target}'")))?;
    if !node.online {
        return Err(Refusal::died(format!("node '{target}' is not online")));
    }
    if vm.running && context.optional("online") != Some("1") {
        return Err(Refusal::died("can't migrate running VM without --online"));
    }
    let with_disks = context.optional("with-local-disks") == Some("1");
    let effect = move |state: &mut State| {
        let vm = vm_of(state, id)?;
        if let Some(image) = local_volumes(state, vm, true).first() {
            return Err(format!(
                "can't migrate VM - check log: can't migrate local cdrom drive '{image}'"
            ));
        }
        if !with_disks && !local_volumes(state, vm, false).is_empty() && vm.running {
            return Err("Problem found while scanning volumes - can't live migrate attached local disks without with-local-disks option".to_owned());
        }
        if let Some(vm) = state.vms.get_mut(&id) {
            vm.node = node.name;
        }
        Ok(vec!["migration finished successfully".to_owned()])
    };
    start(context, state, "qmigrate", Box::new(effect))
}
