//! The etcd cluster of mock nodes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tonic::Status;

use super::builder::Setup;
use super::node::{Etcd, Node};
use crate::api::pb::machine as pb;

/// A member of the cluster that a node belongs to.
pub(super) struct Member {
    /// The node it runs on; `None` for one whose node is gone for good.
    pub(super) node: Option<Arc<Node>>,
    pub(super) id: u64,
    hostname: String,
    addresses: Vec<IpAddr>,
    /// Whether it answers.
    is_running: bool,
    /// Whether its vote counts. One that has just joined is a learner until it has caught up.
    is_voter: bool,
    rank: u32,
}

/// A member whose node is gone for good. The others keep it in their list until somebody removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LostMember {
    cluster: u64,
    id: u64,
    hostname: String,
    addresses: Vec<IpAddr>,
}

/// The id of the member on a node; 0 without one.
pub(super) fn member_id(node: &Node) -> u64 {
    node.state().etcd_member
}

/// The id of a new cluster, which no other one of this process has.
pub(super) fn new_cluster() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).saturating_add(1)
}

/// The id of a new member: of a node in a cluster. Another cluster gives it another one.
pub(super) fn new_member(setup: &Setup, cluster: u64) -> u64 {
    let address = setup.addresses.first().map(ToString::to_string);
    let hash = Sha256::digest(format!(
        "{}, cluster {cluster}",
        address.unwrap_or_default()
    ));
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(id)
}

/// All members of the cluster of `node`, in the order of their ids.
pub(super) fn members(node: &Node) -> Vec<Member> {
    let cluster = node.state().etcd_cluster;
    if cluster == 0 {
        return Vec::new();
    }
    let nodes = node.setup.network.nodes().into_iter();
    let mut members: Vec<Member> = nodes.filter_map(|node| member(node, cluster)).collect();
    let lost = node.setup.network.lost_members().into_iter();
    members.extend(
        lost.filter(|lost| lost.cluster == cluster)
            .map(|lost| Member {
                node: None,
                id: lost.id,
                hostname: lost.hostname,
                addresses: lost.addresses,
                is_running: false,
                is_voter: true,
                rank: u32::MAX,
            }),
    );
    members.sort_by_key(|member| member.id);
    members
}

/// The member on a node, if that belongs to the cluster.
fn member(node: Arc<Node>, cluster: u64) -> Option<Member> {
    let (is_running, is_voter, rank) = {
        let state = node.state();
        if state.etcd_cluster != cluster || !state.has_etcd_data {
            return None;
        }
        (
            matches!(state.etcd, Etcd::Healthy | Etcd::Unhealthy),
            state.is_etcd_voter,
            state.etcd_rank,
        )
    };
    Some(Member {
        id: member_id(&node),
        hostname: node.hostname(),
        addresses: node.setup.addresses.clone(),
        node: Some(node),
        is_running,
        is_voter,
        rank,
    })
}

/// The leader, when there is a quorum.
pub(super) fn leader(members: &[Member]) -> Option<&Member> {
    let voters: Vec<&Member> = members.iter().filter(|member| member.is_voter).collect();
    let running = voters.iter().filter(|member| member.is_running);
    if running.clone().count() * 2 <= voters.len() {
        return None;
    }
    running
        .copied()
        .min_by_key(|member| (member.rank, member.id))
}

/// Whether the cluster of the member on `node` can decide anything.
pub(super) fn has_quorum(node: &Node) -> bool {
    leader(&members(node)).is_some()
}

/// A cluster that this node could join: another control plane node with the same Talos authority has data, and there is a quorum
/// that accepts it.
pub(super) fn joinable(node: &Node) -> Option<u64> {
    let own = node.state().config.clone()?;
    node.setup.network.nodes().into_iter().find_map(|other| {
        if std::ptr::eq(Arc::as_ptr(&other), node) {
            return None;
        }
        let (is_same, cluster) = {
            let state = other.state();
            let config = state.config.as_ref();
            let is_same = config
                .is_some_and(|config| config.talos_ca.certificate == own.talos_ca.certificate);
            (is_same && state.etcd == Etcd::Healthy, state.etcd_cluster)
        };
        (is_same && has_quorum(&other)).then_some(cluster)
    })
}

