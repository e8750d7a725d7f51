//! Snapshots.

use serde_json::json;

use super::{start, vm_of, volume_in};
use crate::mock::event::MockEvent;
use crate::mock::handler::Context;
use crate::mock::power;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockVm, Snapshot, State};
use crate::mock::vm::check_lock;
use crate::mock::vm_config::{self, is_drive};

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

pub(in crate::mock) fn feature(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let has = match context.param("feature") {
        "snapshot" => supports_snapshots(state, vm),
        "clone" => vm.options.contains_key("template"),
        _ => true,
    };
    Ok(json!({ "hasFeature": u8::from(has), "nodes": [vm.node] }))
}

pub(in crate::mock) fn snapshots(context: &Context<'_>, state: &State) -> Reply {
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

pub(in crate::mock) fn create_snapshot(context: &Context<'_>, state: &mut State) -> Reply {
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

pub(in crate::mock) fn snapshot_config(context: &Context<'_>, state: &State) -> Reply {
    let vm = state.vm(context.param("node"), context.vm_id()?)?;
    let name = context.param("snapname");
    let snapshot = vm.snapshots.get(name);
    let snapshot =
        snapshot.ok_or_else(|| Refusal::died(format!("snapshot '{name}' does not exist")))?;
    Ok(vm_config::shown(state.contract, &snapshot.options))
}

pub(in crate::mock) fn delete_snapshot(context: &Context<'_>, state: &mut State) -> Reply {
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

pub(in crate::mock) fn roll_back(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let name = context.param("snapname").to_owned();
    let then_start = context.optional("start") == Some("1");
    let effect = move |state: &mut State| {
        check_lock(vm_of(state, id)?)?;
        let snapshot = vm_of(state, id)?.snapshots.get(&name).cloned();
        let snapshot = snapshot.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        power::stop(state, id)?;
        if let Some(vm) = state.vms.get_mut(&id) {
            vm.options = snapshot.options;
            vm.pending.clear();
            vm.parent = Some(name);
        }
        state.emit(&MockEvent::VmChanged { vmid: id });
        match then_start || snapshot.with_memory {
            true => power::start(state, id),
            false => Ok(Vec::new()),
        }
    };
    start(context, state, "qmrollback", Box::new(effect))
}
