//! Which privileges the options of a VM need, and which values are rejected before a task starts.

use super::Options;
use crate::id::{NodeName, VmId, VolumeId};
use crate::mock::auth::Caller;
use crate::mock::check::Release;
use crate::mock::handler::Context;
use crate::mock::reply::Refusal;
use crate::mock::state::State;
use crate::mock::vm_config::{allocation, drive_values, is_drive};

pub(super) fn check_create_privileges(
    context: &Context<'_>,
    state: &State,
    id: VmId,
    options: &Options,
) -> Result<(), Refusal> {
    let caller = context.caller;
    let path = check_allocation(context, state, id, false)?;
    check_option_privileges(caller, state, &path, options)?;
    options
        .iter()
        .filter(|(name, _)| is_drive(name))
        .try_for_each(|(name, value)| check_drive_privileges(caller, state, name, value))
}

/// The path on which the caller may allocate the VM. Who may back a VM up may replace it.
pub(in crate::mock) fn check_allocation(
    context: &Context<'_>,
    state: &State,
    id: VmId,
    replaces: bool,
) -> Result<String, Refusal> {
    let caller = context.caller;
    if let Some(pool) = context.optional("pool")
        && !state.pools.contains(pool)
    {
        let text = format!("Permission check failed (pool '{pool}' does not exist)");
        return Err(Refusal::new(403, text));
    }
    let pool = context.optional("pool").map(|pool| format!("/pool/{pool}"));
    let vm = format!("/vms/{id}");
    match pool {
        Some(pool) if caller.may(&pool, &["VM.Allocate"]) => Ok(pool),
        _ if caller.may(&vm, &["VM.Allocate"]) => Ok(vm),
        _ if replaces && caller.may(&vm, &["VM.Backup"]) => Ok(vm),
        _ => Err(Refusal::forbidden()),
    }
}

/// Unlike at creation, a drive of a VM that exists needs a privilege on the VM as well.
pub(super) fn check_update_privileges(
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

/// Drives apart, each option needs its privilege whether it is set at creation or later.
pub(in crate::mock) fn check_option_privileges(
    caller: &Caller,
    state: &State,
    path: &str,
    options: &Options,
) -> Result<(), Refusal> {
    for (name, value) in options {
        check_device(caller, name, value)?;
        match option_privilege(name) {
            Some("Sys.Modify") => caller.require("/", &["Sys.Modify"])?,
            Some(privilege) => caller.require(path, &[privilege])?,
            None if is_drive(name) || caller.is_root_with_password() => {}
            None if is_mapped_device(name) || name.starts_with("unused") => {}
            None => return Err(Refusal::died(format!("only root can set '{name}' config"))),
        }
        if name.starts_with("net") {
            check_network_privilege(caller, state, name, value)?;
        }
        if name.starts_with("unused") {
            check_volume_name(state, value)?;
        }
    }
    Ok(())
}

/// Devices of the node, which a mapping opens for others than root.
fn is_mapped_device(name: &str) -> bool {
    name.starts_with("usb") || name.starts_with("hostpci") || name.starts_with("virtiofs")
}

fn check_device(caller: &Caller, name: &str, value: &str) -> Result<(), Refusal> {
    if caller.is_root_with_password() {
        return Ok(());
    }
    let mapped = value.contains("mapping=");
    let refused = |what: &str| {
        Err(Refusal::died(format!(
            "only root can set '{name}' config for {what}"
        )))
    };
    if name.starts_with("usb") && !mapped && value != "spice" && value != "host=spice" {
        return refused("real devices");
    }
    if name.starts_with("hostpci") && !mapped {
        return refused("non-mapped devices");
    }
    if name.starts_with("serial") && value != "socket" {
        return refused("real devices");
    }
    Ok(())
}

/// A storage of files has its own names of volumes.
fn check_volume_name(state: &State, value: &str) -> Result<(), Refusal> {
    let Ok(volume) = VolumeId::new(value) else {
        return Ok(());
    };
    let storage = state.storage(volume.storage().as_str())?;
    if storage.holds_files() && !volume.name().contains('/') {
        let name = volume.name();
        return Err(Refusal::died(format!(
            "unable to parse directory volume name '{name}'"
        )));
    }
    Ok(())
}

/// The refusal of a path in the place of a volume, with the line of the server's code.
pub(in crate::mock) fn only_root_passes_paths(state: &State) -> Refusal {
    let line = match state.contract.release() {
        Release::Nine => 651,
        Release::Eight => 581,
    };
    Refusal::died(format!(
        "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line {line}."
    ))
}

fn check_drive_privileges(
    caller: &Caller,
    state: &State,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let values = drive_values(state.contract, name, value);
    let file = values.get("file").map(String::as_str).unwrap_or_default();
    let source = values
        .get("import-from")
        .map(String::as_str)
        .unwrap_or_default();
    let path = file.starts_with('/') || source.starts_with('/');
    if path && !caller.is_root_with_password() {
        return Err(only_root_passes_paths(state));
    }
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
        ("freeze", _) => "VM.PowerMgmt",
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

/// What the server rejects before it starts the task.
pub(super) fn check_options(
    state: &State,
    node: &NodeName,
    options: &Options,
) -> Result<(), Refusal> {
    for (name, value) in options.iter().filter(|(name, _)| is_drive(name)) {
        let values = drive_values(state.contract, name, value);
        let file = values.get("file").map(String::as_str).unwrap_or_default();
        let cdrom = values.get("media").is_some_and(|media| media == "cdrom");
        let allocates = allocation(file).is_some_and(|(_, size)| size != 0.0);
        if values.contains_key("import-from") && allocates {
            let problem =
                "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>";
            return Err(Refusal::parameter(name, problem));
        }
        if cdrom && name.starts_with("virtio") {
            return Err(Refusal::parameter(name, "unable to parse drive options"));
        }
        if !cdrom && file.contains(":iso/") {
            let problem = "explicit 'media=cdrom' is required for iso images";
            return Err(Refusal::parameter(name, problem));
        }
        if let Some((storage, _)) = allocation(file)
            && !state.storage(storage.as_str())?.supports("images")
            && file != "none"
        {
            let problem = format!("storage '{storage}' does not support vm images");
            return Err(Refusal::parameter("storage", problem));
        }
    }
    // The node's own processors are compared with the VM's only when the VM starts.
    let _ = node;
    let number = |name: &str| options.get(name).and_then(|text| text.parse::<u64>().ok());
    if let (Some(balloon), Some(memory)) = (number("balloon"), number("memory"))
        && balloon > memory
    {
        let problem = "balloon value too large (must be smaller than assigned memory)";
        return Err(Refusal::parameter("balloon", problem));
    }
    Ok(())
}
