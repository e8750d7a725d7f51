//! The etcd cluster of mock nodes.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sha2::{Digest, Sha256};
use tonic::{Request, Status, Streaming};

use super::builder::Setup;
use super::node::{Etcd, Node};
use super::snapshot;
use crate::api::pb::common;
use crate::api::pb::machine as pb;

/// A member of the cluster that a node belongs to.
pub(super) struct Member {
    pub(super) node: Arc<Node>,
    pub(super) id: u64,
    is_healthy: bool,
    rank: u32,
}

/// The id of a node's member: it follows from the node's first address.
pub(super) fn member_id(node: &Node) -> u64 {
    id_of(&node.setup)
}

pub(super) fn id_of(setup: &Setup) -> u64 {
    let address = setup.addresses.first().map(ToString::to_string);
    let hash = Sha256::digest(address.unwrap_or_default());
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(id)
}

/// All members of the cluster of `node`, in the order of their ids.
pub(super) fn members(node: &Node) -> Vec<Member> {
    let cluster = node.state().etcd_cluster;
    let nodes = node.setup.network.nodes().into_iter();
    let mut members: Vec<Member> = nodes
        .filter_map(|node| {
            let (is_member, is_healthy, rank) = {
                let state = node.state();
                (
                    cluster != 0 && state.etcd_cluster == cluster && state.has_etcd_data,
                    state.etcd == Etcd::Healthy,
                    state.etcd_rank,
                )
            };
            is_member.then(|| Member {
                id: member_id(&node),
                node,
                is_healthy,
                rank,
            })
        })
        .collect();
    members.sort_by_key(|member| member.id);
    members
}

/// The leader, when there is a quorum.
pub(super) fn leader(members: &[Member]) -> Option<&Member> {
    let healthy: Vec<&Member> = members.iter().filter(|member| member.is_healthy).collect();
    if healthy.len() * 2 <= members.len() {
        return None;
    }
    healthy
        .into_iter()
        .min_by_key(|member| (member.rank, member.id))
}

/// A cluster that this node could join: another control plane node with the same Talos authority has data.
pub(super) fn joinable(node: &Node) -> Option<u64> {
    let own = node.state().config.clone()?;
    node.setup.network.nodes().into_iter().find_map(|other| {
        if std::ptr::eq(Arc::as_ptr(&other), node) {
            return None;
        }
        let state = other.state();
        let is_same = (state.config.as_ref())
            .is_some_and(|config| config.talos_ca.certificate == own.talos_ca.certificate);
        (is_same && state.etcd == Etcd::Healthy).then_some(state.etcd_cluster)
    })
}

/// What etcd's client says before the node has certificates of etcd.
fn no_certificate() -> Status {
    Status::unknown(
        "failed to create etcd client: error building etcd client TLS config: open /system/secrets/etcd/admin.crt: no such file or directory",
    )
}

/// Whether the member on this node answers.
pub(super) fn local(node: &Node) -> Result<(), Status> {
    match node.state().etcd {
        Etcd::Healthy => Ok(()),
        Etcd::Absent | Etcd::Preparing => Err(no_certificate()),
        Etcd::Starting => Err(Status::unknown("context deadline exceeded")),
    }
}

/// The members, when the cluster has a leader.
pub(super) fn with_leader(node: &Node) -> Result<Vec<Member>, Status> {
    match node.state().etcd {
        Etcd::Absent | Etcd::Preparing => {
            return Err(Status::unknown("no controlplane endpoints discovered yet"));
        }
        Etcd::Starting | Etcd::Healthy => {}
    }
    let members = members(node);
    if leader(&members).is_some() {
        Ok(members)
    } else {
        Err(Status::unknown("context deadline exceeded"))
    }
}

pub(super) fn member_list(node: &Node, local_only: bool) -> Result<pb::EtcdMembers, Status> {
    let members = if local_only {
        local(node)?;
        if let Some(kept) = node.state().kept_members.clone() {
            return Ok(kept);
        }
        members(node)
    } else {
        with_leader(node)?
    };
    let urls = |node: &Node, port: u16| {
        let addresses = node.setup.addresses.iter();
        addresses
            .map(|address| format!("https://{address}:{port}"))
            .collect()
    };
    let members: Vec<pb::EtcdMember> = members
        .into_iter()
        .map(|member| pb::EtcdMember {
            id: member.id,
            hostname: member.node.hostname(),
            peer_urls: urls(&member.node, 2380),
            client_urls: urls(&member.node, 2379),
            is_learner: false,
        })
        .collect();
    Ok(pb::EtcdMembers {
        metadata: None,
        legacy_members: members
            .iter()
            .map(|member| member.hostname.clone())
            .collect(),
        members,
    })
}

