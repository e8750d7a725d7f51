//! Reading, listing and deleting VMs.

mod change;
mod create;
mod rights;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use super::task::{self, TaskSubject};
use super::vm_config::{self, is_drive};
use crate::id::{VmId, VolumeId};

pub(super) use change::{set, unlink, update};
pub(super) use create::{check_free, create};
pub(super) use rights::{check_allocation, check_option_privileges, only_root_passes_paths};

type Options = BTreeMap<String, String>;

pub(super) fn config(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    if let Some(name) = context.optional("snapshot") {
        let snapshot = vm.snapshots.get(name);
        let missing = || Refusal::died(format!("snapshot '{name}' does not exist"));
        return Ok(vm_config::shown(
            state.contract,
            &snapshot.ok_or_else(missing)?.options,
        ));
    }
    let options = match context.optional("current") {
        Some("1") => vm.options.clone(),
        _ => vm.planned(),
    };
    Ok(vm_config::shown(state.contract, &options))
}

pub(super) fn pending(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let shown = |name: &str, value: &str| vm_config::shown_value(state.contract, name, value);
    let mut names: Vec<&String> = vm.options.keys().chain(vm.pending.keys()).collect();
    names.sort();
    names.dedup();
    let items = names.into_iter().map(|name| {
        let mut item = json!({ "key": name });
        if let Some(value) = vm.options.get(name) {
            item["value"] = shown(name, value);
        }
        match vm.pending.get(name) {
            Some(Some(value)) => item["pending"] = shown(name, value),
            Some(None) => item["delete"] = 1.into(),
            None => {}
        }
        item
    });
    let digest = json!({ "key": "digest", "value": vm_config::digest(&vm.options) });
    Ok(items.chain([digest]).collect())
}

const CLOUD_INIT: &[&str] = &[
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

fn is_cloud_init(name: &str) -> bool {
    CLOUD_INIT.contains(&name) || name.starts_with("ipconfig")
}

/// The cloud-init options, for a VM with a cloud-init drive.
pub(super) fn cloud_init(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    if !vm
        .options
        .values()
        .any(|value| cloud_init_of(id, value).is_some())
    {
        return Ok(json!([]));
    }
    let options = vm.options.iter().filter(|(name, _)| is_cloud_init(name));
    let items = options.map(|(name, value)| {
        json!({ "key": name, "value": vm_config::shown_value(state.contract, name, value) })
    });
    Ok(items.collect())
}

/// Writes the drive again; a running VM sees the new medium at once.
pub(super) fn regenerate_cloud_init(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    let options = vm.options.clone();
    super::cloud_init::write(state, id, &options).map_err(Refusal::died)?;
    Ok(Value::Null)
}

/// The files that PVE generates, whatever `cicustom` says (qemu-server 9.2.6, `dump_cloudinit_config`); the mock's are short.
pub(super) fn cloud_init_dump(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let name = vm.options.get("name").map_or("localhost", String::as_str);
    Ok(match context.param("type") {
        "user" => format!("#cloud-config\nhostname: {name}\n"),
        "network" => "version: 1\nconfig: []\n".to_owned(),
        _ => format!("instance-id: {name}\n"),
    }
    .into())
}

/// The text with which a call or a task fails while another task works on the VM.
pub(super) fn check_lock(vm: &MockVm) -> Result<(), String> {
    match vm.options.get("lock") {
        Some(lock) => Err(format!("VM is locked ({lock})")),
        None => Ok(()),
    }
}

pub(super) fn check_unlocked(vm: &MockVm) -> Result<(), Refusal> {
    check_lock(vm).map_err(Refusal::died)
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    let node = vm.node.clone();
    if vm.running {
        return Err(Refusal::died(format!(
            "VM {id} is running - destroy failed"
        )));
    }
    if vm
        .options
        .get("protection")
        .is_some_and(|value| value == "1")
    {
        return Err(Refusal::died(format!(
            "can't remove VM {id} - protection mode enabled"
        )));
    }
    let all = context.optional("destroy-unreferenced-disks") == Some("1");
    let subject = TaskSubject::of(context, "qmdestroy", id, &node);
    let effect = move |state: &mut State| {
        let vm = state.vms.get(&id).ok_or("the VM was removed meanwhile")?;
        check_lock(vm)?;
        let own: Vec<VolumeId> = vm
            .options
            .iter()
            .filter_map(|(name, value)| disk_of(name, value).or_else(|| cloud_init_of(id, value)))
            .collect();
        state.vms.remove(&id);
        state.pools.remove_vm(id);
        state.volumes.retain(|volume, record| {
            let referenced = own.contains(volume) && record.vmid == Some(id);
            !(referenced || all && record.vmid == Some(id))
        });
        state.emit(&MockEvent::VmDeleted { vmid: id });
        Ok(Vec::new())
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

/// The cloud-init volume in a drive option.
pub(super) fn cloud_init_of(id: VmId, value: &str) -> Option<VolumeId> {
    let volume = VolumeId::new(value.split(',').next()?).ok()?;
    let stem = volume
        .file_name()
        .split('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    (stem == format!("vm-{id}-cloudinit")).then_some(volume)
}

pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let visible = state.vms.iter().filter(|(id, vm)| {
        vm.node == node && context.caller.may(&format!("/vms/{id}"), &["VM.Audit"])
    });
    let full = context.optional("full") == Some("1");
    let items = visible.map(|(id, vm)| {
        let mut item = summary(*id, vm);
        if full {
            super::power::add_details(vm, &mut item);
        }
        item
    });
    Ok(items.collect())
}

/// The entry of a VM in a list; a field without a value is absent.
pub(super) fn summary(id: VmId, vm: &MockVm) -> Value {
    let option = |name: &str| vm.options.get(name);
    let number = |name: &str, default: u64| {
        let text = option(name).map(|text| text.trim_start_matches("current="));
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let state = if vm.running { "running" } else { "stopped" };
    let mut item = json!({
        "vmid": id, "status": state, "cpus": number("cores", 1) * number("sockets", 1),
        "maxmem": number("memory", 512) << 20, "mem": 0, "disk": 0, "cpu": 0, "netin": 0, "netout": 0,
        "diskread": 0, "diskwrite": 0, "uptime": u8::from(vm.running), "maxdisk": 0,
    });
    item["name"] = match option("name") {
        Some(name) => name.as_str().into(),
        None => format!("VM {id}").into(),
    };
    if let Some(tags) = option("tags") {
        item["tags"] = tags.as_str().into();
    }
    if let Some(lock) = option("lock") {
        item["lock"] = lock.as_str().into();
    }
    if option("template").is_some() {
        item["template"] = 1.into();
    }
    if vm.running {
        item["pid"] = 17_212.into();
    }
    item
}

/// The volume of a disk option, CD drives apart.
fn disk_of(name: &str, value: &str) -> Option<VolumeId> {
    let disk = (is_drive(name) || name.starts_with("unused")) && !value.contains("media=cdrom");
    let file = value.split(',').next().filter(|_| disk)?;
    VolumeId::new(file.trim_start_matches("file=")).ok()
}
