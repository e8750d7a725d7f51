//! Backups of VMs, and VMs made from them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::MockEvent;
use super::handler::Context;
use super::power;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, MockVm, State, VolumeRecord};
use super::task::{self, Cleanup, Effect, TaskSubject};
use super::vm::{check_allocation, check_free, check_option_privileges};
use super::vm_config::{self, drive_values, is_drive};
use crate::id::{NodeName, VmId, VolumeId};

type Options = BTreeMap<String, String>;

/// Parameters with a right of their own, as the description of the call says (pve-manager 9.2 and 8.4).
const TUNING: &[&str] = &["bwlimit", "performance", "ionice"];
const ROOT_ONLY: &[&str] = &["tmpdir", "dumpdir", "script", "job-id"];

pub(super) fn back_up(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    check_parameters(context)?;
    let list = context.optional("vmid").unwrap_or_default();
    let vms: Vec<VmId> = crate::wire::split_list(list)
        .filter_map(|vm| vm.parse().ok())
        .collect();
    for vm in &vms {
        let path = format!("/vms/{vm}");
        context.caller.require(&path, &["VM.Backup"])?;
    }
    let storage = context.optional("storage").unwrap_or("local");
    let storage = state.usable_storage(&node, storage)?.clone();
    let path = format!("/storage/{}", storage.name);
    context
        .caller
        .require(&path, &["Datastore.AllocateSpace"])?;
    if context.optional("prune-backups").is_some() {
        context.caller.require(&path, &["Datastore.Allocate"])?;
    }
    let subject = TaskSubject {
        worker: "vzdump",
        id: if vms.len() == 1 { list } else { "" },
        node: &node,
        user: &context.caller.id,
    };
    let ending = ending(context.optional("compress"));
    let effect: Effect = Box::new(move |state| {
        let mut log = Vec::new();
        for vm in vms {
            let archive = dump(state, &storage, vm, ending)?;
            log.push(format!("INFO: Starting Backup of VM {vm} (qemu)"));
            log.push(format!("INFO: creating vzdump archive '{archive}'"));
            log.push(format!("INFO: Finished Backup of VM {vm} (00:00:01)"));
        }
        log.push("INFO: Backup job finished successfully".to_owned());
        Ok(log)
    });
    task::start(context.shared, state, &subject, effect)
}

fn check_parameters(context: &Context<'_>) -> Result<(), Refusal> {
    let given = |names: &[&'static str]| {
        let mut names = names.iter().copied();
        names.find(|name| context.optional(name).is_some())
    };
    if given(TUNING).is_some() {
        context.caller.require("/", &["Sys.Modify"])?;
    }
    match given(ROOT_ONLY) {
        Some(name) if !context.caller.is_root_with_password() => {
            Err(Refusal::parameter(name, "Only root may set this option."))
        }
        _ => Ok(()),
    }
}

fn ending(compress: Option<&str>) -> &'static str {
    match compress {
        Some("gzip") => "vma.gz",
        Some("lzo" | "1") => "vma.lzo",
        Some("zstd") => "vma.zst",
        _ => "vma",
    }
}

/// Writes the options of a VM into a backup, and returns its path.
fn dump(
    state: &mut State,
    storage: &MockStorage,
    vm: VmId,
    ending: &str,
) -> Result<String, String> {
    let options = state.vms.get(&vm).map(|vm| vm.options.clone());
    let options = options.ok_or_else(|| format!("unable to find VM '{vm}'"))?;
    let number = state.backups.len();
    let (minutes, seconds) = (number / 60, number % 60);
    let name = format!("backup/vzdump-qemu-{vm}-2025_10_09-08_{minutes:02}_{seconds:02}.{ending}");
    let path = storage.path_of(&name);
    let volume = VolumeId::new(format!("{}:{name}", storage.name)).map_err(|e| e.to_string())?;
    let body = format!("{options:?}").into_bytes();
    state.add_volume(VolumeRecord {
        vmid: Some(vm),
        ..VolumeRecord::file(volume.clone(), "backup", body.into(), None)
    })?;
    state.backups.insert(volume, options);
    Ok(path)
}

/// Creates a VM from a backup. `given` are the options that replace those of the backup.
pub(super) fn restore(
    context: &Context<'_>,
    state: &mut State,
    archive: &str,
    given: Options,
) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    let flag = |name: &str| context.optional(name) == Some("1");
    let replaces = flag("force") && state.vms.contains_key(&id);
    if let Some(storage) = context.optional("storage") {
        let path = format!("/storage/{storage}");
        context
            .caller
            .require(&path, &["Datastore.AllocateSpace"])?;
        state.usable_storage(&node, storage)?;
    }
    let rights = check_allocation(context, state, id, replaces)?;
    if let Some(name) = given.keys().find(|name| is_drive(name)) {
        let problem = "option conflicts with option 'archive'";
        return Err(Refusal::parameter(name, problem));
    }
    let saved = archived(context, state, id, archive)?;
    check_option_privileges(context.caller, state, &rights, &given)?;
    if !replaces {
        check_free(state, id, "restore")?;
    }
    let plan = Restore {
        id,
        node: node.clone(),
        storage: context.optional("storage").map(str::to_owned),
        pool: context.optional("pool").map(str::to_owned),
        unique: flag("unique"),
        live: flag("live-restore"),
        start: flag("start"),
        options: saved.into_iter().chain(given).collect(),
    };
    let subject = TaskSubject {
        worker: "qmrestore",
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    let before = state.vms.get(&id).cloned();
    if before.is_none() {
        let lock = Options::from([("lock".to_owned(), "create".to_owned())]);
        state.vms.insert(id, MockVm::new(node.clone(), lock));
    }
    let replaced = before.is_some();
    let clean_up = move |state: &mut State| {
        if !replaced {
            state.vms.remove(&id);
        }
    };
    let work: Effect =
        Box::new(move |state| plan.run(state, replaced).inspect_err(|_| clean_up(state)));
    let clean_up: Cleanup = Box::new(clean_up);
    task::start_with_cleanup(context.shared, state, &subject, (work, clean_up))
}

