//! Backups of VMs.

use serde_json::Value;

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, State, VolumeRecord};
use super::task::{self, Effect, TaskSubject};
use crate::id::{StorageName, VmId, VolumeId};

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
    let subject = TaskSubject::of(
        context,
        "vzdump",
        if vms.len() == 1 { list } else { "" },
        &node,
    );
    let ending = ending(context.optional("compress"));
    let effect: Effect = Box::new(move |state| {
        let mut log = Vec::new();
        for vm in vms {
            let archive = dump(state, &storage, vm, ending)?;
            let archive = storage.path_of(archive.name());
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

/// A backup that is there already.
pub(super) fn add(state: &mut State, vm: VmId, storage: &StorageName) -> Result<VolumeId, String> {
    let storage = state.storages.iter().find(|known| known.name == *storage);
    let storage = storage.cloned().ok_or("no such storage")?;
    dump(state, &storage, vm, "vma")
}

/// Writes the options of a VM into a backup, and returns it.
fn dump(
    state: &mut State,
    storage: &MockStorage,
    vm: VmId,
    ending: &str,
) -> Result<VolumeId, String> {
    let options = state.vms.get(&vm).map(|vm| vm.options.clone());
    let options = options.ok_or_else(|| format!("unable to find VM '{vm}'"))?;
    let number = state.backups.len();
    let (minutes, seconds) = (number / 60, number % 60);
    let name = format!("backup/vzdump-qemu-{vm}-2025_10_09-08_{minutes:02}_{seconds:02}.{ending}");
    let volume = VolumeId::new(format!("{}:{name}", storage.name)).map_err(|e| e.to_string())?;
    let body = format!("{options:?}").into_bytes();
    state.add_volume(VolumeRecord {
        vmid: Some(vm),
        ..VolumeRecord::file(volume.clone(), "backup", body.into(), None)
    })?;
    state.backups.insert(volume.clone(), options);
    Ok(volume)
}

/// Nothing is to be pruned: the mock keeps what it has.
pub(super) fn prunable() -> Value {
    Value::Array(Vec::new())
}
