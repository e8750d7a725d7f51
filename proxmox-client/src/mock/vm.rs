//! Creating, changing and deleting VMs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::auth::Caller;
use super::check::Release;
use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use super::task::{self, Cleanup, Effect, TaskSubject};
use super::vm_config::{self, allocation, drive_values, is_drive, resolve_cdrom_alias};
use crate::id::{NodeName, VmId, VolumeId};

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
    "_dc",
];

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    state.require_quorum()?;
    let mut options = given_options(context);
    resolve_cdrom_alias(&mut options);
    check_create_privileges(context, state, id, &options)?;
    check_options(state, &node, &options)?;
    check_archive(context, state)?;
    if let Some(vm) = state.vms.get(&id) {
        let owner = &vm.node;
        return Err(Refusal::died(format!(
            "unable to create VM {id} - VM {id} already exists on node '{owner}'"
        )));
    }
    let lock = Options::from([("lock".to_owned(), "create".to_owned())]);
    state.vms.insert(id, MockVm::new(node.clone(), lock));
    let pool = context.optional("pool").map(str::to_owned);
    let start = context.optional("start") == Some("1");
    let subject = TaskSubject {
        worker: "qmcreate",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    let work: Effect = Box::new(move |state| {
        let mut log = finish_create(state, id, &options)?;
        if let Some(pool) = pool {
            state.pools.add_vm(&pool, id);
        }
        if start {
            log.push("Execute autostart".to_owned());
            // A start that fails is no failure of the creation.
            log.extend(super::power::start(state, id).unwrap_or_default());
        }
        Ok(log)
    });
    let clean_up: Cleanup = Box::new(move |state| {
        state.vms.remove(&id);
    });
    task::start_with_cleanup(context.shared, state, &subject, (work, clean_up))
}

fn finish_create(state: &mut State, id: VmId, options: &Options) -> Result<Vec<String>, String> {
    let node = state.vms.get(&id).map(|vm| vm.node.clone());
    let node = node.ok_or("the VM was removed meanwhile")?;
    let stored = vm_config::store(state, &node, id, options).map_err(|error| {
        state.vms.remove(&id);
        format!("unable to create VM {id} - {error}")
    })?;
    if let Some(vm) = state.vms.get_mut(&id) {
        let order = vm_config::default_boot_order(&stored.options);
        vm.options = stored.options;
        let generated = [
            ("boot", order),
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
    Ok(stored.log)
}

/// An archive to restore must be there; the mock restores nothing.
fn check_archive(context: &Context<'_>, state: &State) -> Result<(), Refusal> {
    let Some(archive) = context.optional("archive") else {
        return Ok(());
    };
    let known = VolumeId::new(archive).is_ok_and(|volume| state.volumes.contains_key(&volume));
    match known {
        true => Err(Refusal::died("the mock restores no archives")),
        false => Err(Refusal::died(format!("volume '{archive}' does not exist"))),
    }
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
    if let Some(pool) = context.optional("pool")
        && !state.pools.contains(pool)
    {
        let text = format!("Permission check failed (pool '{pool}' does not exist)");
        return Err(Refusal::new(403, text));
    }
    let pool = context.optional("pool").map(|pool| format!("/pool/{pool}"));
    let path = match &pool {
        Some(pool) if caller.may(pool, &["VM.Allocate"]) => pool,
        _ => &vm_path,
    };
    if !caller.may(path, &["VM.Allocate"]) {
        return Err(Refusal::forbidden());
    }
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
        let line = match state.contract.release() {
            Release::Nine => 651,
            Release::Eight => 581,
        };
        return Err(Refusal::died(format!(
            "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line {line}."
        )));
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
fn check_options(state: &State, node: &NodeName, options: &Options) -> Result<(), Refusal> {
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

/// Starts a task that changes the VM.
pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let change = Change::read(context, state)?;
    let id = change.id;
    let node = change.node.clone();
    let subject = TaskSubject {
        worker: "qmconfig",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
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
pub(super) fn set(context: &Context<'_>, state: &mut State) -> Reply {
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
            return Err(Refusal::died(
                "detected modified configuration - file changed by other user? Try again.",
            ));
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

/// The volume of a disk option, CD drives apart.
fn disk_of(name: &str, value: &str) -> Option<VolumeId> {
    let disk = (is_drive(name) || name.starts_with("unused")) && !value.contains("media=cdrom");
    let file = value.split(',').next().filter(|_| disk)?;
    VolumeId::new(file.trim_start_matches("file=")).ok()
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

/// Whether a running VM takes an option over at once; the others become pending.
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
            | "ciupgrade"
    ) || matches!(class, "net" | "usb" | "unused" | "ipconfig")
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

pub(super) fn regenerate_cloud_init(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    state.vm(context.param("node"), id)?;
    Ok(Value::Null)
}

/// The files that PVE generates; the mock's are short.
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

pub(super) fn unlink(context: &Context<'_>, state: &mut State) -> Reply {
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
    let subject = TaskSubject {
        worker: "qmdestroy",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
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
fn cloud_init_of(id: VmId, value: &str) -> Option<VolumeId> {
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
