//! What ends a boot of a mock node: reboot, shutdown, reset, upgrade, rollback.

use tonic::Status;

use super::control_plane_only;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::reset_request::WipeMode;
use crate::mock::etcd;
use crate::mock::node::{Command, Node, Wipe};

pub(super) fn reboot(node: &Node, _: &pb::RebootRequest) -> Result<pb::Reboot, Status> {
    Ok(pb::Reboot {
        metadata: None,
        actor_id: command(node, Command::Reboot),
    })
}

pub(super) fn shutdown(node: &Node, asked: &pb::ShutdownRequest) -> Result<pb::Shutdown, Status> {
    let shutdown = Command::Shutdown {
        is_forced: asked.force,
    };
    Ok(pb::Shutdown {
        metadata: None,
        actor_id: command(node, shutdown),
    })
}

pub(super) fn reset(node: &Node, asked: &pb::ResetRequest) -> Result<pb::Reset, Status> {
    check_reset(node, asked)?;
    let reset = Command::Reset {
        wipe: wiped(asked),
        reboot: asked.reboot,
        is_graceful: asked.graceful,
    };
    Ok(pb::Reset {
        metadata: None,
        actor_id: command(node, reset),
    })
}

pub(super) fn rollback(node: &Node, _: &pb::RollbackRequest) -> Result<pb::Rollback, Status> {
    if node.state().installed.is_none() {
        return Err(Status::failed_precondition("system disk not found"));
    }
    if node.state().previous.is_none() {
        return Err(Status::unknown("previous boot entry not found"));
    }
    command(node, Command::Rollback);
    Ok(pb::Rollback::default())
}

pub(super) fn upgrade(node: &Node, asked: &pb::UpgradeRequest) -> Result<pb::Upgrade, Status> {
    if node.state().installed.is_none() {
        return Err(Status::failed_precondition("Talos is not installed"));
    }
    if control_plane_only(node, "upgrade").is_ok() && !asked.force {
        etcd::check_upgrade(node)?;
    }
    let upgrade = Command::Upgrade {
        image: asked.image.clone(),
        is_staged: asked.stage,
    };
    Ok(pb::Upgrade {
        metadata: None,
        ack: "Upgrade request received".to_owned(),
        actor_id: command(node, upgrade),
    })
}

/// Gives the node something to do, under an id for its events.
fn command(node: &Node, command: Command) -> String {
    node.update(|state| {
        state.actors = state.actors.saturating_add(1);
        state.actor = format!("5bd13a5e-6b5f-4c3a-9a0e-{:012x}", state.actors);
        state.command = Some(command);
        state.actor.clone()
    })
}

/// What a node checks of a reset before it begins.
fn check_reset(node: &Node, asked: &pb::ResetRequest) -> Result<(), Status> {
    let fail = |text: &str| Err(Status::unknown(text));
    if asked.mode() == WipeMode::SystemDisk && !asked.user_disks_to_wipe.is_empty() {
        return fail(
            "reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter",
        );
    }
    if asked.mode() == WipeMode::UserDisks && !asked.system_partitions_to_wipe.is_empty() {
        return fail(
            "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter",
        );
    }
    for device in &asked.user_disks_to_wipe {
        check_user_disk(node, device)?;
    }
    let is_installed = node.state().installed.is_some();
    for partition in &asked.system_partitions_to_wipe {
        let label = &partition.label;
        let exists = ["META", "STATE", "EPHEMERAL"].contains(&label.as_str());
        if !is_installed || !exists {
            return fail(&format!(
                "failed to get volume status with label {label:?}: resource VolumeStatuses.block.talos.dev(runtime/{label}@undefined) doesn't exist"
            ));
        }
    }
    Ok(())
}

fn check_user_disk(node: &Node, device: &str) -> Result<(), Status> {
    let mut disks = node.setup.disks.iter();
    let is_system = {
        let state = node.state();
        let installed = state.installed.as_ref();
        installed.is_some_and(|system| system.disk == *device)
    };
    let fault = match disks.find(|disk| disk.device == *device) {
        None => "wasn't found",
        Some(disk) if disk.is_cdrom => "is readonly",
        Some(_) if is_system => "is the system disk",
        Some(_) => return Ok(()),
    };
    Err(Status::unknown(format!(
        "reset user disk failed: device {device} {fault}"
    )))
}

/// Without partitions named the whole system disk is wiped, unless only user disks are.
fn wiped(asked: &pb::ResetRequest) -> Wipe {
    let only_user_disks = asked.mode() == WipeMode::UserDisks;
    let named = &asked.system_partitions_to_wipe;
    let is_wiped = |label: &str| {
        !only_user_disks
            && (named.is_empty() || named.iter().any(|partition| partition.label == label))
    };
    Wipe {
        state: is_wiped("STATE"),
        data: is_wiped("EPHEMERAL"),
        talos: !only_user_disks && (named.is_empty() || is_wiped("META")),
    }
}
