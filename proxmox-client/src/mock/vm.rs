//! Creating, changing and deleting VMs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::auth::Caller;
use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use super::task::{self, Cleanup, Effect, TaskSubject};
use super::vm_config::{self, allocation, drive_values, is_drive, resolve_cdrom_alias};
use crate::id::{VmId, VolumeId};

type Options = BTreeMap<String, String>;

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
];

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    let mut options = given_options(context);
    resolve_cdrom_alias(&mut options);
    check_create_privileges(context, state, id, &options)?;
    check_options(state, &options)?;
    if let Some(vm) = state.vms.get(&id) {
        let owner = &vm.node;
        return Err(Refusal::died(format!(
            "unable to create VM {id} - VM {id} already exists on node '{owner}'"
        )));
    }
    let reserved = MockVm {
        node: node.clone(),
        options: Options::from([("lock".to_owned(), "create".to_owned())]),
        running: false,
        interfaces: None,
    };
    state.vms.insert(id, reserved);
    let subject = TaskSubject {
        worker: "qmcreate",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    let work: Effect = Box::new(move |state| finish_create(state, id, &options));
    let clean_up: Cleanup = Box::new(move |state| {
        state.vms.remove(&id);
    });
    task::start_with_cleanup(context.shared, state, &subject, (work, clean_up))
}

fn finish_create(state: &mut State, id: VmId, options: &Options) -> Result<Vec<String>, String> {
    let stored = vm_config::store(state, id, options).map_err(|error| {
        state.vms.remove(&id);
        format!("unable to create VM {id} - {error}")
    })?;
    let log = stored
        .iter()
        .filter(|(name, value)| is_drive(name) && !value.contains("media=cdrom"))
        .map(|(name, value)| format!("{name}: successfully created disk '{value}'"))
        .collect();
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.options = stored;
        let generated = [
            (
                "smbios1",
                format!("uuid={}", vm_config::uuid_of(id, "smbios")),
            ),
            ("vmgenid", vm_config::uuid_of(id, "generation")),
            ("meta", "creation-qemu=10.1.2,ctime=1760000000".to_owned()),
        ];
        for (name, value) in generated {
            vm.options.entry(name.to_owned()).or_insert(value);
        }
    }
    state.emit(&MockEvent::VmCreated { vmid: id });
    Ok(log)
}

fn given_options(context: &Context<'_>) -> Options {
    context
        .params
        .iter()
        .filter(|(name, _)| !NOT_STORED.contains(&name.as_str()))
        .cloned()
        .collect()
}

fn check_create_privileges(
    context: &Context<'_>,
    state: &State,
    id: VmId,
    options: &Options,
) -> Result<(), Refusal> {
    let caller = context.caller;
    let vm_path = format!("/vms/{id}");
    let pool = context.optional("pool").map(|pool| format!("/pool/{pool}"));
    let path = match &pool {
        Some(pool) if caller.may(pool, &["VM.Allocate"]) => pool,
        _ => &vm_path,
    };
    caller.require(path, &["VM.Allocate"])?;
    check_option_privileges(caller, state, path, options)?;
    options
        .iter()
        .filter(|(name, _)| is_drive(name))
        .try_for_each(|(name, value)| check_drive_privileges(caller, state, name, value))
}

/// Drives apart, each option needs its privilege whether it is set at creation or later.
fn check_option_privileges(
    caller: &Caller,
    state: &State,
    path: &str,
    options: &Options,
) -> Result<(), Refusal> {
    for (name, value) in options {
        match option_privilege(name) {
            Some("Sys.Modify") => caller.require("/", &["Sys.Modify"])?,
            Some(privilege) => caller.require(path, &[privilege])?,
            None if is_drive(name) || caller.is_root_with_password() => {}
            None => return Err(Refusal::died(format!("only root can set '{name}' config"))),
        }
        if name.starts_with("net") {
            check_network_privilege(caller, state, name, value)?;
        }
    }
    Ok(())
}