/// Takes a node into a cluster. A member of the same name, which is gone, is removed before, as Talos does.
pub(super) fn join(node: &Node, cluster: u64) {
    let hostname = node.hostname();
    let network = &node.setup.network;
    network.forget_members(|lost| lost.cluster == cluster && lost.hostname == hostname);
    node.update(|state| {
        state.has_etcd_data = true;
        state.etcd_cluster = cluster;
        state.etcd_member = new_member(&node.setup, cluster);
    });
}

/// The member on a node loses its data for good, without leaving the cluster.
pub(super) fn lose(node: &Arc<Node>) {
    let cluster = node.state().etcd_cluster;
    if cluster == 0 {
        return;
    }
    let is_replaced = |hostname: &str| {
        let others = members(node).into_iter();
        let mut others = others.filter(|other| {
            let itself = other.node.as_ref();
            itself.is_none_or(|other| !Arc::ptr_eq(other, node))
        });
        others.any(|other| other.hostname == hostname)
    };
    if let Some(member) = member(Arc::clone(node), cluster)
        .filter(|member| member.is_voter && !is_replaced(&member.hostname))
    {
        node.setup.network.lose_member(LostMember {
            cluster,
            id: member.id,
            hostname: member.hostname,
            addresses: member.addresses,
        });
    }
}

/// What etcd's client says before the node has certificates of etcd.
fn no_certificate() -> Status {
    Status::unknown(
        "failed to create etcd client: error building etcd client TLS config: open /system/secrets/etcd/admin.crt: no such file or directory",
    )
}

/// Whether the member on this node answers.
pub(super) fn local(node: &Node) -> Result<(), Status> {
    let etcd = node.state().etcd;
    match etcd {
        Etcd::Healthy | Etcd::Unhealthy => Ok(()),
        Etcd::Absent | Etcd::Preparing => Err(no_certificate()),
        Etcd::Starting => Err(Status::unknown("context deadline exceeded")),
    }
}

/// The members, when the cluster has a leader. `doing` is what machined writes before the error of etcd's client, which demands a
/// leader at once.
pub(super) fn with_leader(node: &Node, doing: &str) -> Result<Vec<Member>, Status> {
    let etcd = node.state().etcd;
    match etcd {
        Etcd::Absent | Etcd::Preparing => {
            return Err(Status::unknown("no controlplane endpoints discovered yet"));
        }
        Etcd::Starting | Etcd::Healthy | Etcd::Unhealthy => {}
    }
    let members = members(node);
    if leader(&members).is_some() {
        return Ok(members);
    }
    let reason = if members.iter().any(|member| member.is_running) {
        "etcdserver: no leader"
    } else {
        "context deadline exceeded"
    };
    Err(Status::unknown(format!("{doing}{reason}")))
}

/// What the member on this node does only together with the others: without a quorum its request times out.
pub(super) fn agreed(node: &Node, doing: &str) -> Result<(), Status> {
    local(node)?;
    if has_quorum(node) {
        return Ok(());
    }
    Err(Status::unknown(format!(
        "{doing}etcdserver: request timed out"
    )))
}

