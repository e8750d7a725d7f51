//! Migration.

use serde_json::{Value, json};

use super::{start, vm_of, volume_in};
use crate::id::VolumeId;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockVm, State};
use crate::mock::vm::check_unlocked;
use crate::mock::vm_config::is_drive;

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

pub(in crate::mock) fn check_migration(context: &Context<'_>, state: &State) -> Reply {
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

pub(in crate::mock) fn migrate(context: &Context<'_>, state: &mut State) -> Reply {
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