/// The options in a backup that the caller may read.
fn archived(
    context: &Context<'_>,
    state: &State,
    id: VmId,
    archive: &str,
) -> Result<Options, Refusal> {
    let volume = VolumeId::new(archive).ok();
    let Some(volume) = volume.filter(|volume| state.backups.contains_key(volume)) else {
        return Err(Refusal::died(format!("volume '{archive}' does not exist")));
    };
    let path = format!("/storage/{}", volume.storage());
    let own = state.volumes.get(&volume).and_then(|record| record.vmid) == Some(id);
    let may_read = context.caller.may(&path, &["Datastore.Allocate"])
        || (context.caller.may(&path, &["Datastore.AllocateSpace"])
            && own
            && context.caller.may(&format!("/vms/{id}"), &["VM.Backup"]));
    match may_read {
        true => Ok(state.backups.get(&volume).cloned().unwrap_or_default()),
        false => Err(Refusal::forbidden()),
    }
}

struct Restore {
    id: VmId,
    node: NodeName,
    storage: Option<String>,
    pool: Option<String>,
    unique: bool,
    live: bool,
    start: bool,
    options: Options,
}

impl Restore {
    fn run(mut self, state: &mut State, replaces: bool) -> Result<Vec<String>, String> {
        let id = self.id;
        if replaces {
            check_replaceable(state, id)?;
        }
        if self.live {
            return Err(
                "live-restore is only compatible with backup images from a Proxmox Backup Server"
                    .to_owned(),
            );
        }
        self.prepare(state);
        if replaces {
            state
                .volumes
                .retain(|_, record| record.vmid != Some(id) || record.content == "backup");
        }
        let stored = vm_config::store(state, &self.node, id, &self.options)?;
        let mut vm = MockVm::new(self.node, stored.options);
        if self.unique {
            let new = vm_config::uuid_of(id, "restored");
            vm.options
                .insert("smbios1".to_owned(), format!("uuid={new}"));
            vm.options
                .insert("vmgenid".to_owned(), vm_config::uuid_of(id, "generation"));
        }
        state.vms.insert(id, vm);
        if let Some(pool) = self.pool {
            state.pools.add_vm(&pool, id);
        }
        state.emit(&MockEvent::VmCreated { vmid: id });
        let mut log = stored.log;
        if self.start {
            log.push("Execute autostart".to_owned());
            // A start that fails is no failure of the restore.
            log.extend(power::start(state, id).unwrap_or_default());
        }
        Ok(log)
    }

    /// Makes the disks of the backup into new ones of the same size, and takes out what a copy must not have.
    fn prepare(&mut self, state: &State) {
        let contract = state.contract;
        for (name, value) in &mut self.options {
            if name.starts_with("net") && self.unique {
                *value = without_address(value);
            }
            if !is_drive(name) {
                continue;
            }
            let values = drive_values(contract, name, value);
            let file = values.get("file").cloned().unwrap_or_default();
            let Some((storage, _)) = file.split_once(':') else {
                continue;
            };
            let storage = self.storage.as_deref().unwrap_or(storage);
            if file.contains("cloudinit") {
                *value = format!("{storage}:cloudinit");
            } else if vm_config::allocation(&file).is_none() && !value.contains("media=cdrom") {
                let size = values.get("size").map(String::as_str).unwrap_or_default();
                let rest = value.split(',').skip(1);
                let rest: String = rest
                    .filter(|part| !part.starts_with("size=") && !part.starts_with("file="))
                    .map(|part| format!(",{part}"))
                    .collect();
                *value = format!("{storage}:{}{rest}", gib(size));
            }
        }
        for name in ["lock", "parent", "template"] {
            self.options.remove(name);
        }
    }
}

/// A network card that gets a new address.
fn without_address(value: &str) -> String {
    let parts: Vec<String> = value
        .split(',')
        .map(|part| match part.split_once('=') {
            Some((model, address)) if address.matches(':').count() == 5 => model.to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    parts.join(",")
}

#[expect(clippy::cast_precision_loss, reason = "sizes of a test")]
fn gib(size: &str) -> f64 {
    let bytes = size
        .parse::<crate::vm::Size>()
        .map_or(0, crate::vm::Size::bytes);
    bytes as f64 / (1_u64 << 30) as f64
}

fn check_replaceable(state: &State, id: VmId) -> Result<(), String> {
    let failed = format!("unable to restore VM {id} -");
    let vm = state.vms.get(&id);
    let vm = vm.ok_or_else(|| format!("{failed} the VM was removed meanwhile"))?;
    if vm.options.get("protection").is_some_and(|set| set == "1") {
        return Err(format!("{failed} protection mode enabled"));
    }
    match vm.running {
        true => Err(format!("{failed} vm is running")),
        false => Ok(()),
    }
}

/// Nothing is to be pruned: the mock keeps what it has.
pub(super) fn prunable() -> Value {
    Value::Array(Vec::new())
}