/// What machined asks of etcd before it goes down for an upgrade.
pub(super) fn check_upgrade(node: &Node) -> Result<(), Status> {
    // The lock of upgrades is a lease, which needs a quorum.
    let doing = "failed to acquire upgrade mutex: error establishing etcd concurrency session: ";
    let etcd = node.state().etcd;
    match etcd {
        Etcd::Absent | Etcd::Preparing => {
            return Err(Status::unknown(
                "failed to create etcd client: no controlplane endpoints discovered yet",
            ));
        }
        Etcd::Starting => {
            return Err(Status::unknown(format!("{doing}context deadline exceeded")));
        }
        Etcd::Healthy | Etcd::Unhealthy => agreed(node, doing)?,
    }
    let members = members(node);
    let fail = |text: String| {
        Err(Status::unknown(format!(
            "error validating etcd for upgrade: {text}"
        )))
    };
    if members.len() == 2 {
        return fail(
            "etcd member count(2) is insufficient to maintain quorum if upgrade commences"
                .to_owned(),
        );
    }
    match members.iter().find(|member| !member.is_running) {
        Some(dead) => fail(format!(
            "etcd member {:016x} is not healthy; all members must be healthy to perform an upgrade: context deadline exceeded",
            dead.id
        )),
        None => Ok(()),
    }
}

pub(super) fn member_list(node: &Node, local_only: bool) -> Result<pb::EtcdMembers, Status> {
    if local_only {
        local(node)?;
        if let Some(kept) = node.state().kept_members.clone() {
            return Ok(kept);
        }
    }
    let members = with_leader(node, "")?;
    let urls = |member: &Member, port: u16| {
        let addresses = member.addresses.iter();
        addresses
            .map(|address| format!("https://{address}:{port}"))
            .collect()
    };
    let members: Vec<pb::EtcdMember> = members
        .into_iter()
        .map(|member| pb::EtcdMember {
            id: member.id,
            peer_urls: urls(&member, 2380),
            client_urls: urls(&member, 2379),
            hostname: member.hostname,
            is_learner: !member.is_voter,
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
    let leader = leader(&members).map_or(0, |leader| leader.id);
    // etcd reports it itself.
    let errors = (leader == 0).then(|| "etcdserver: no leader".to_owned());
    Ok(pb::EtcdMemberStatus {
        member_id: member_id(node),
        leader,
        errors: errors.into_iter().collect(),
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
    let doing = "failed to forfeit leadership: failed to list etcd members: ";
    let found = with_leader(node, doing)?;
    let id = member_id(node);
    if found.len() < 2 {
        return Err(Status::unknown(
            "failed to forfeit leadership: cannot forfeit leadership, only one member",
        ));
    }
    if leader(&found).is_none_or(|leader| leader.id != id) {
        return Ok(pb::EtcdForfeitLeadership::default());
    }
    node.update(|state| state.etcd_rank = state.etcd_rank.saturating_add(1));
    let members = members(node);
    Ok(pb::EtcdForfeitLeadership {
        metadata: None,
        member: leader(&members)
            .map(|leader| leader.hostname.clone())
            .unwrap_or_default(),
    })
}

/// A member that leaves stops, and its data goes with it.
pub(super) fn leave(node: &Node) -> Result<(), Status> {
    let id = member_id(node);
    let doing = format!("failed to leave cluster: failed to remove member {id}: ");
    let members = with_leader(node, &doing)?;
    if members.len() < 2 {
        return Err(Status::unknown(format!(
            "{doing}etcdserver: re-configuration failed due to not enough started members"
        )));
    }
    remove(node);
    node.update(|state| state.has_etcd_data = false);
    Ok(())
}

pub(super) fn remove_by_id(node: &Node, id: u64) -> Result<(), Status> {
    let doing = format!("failed to remove member: failed to remove member {id}: ");
    let members = with_leader(node, &doing)?;
    let Some(member) = members.iter().find(|member| member.id == id) else {
        return Err(Status::not_found("etcdserver: member not found"));
    };
    match &member.node {
        Some(of) => remove(of),
        None => (node.setup.network).forget_members(|lost| lost.id == id),
    }
    Ok(())
}

/// A member that was removed stops; its data stays on the disk.
fn remove(node: &Node) {
    node.update(|state| {
        state.etcd_cluster = 0;
        state.etcd_member = 0;
        state.is_etcd_voter = false;
        state.etcd = Etcd::Starting;
    });
}
