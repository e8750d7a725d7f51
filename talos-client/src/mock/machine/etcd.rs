//! The calls of the machine service about etcd, with the checks and texts of machined.

use tonic::{Status, Streaming};

use super::{Stream, control_plane_only};
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;
use crate::mock::etcd;
use crate::mock::event::MockEvent;
use crate::mock::node::{Etcd, Node};
use crate::mock::snapshot;

pub(super) fn bootstrap(
    node: &Node,
    asked: &pb::BootstrapRequest,
) -> Result<pb::Bootstrap, Status> {
    let is_old = node.has_maintenance_service();
    let cluster = etcd::new_cluster();
    let member = etcd::new_member(&node.setup, cluster);
    node.update(|state| {
        if !state.has_services {
            return Err(Status::failed_precondition(
                "bootstrap is not available yet",
            ));
        }
        if state.etcd == Etcd::Absent {
            return Err(if is_old {
                Status::failed_precondition(
                    "bootstrap can only be performed on a control plane node",
                )
            } else {
                Status::unimplemented("bootstrap is only available on control plane nodes")
            });
        }
        if !state.is_time_synced {
            return Err(Status::failed_precondition("time is not in sync yet"));
        }
        if state.has_etcd_data {
            return Err(Status::already_exists("etcd data directory is not empty"));
        }
        if asked.recover_etcd {
            let uploaded = state.recovery_snapshot.as_deref();
            snapshot::check(uploaded, asked.recover_skip_hash_check)?;
            state.recovery_snapshot = None;
        }
        state.has_etcd_data = true;
        state.etcd_cluster = cluster;
        state.etcd_member = member;
        Ok(())
    })?;
    node.events.push(MockEvent::Bootstrapped);
    Ok(pb::Bootstrap::default())
}

pub(super) async fn recover(
    node: &Node,
    mut pieces: Streaming<Data>,
) -> Result<pb::EtcdRecover, Status> {
    if !node.state().has_services {
        return Err(Status::failed_precondition(
            "etcd service is not ready for recovery yet",
        ));
    }
    control_plane_only(node, "etcd recover")?;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        bytes.extend_from_slice(&piece.bytes);
    }
    // Kept for the next bootstrap.
    node.update(|state| state.recovery_snapshot = Some(bytes));
    Ok(pb::EtcdRecover::default())
}

pub(super) fn snapshot(node: &Node, _: &pb::EtcdSnapshotRequest) -> Result<Stream<Data>, Status> {
    control_plane_only(node, "etcd snapshot")?;
    etcd::local(node)?;
    Ok(node.setup.database.snapshot())
}

pub(super) fn members(
    node: &Node,
    asked: &pb::EtcdMemberListRequest,
) -> Result<pb::EtcdMembers, Status> {
    control_plane_only(node, "member list")?;
    etcd::member_list(node, asked.query_local)
}

pub(super) fn status(node: &Node, _: &()) -> Result<pb::EtcdStatus, Status> {
    control_plane_only(node, "etcd status")?;
    Ok(pb::EtcdStatus {
        metadata: None,
        member_status: Some(etcd::status(node)?),
    })
}

pub(super) fn alarms(node: &Node, _: &()) -> Result<pb::EtcdAlarm, Status> {
    control_plane_only(node, "etcd alarm list")?;
    etcd::agreed(node, "failed to list etcd alarms: ")?;
    Ok(pb::EtcdAlarm {
        metadata: None,
        member_alarms: node.state().etcd_alarms.clone(),
    })
}

pub(super) fn disarm(node: &Node, _: &()) -> Result<pb::EtcdAlarmDisarm, Status> {
    control_plane_only(node, "etcd alarm disarm")?;
    etcd::agreed(node, "failed to disarm etcd alarm: ")?;
    Ok(pb::EtcdAlarmDisarm {
        metadata: None,
        member_alarms: node.update(|state| std::mem::take(&mut state.etcd_alarms)),
    })
}

pub(super) fn defragment(node: &Node, _: &()) -> Result<pb::EtcdDefragment, Status> {
    control_plane_only(node, "etcd defragment")?;
    etcd::local(node)?;
    Ok(pb::EtcdDefragment::default())
}

pub(super) fn forfeit(
    node: &Node,
    _: &pb::EtcdForfeitLeadershipRequest,
) -> Result<pb::EtcdForfeitLeadership, Status> {
    control_plane_only(node, "etcd forfeit leadership")?;
    etcd::forfeit(node)
}

pub(super) fn leave(
    node: &Node,
    _: &pb::EtcdLeaveClusterRequest,
) -> Result<pb::EtcdLeaveCluster, Status> {
    control_plane_only(node, "etcd leave")?;
    etcd::leave(node)?;
    Ok(pb::EtcdLeaveCluster::default())
}

pub(super) fn remove_member(
    node: &Node,
    asked: &pb::EtcdRemoveMemberByIdRequest,
) -> Result<pb::EtcdRemoveMemberById, Status> {
    control_plane_only(node, "etcd remove member")?;
    etcd::remove_by_id(node, asked.member_id)?;
    Ok(pb::EtcdRemoveMemberById::default())
}

pub(super) fn validate_downgrade(
    node: &Node,
    asked: &pb::EtcdDowngradeValidateRequest,
) -> Result<pb::EtcdDowngradeValidate, Status> {
    control_plane_only(node, "etcd downgrade validate")?;
    check_downgrade(&asked.version)?;
    Ok(pb::EtcdDowngradeValidate {
        metadata: None,
        cluster_downgrade: downgrade(node)?,
    })
}

pub(super) fn enable_downgrade(
    node: &Node,
    asked: &pb::EtcdDowngradeEnableRequest,
) -> Result<pb::EtcdDowngradeEnable, Status> {
    control_plane_only(node, "etcd downgrade enable")?;
    check_downgrade(&asked.version)?;
    Ok(pb::EtcdDowngradeEnable {
        metadata: None,
        cluster_downgrade: downgrade(node)?,
    })
}

pub(super) fn cancel_downgrade(node: &Node, _: &()) -> Result<pb::EtcdDowngradeCancel, Status> {
    control_plane_only(node, "etcd downgrade cancel")?;
    Ok(pb::EtcdDowngradeCancel {
        metadata: None,
        cluster_downgrade: downgrade(node)?,
    })
}

/// The version of etcd's cluster, which its members agree on.
fn downgrade(node: &Node) -> Result<Option<pb::EtcdClusterDowngrade>, Status> {
    etcd::agreed(node, "failed to query etcd status: ")?;
    Ok(Some(pb::EtcdClusterDowngrade {
        cluster_version: "3.5.0".to_owned(),
    }))
}

/// The version of a downgrade, as machined checks it.
fn check_downgrade(version: &str) -> Result<(), Status> {
    let reject = |text: &str| Err(Status::invalid_argument(text));
    if version.is_empty() {
        return reject("version is required for etcd downgrade");
    }
    let Some((major, minor)) = version
        .split_once('.')
        .filter(|(_, minor)| !minor.contains('.'))
    else {
        return reject("version should be in MAJOR.MINOR format");
    };
    let (Ok(major), minor) = (major.parse::<u64>(), minor.parse::<u64>()) else {
        return reject("major version should be a number");
    };
    let Ok(minor) = minor else {
        return reject("minor version should be a number");
    };
    if (major, minor) < (3, 5) {
        return reject("etcd downgrade is only supported to 3.5 and later versions");
    }
    Ok(())
}
