//! What happens to a VM that exists: its disks, clones, templates, snapshots, migration.

mod clone;
mod disks;
mod migrate;
mod snapshot;

use super::handler::Context;
use super::reply::Reply;
use super::state::{MockVm, State};
use super::task::{self, Effect, TaskSubject};
use super::vm_config::drive_values;
use crate::id::{VmId, VolumeId};

pub(super) use clone::{clone, template};
pub(super) use disks::{move_disk, resize};
pub(super) use migrate::{check_migration, migrate};
pub(super) use snapshot::{
    create_snapshot, delete_snapshot, feature, roll_back, snapshot_config, snapshots,
};

/// Starts a task for the VM of the call.
fn start(context: &Context<'_>, state: &mut State, worker: &str, effect: Effect) -> Reply {
    let id = context.vm_id()?;
    let node = state.vm(context.param("node"), id)?.node.clone();
    let subject = TaskSubject::of(context, worker, id, &node);
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