fn check_drive_privileges(
    caller: &Caller,
    state: &State,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let values = drive_values(state.contract, name, value);
    let file = values.get("file").map(String::as_str).unwrap_or_default();
    let Ok(volume) = VolumeId::new(file) else {
        return Ok(());
    };
    let storage = volume.storage();
    state.storage(storage.as_str())?;
    let path = format!("/storage/{storage}");
    if allocation(file).is_some() {
        return caller.require(&path, &["Datastore.AllocateSpace"]);
    }
    caller.require(&path, &["Datastore.AllocateSpace", "Datastore.Audit"])
}

fn check_network_privilege(
    caller: &Caller,
    state: &State,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let values = drive_values(state.contract, name, value);
    let Some(bridge) = values.get("bridge") else {
        return Ok(());
    };
    let mut path = format!("/sdn/zones/localnetwork/{bridge}");
    if let Some(tag) = values.get("tag") {
        path = format!("{path}/{tag}");
    }
    caller.require(&path, &["SDN.Use"])
}

/// The privilege on the VM that an option needs; none for drives and for what only root may set.
fn option_privilege(name: &str) -> Option<&'static str> {
    let class = name.trim_end_matches(|c: char| c.is_ascii_digit());
    Some(match (name, class) {
        ("cores" | "cpu" | "cpulimit" | "cpuunits" | "numa" | "sockets" | "smp" | "vcpus", _)
        | (_, "numa") => "VM.Config.CPU",
        ("memory" | "balloon" | "shares" | "allow-ksm", _) => "VM.Config.Memory",
        (
            "acpi" | "hotplug" | "kvm" | "machine" | "scsihw" | "smbios1" | "tablet" | "vga"
            | "watchdog",
            _,
        )
        | (_, "audio" | "rng" | "serial") => "VM.Config.HWType",
        (
            "agent" | "autostart" | "bios" | "description" | "keyboard" | "localtime" | "name"
            | "onboot" | "ostype" | "protection" | "reboot" | "startdate" | "tdf" | "template"
            | "tags" | "migrate_downtime" | "migrate_speed",
            _,
        ) => "VM.Config.Options",
        ("startup", _) => "Sys.Modify",
        ("boot" | "bootdisk" | "vmstatestorage", _) => "VM.Config.Disk",
        (_, "net" | "ipconfig") => "VM.Config.Network",
        (
            "cicustom" | "cipassword" | "citype" | "ciupgrade" | "ciuser" | "nameserver"
            | "searchdomain" | "sshkeys",
            _,
        ) => "VM.Config.Cloudinit",
        _ => return None,
    })
}

/// What the server refuses before it starts the task.
fn check_options(state: &State, options: &Options) -> Result<(), Refusal> {
    for (name, value) in options.iter().filter(|(name, _)| is_drive(name)) {
        let values = drive_values(state.contract, name, value);
        let file = values.get("file").map(String::as_str).unwrap_or_default();
        let cdrom = values.get("media").is_some_and(|media| media == "cdrom");
        if cdrom && name.starts_with("virtio") {
            return Err(Refusal::parameter(name, "unable to parse drive options"));
        }
        if !cdrom && file.contains(":iso/") {
            let problem = "explicit 'media=cdrom' is required for iso images";
            return Err(Refusal::parameter(name, problem));
        }
        if let Some((storage, _)) = allocation(file)
            && !state.storage(storage.as_str())?.supports("images")
        {
            let problem = format!("storage '{storage}' does not support vm images");
            return Err(Refusal::parameter("storage", problem));
        }
    }
    let number = |name: &str| options.get(name).and_then(|text| text.parse::<u64>().ok());
    if let (Some(balloon), Some(memory)) = (number("balloon"), number("memory"))
        && balloon > memory
    {
        let problem = "balloon value too large (must be smaller than assigned memory)";
        return Err(Refusal::parameter("balloon", problem));
    }
    Ok(())
}

