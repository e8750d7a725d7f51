//! Changing VMs.

use serde_json::Value;

use super::rights::{check_options, check_update_privileges};
use super::{Options, check_unlocked, disk_of};
use crate::id::{NodeName, VmId, VolumeId};
use crate::mock::event::MockEvent;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockVm, State};
use crate::mock::task::{self, TaskSubject};
use crate::mock::vm_config::{self, resolve_cdrom_alias};

/// Parameters of the calls that are not options of the VM.
const NOT_STORED: &[&str] = &[
    "node",
    "vmid",
    "archive",
    "storage",
    "force",
    "unique",
    "live-restore",
    "pool",
    "bwlimit",
    "start",
    "ha-managed",
    "import-working-storage",
    "delete",
    "revert",
    "digest",
    "skiplock",
    "background_delay",
    "_dc",
];

pub(super) fn given_options(context: &Context<'_>) -> Options {
    context
        .params
        .iter()
        .filter(|(name, _)| !NOT_STORED.contains(&name.as_str()))
        .cloned()
        .collect()
}

/// Starts a task that changes the VM.
pub(in crate::mock) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let change = Change::read(context, state)?;
    let id = change.id;
    let node = change.node.clone();
    let subject = TaskSubject::of(context, "qmconfig", id, &node);
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(move |state| {
            let vm = state.vms.get(&id).ok_or("the VM was removed meanwhile")?;
            if let Some(problem) = change.wrong_boot_device(vm) {
                return Err(problem);
            }
            change.apply(state)
        }),
    )
}

/// Changes the VM before it responds.
pub(in crate::mock) fn set(context: &Context<'_>, state: &mut State) -> Reply {
    let change = Change::read(context, state)?;
    let vm = state.vm(context.param("node"), change.id)?;
    if let Some(problem) = change.wrong_boot_device(vm) {
        return Err(Refusal::parameter("boot", problem));
    }
    change.apply(state).map_err(Refusal::died)?;
    Ok(Value::Null)
}

/// A checked change of a VM.
struct Change {
    id: VmId,
    node: NodeName,
    set: Options,
    delete: Vec<String>,
    revert: Vec<String>,
    /// Whether volumes of removed disks are deleted.
    force: bool,
}

impl Change {
    fn read(context: &Context<'_>, state: &State) -> Result<Self, Refusal> {
        let id = context.vm_id()?;
        state.require_quorum()?;
        let list = |name: &str| -> Vec<String> {
            let text = context.optional(name).unwrap_or_default();
            crate::wire::split_list(text).map(str::to_owned).collect()
        };
        let mut change = Self {
            id,
            node: state.node(context.param("node"))?,
            set: given_options(context),
            delete: list("delete"),
            revert: list("revert"),
            force: context.optional("force") == Some("1"),
        };
        resolve_cdrom_alias(&mut change.set);
        if context.optional("skiplock").is_some() && !context.caller.is_root_with_password() {
            return Err(Refusal::parameter(
                "skiplock",
                "Only root may use this option.",
            ));
        }
        change.check_lists(state)?;
        if change.set.is_empty() && change.delete.is_empty() && change.revert.is_empty() {
            return Err(Refusal::died("no options specified"));
        }
        check_update_privileges(context.caller, state, id, &change.set)?;
        check_options(state, &change.node, &change.set)?;
        let vm = state.vm(context.param("node"), id)?;
        if let Some(digest) = context.optional("digest")
            && digest != vm_config::digest(&vm.options)
        {
            return Err(Refusal::died(vm_config::MODIFIED));
        }
        check_unlocked(vm)?;
        Ok(change)
    }

    fn check_lists(&self, state: &State) -> Result<(), Refusal> {
        for (list, names) in [("delete", &self.delete), ("revert", &self.revert)] {
            for name in names {
                if self.set.contains_key(name) {
                    // The quotes are the server's.
                    let problem =
                        format!("you can't use '-{name}' and -{list} {name}' at the same time");
                    return Err(Refusal::parameter(list, problem));
                }
                if state.contract.vm_option(name).is_none() && name != "cdrom" {
                    let problem = format!("unknown option '{name}'");
                    return Err(Refusal::parameter(list, problem));
                }
            }
        }
        Ok(())
    }