pub(super) fn status(node: &Node) -> Result<pb::EtcdMemberStatus, Status> {
    local(node)?;
    let members = members(node);
    let release = node.version().release();
    let storage = if (release.major, release.minor) >= (1, 11) {
        "3.5.0"
    } else {
        ""
    };
    Ok(pb::EtcdMemberStatus {
        member_id: member_id(node),
        leader: leader(&members).map_or(0, |leader| leader.id),
        protocol_version: "3.5.21".to_owned(),
        storage_version: storage.to_owned(),
        db_size: 20 * 1024 * 1024,
        db_size_in_use: 8 * 1024 * 1024,
        raft_index: 1_000,
        raft_term: 2,
        raft_applied_index: 1_000,
        ..Default::default()
    })
}

pub(super) fn forfeit(node: &Node) -> Result<pb::EtcdForfeitLeadership, Status> {
    let found = with_leader(node)?;
    let id = member_id(node);
    if leader(&found).is_none_or(|leader| leader.id != id) {
        return Ok(pb::EtcdForfeitLeadership::default());
    }
    if found.len() < 2 {
        return Err(Status::unknown(
            "failed to forfeit leadership: cannot find suitable member to transfer leadership to",
        ));
    }
    node.update(|state| state.etcd_rank = state.etcd_rank.saturating_add(1));
    let members = members(node);
    Ok(pb::EtcdForfeitLeadership {
        metadata: None,
        member: leader(&members)
            .map(|leader| leader.node.hostname())
            .unwrap_or_default(),
    })
}

pub(super) fn leave(node: &Node) -> Result<(), Status> {
    let members = with_leader(node)?;
    if members.len() < 2 {
        return Err(Status::unknown(
            "failed to leave cluster: etcdserver: re-configuration failed due to not enough started members",
        ));
    }
    remove(node);
    Ok(())
}

pub(super) fn remove_by_id(node: &Node, id: u64) -> Result<(), Status> {
    let members = with_leader(node)?;
    match members.iter().find(|member| member.id == id) {
        Some(member) => {
            remove(&member.node);
            Ok(())
        }
        None => Err(Status::not_found("etcdserver: member not found")),
    }
}

/// A member that was removed stops; its data stays on the disk.
fn remove(node: &Node) {
    node.update(|state| {
        state.etcd_cluster = 0;
        state.etcd = Etcd::Starting;
    });
}

/// A database with the hash that etcd appends.
pub(super) fn snapshot(node: &Node) -> Result<Vec<u8>, Status> {
    local(node)?;
    Ok(snapshot::empty())
}

/// Keeps an uploaded snapshot for the next bootstrap.
pub(super) async fn recover(
    node: &Node,
    request: Request<Streaming<common::Data>>,
) -> Result<(), Status> {
    let mut chunks = request.into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        bytes.extend_from_slice(&chunk.bytes);
    }
    node.update(|state| state.recovery_snapshot = Some(bytes));
    Ok(())
}

/// Whether the uploaded snapshot can be restored.
pub(super) fn check_recovery(snapshot: Option<&[u8]>, skip_hash: bool) -> Result<(), Status> {
    let Some(bytes) = snapshot else {
        return Err(Status::unknown(
            "error verifying recovery snapshot: open /var/lib/etcd.snapshot: no such file or directory",
        ));
    };
    if skip_hash {
        return Ok(());
    }
    let (database, hash) = bytes.split_at(bytes.len().saturating_sub(32));
    if bytes.len() % 512 == 32 && Sha256::digest(database).as_slice() == hash {
        Ok(())
    } else {
        Err(Status::unknown(
            "error verifying recovery snapshot: sha256 checksum mismatch",
        ))
    }
}

pub(super) fn chunks(bytes: Vec<u8>) -> super::machine_service::Stream<common::Data> {
    let chunks: Vec<_> = bytes
        .chunks(1024)
        .map(|chunk| {
            Ok(common::Data {
                metadata: None,
                bytes: chunk.to_vec(),
            })
        })
        .collect();
    stream::iter(chunks).boxed()
}

/// The version of a downgrade, as machined checks it.
pub(super) fn check_downgrade(version: &str) -> Result<(), Status> {
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