pub(super) fn config(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    Ok(vm_config::shown(state.contract, vm))
}

/// Changes take effect with the task, also on a running VM: nothing becomes pending here.
pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    let node = vm.node.clone();
    if let Some(wanted) = context.optional("digest")
        && wanted != vm_config::digest(&vm.options)
    {
        return Err(Refusal::died(
            "detected modified configuration - file changed by other user? Try again.",
        ));
    }
    check_unlocked(vm)?;
    let mut set = given_options(context);
    resolve_cdrom_alias(&mut set);
    let deleted: Vec<String> = context
        .optional("delete")
        .map(|list| crate::wire::split_list(list).map(str::to_owned).collect())
        .unwrap_or_default();
    if set.is_empty() && deleted.is_empty() {
        return Err(Refusal::died("no options specified"));
    }
    check_update_privileges(context.caller, state, id, &set)?;
    check_boot_devices(vm, &set, &deleted)?;
    check_options(state, &set)?;
    let subject = TaskSubject {
        worker: "qmconfig",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    let effect = move |state: &mut State| {
        let stored = vm_config::store(state, id, &set)?;
        if let Some(vm) = state.vms.get_mut(&id) {
            vm.options.retain(|name, _| !deleted.contains(name));
            vm.options.extend(stored);
        }
        state.emit(&MockEvent::VmChanged { vmid: id });
        Ok(Vec::new())
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

/// Unlike at creation, a drive of a VM that exists needs a privilege on the VM as well.
fn check_update_privileges(
    caller: &Caller,
    state: &State,
    id: VmId,
    options: &Options,
) -> Result<(), Refusal> {
    let path = format!("/vms/{id}");
    check_option_privileges(caller, state, &path, options)?;
    for (name, value) in options.iter().filter(|(name, _)| is_drive(name)) {
        let cdrom = value.contains("media=cdrom");
        let privilege = if cdrom {
            "VM.Config.CDROM"
        } else {
            "VM.Config.Disk"
        };
        caller.require(&path, &[privilege])?;
        check_drive_privileges(caller, state, name, value)?;
    }
    Ok(())
}

fn check_boot_devices(vm: &MockVm, set: &Options, deleted: &[String]) -> Result<(), Refusal> {
    let Some(order) = set.get("boot").and_then(|text| text.strip_prefix("order=")) else {
        return Ok(());
    };
    for device in crate::wire::split_list(order) {
        let stays = vm.options.contains_key(device) && !deleted.iter().any(|name| name == device);
        if !stays && !set.contains_key(device) {
            // The quote at the end is the server's.
            let problem = format!("invalid bootorder: device '{device}' does not exist'");
            return Err(Refusal::parameter("boot", problem));
        }
    }
    Ok(())
}

pub(super) fn check_unlocked(vm: &MockVm) -> Result<(), Refusal> {
    match vm.options.get("lock") {
        Some(lock) => Err(Refusal::died(format!("VM is locked ({lock})"))),
        None => Ok(()),
    }
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
    check_unlocked(vm)?;
    let subject = TaskSubject {
        worker: "qmdestroy",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    let effect = move |state: &mut State| {
        state.vms.remove(&id);
        state.volumes.retain(|_, volume| volume.vmid != Some(id));
        state.emit(&MockEvent::VmDeleted { vmid: id });
        Ok(Vec::new())
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let visible = state.vms.iter().filter(|(id, vm)| {
        vm.node == node && context.caller.may(&format!("/vms/{id}"), &["VM.Audit"])
    });
    Ok(visible.map(|(id, vm)| summary(*id, vm)).collect())
}

pub(super) fn summary(id: VmId, vm: &MockVm) -> Value {
    json!({
        "vmid": id,
        "name": vm.options.get("name"),
        "status": if vm.running { "running" } else { "stopped" },
        "tags": vm.options.get("tags").map(String::as_str).unwrap_or_default(),
    })
}