    fn wrong_boot_device(&self, vm: &MockVm) -> Option<String> {
        let order = self.set.get("boot")?.strip_prefix("order=")?;
        let planned = vm.planned();
        let missing = crate::wire::split_list(order).find(|device| {
            let stays =
                planned.contains_key(*device) && !self.delete.iter().any(|name| name == device);
            !stays && !self.set.contains_key(*device)
        })?;
        // The quote at the end is the server's.
        Some(format!(
            "invalid bootorder: device '{missing}' does not exist'"
        ))
    }

    fn apply(&self, state: &mut State) -> Result<Vec<String>, String> {
        let stored = vm_config::store(state, &self.node, self.id, &self.set)?;
        let Some(vm) = state.vms.get_mut(&self.id) else {
            return Err("the VM was removed meanwhile".to_owned());
        };
        for name in &self.revert {
            vm.pending.remove(name);
        }
        let mut freed = Vec::new();
        for name in &self.delete {
            vm.pending.remove(name);
            if vm.running && !is_hot_pluggable(name) {
                if vm.options.contains_key(name) {
                    vm.pending.insert(name.clone(), None);
                }
                continue;
            }
            let removed = vm.options.remove(name);
            freed.extend(removed.and_then(|value| Some((name.clone(), disk_of(name, &value)?))));
        }
        for (name, value) in stored.options {
            if vm.running && !is_hot_pluggable(&name) {
                vm.pending.insert(name, Some(value));
                continue;
            }
            vm.pending.remove(&name);
            let kept = disk_of(&name, &value);
            let replaced = vm.options.insert(name.clone(), value);
            let old = replaced.and_then(|value| disk_of(&name, &value));
            freed.extend(
                old.filter(|old| Some(old) != kept.as_ref())
                    .map(|old| (name, old)),
            );
        }
        for (name, volume) in freed {
            free_disk(state, self.id, &name, &volume, self.force);
        }
        state.emit(&MockEvent::VmChanged { vmid: self.id });
        Ok(stored.log)
    }
}

/// A removed disk becomes an unused volume of the VM; one that was unused, or is removed by force, is deleted.
fn free_disk(state: &mut State, id: VmId, name: &str, volume: &VolumeId, force: bool) {
    if force || name.starts_with("unused") {
        state.volumes.remove(volume);
        return;
    }
    if let Some(vm) = state.vms.get_mut(&id) {
        let free = (0..256).map(|number| format!("unused{number}"));
        let slot = free.into_iter().find(|slot| !vm.options.contains_key(slot));
        if let Some(slot) = slot {
            vm.options.insert(slot, volume.to_string());
        }
    }
}

/// Whether a running VM takes an option over at once; the others become pending. The options of cloud-init do since 2022
/// (qemu-server 9.2.6, `$fast_plug_option`); the drive has them when it is written again.
fn is_hot_pluggable(name: &str) -> bool {
    let slot = name.parse::<crate::vm::Slot>().is_ok();
    let class = name.trim_end_matches(|c: char| c.is_ascii_digit());
    slot || matches!(
        name,
        "name"
            | "description"
            | "tags"
            | "onboot"
            | "protection"
            | "startup"
            | "hotplug"
            | "lock"
            | "balloon"
            | "shares"
            | "cpuunits"
            | "cpulimit"
            | "hookscript"
            | "affinity"
            | "cicustom"
            | "cipassword"
            | "citype"
            | "ciupgrade"
            | "ciuser"
            | "nameserver"
            | "searchdomain"
            | "sshkeys"
    ) || matches!(class, "net" | "usb" | "unused" | "ipconfig")
}

pub(in crate::mock) fn unlink(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    check_unlocked(state.vm(context.param("node"), id)?)?;
    let change = Change {
        id,
        node: state.node(context.param("node"))?,
        set: Options::new(),
        delete: crate::wire::split_list(context.param("idlist"))
            .map(str::to_owned)
            .collect(),
        revert: Vec::new(),
        force: context.optional("force") == Some("1"),
    };
    change.apply(state).map_err(Refusal::died)?;
    Ok(Value::Null)
}
