//! The network that several mock nodes share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tonic::Status;

use super::etcd::LostMember;
use super::node::{Mode, Node};

/// A network of mock nodes. A cheap handle: clones are the same network.
///
/// Its nodes reach each other: control plane nodes forward calls to others, join the etcd cluster of their configuration,
/// and sign the certificates of workers. A node without a network of its own is alone.
#[derive(Debug, Clone, Default)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nodes: Mutex<Vec<Weak<Node>>>,
    lost_members: Mutex<Vec<LostMember>>,
    changed: watch::Sender<()>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            nodes: Mutex::default(),
            lost_members: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Network {
    /// A network without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn add(&self, node: &Arc<Node>) {
        let mut nodes = self
            .shared
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        nodes.push(Arc::downgrade(node));
    }

    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        let nodes = self
            .shared
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        nodes.iter().filter_map(Weak::upgrade).collect()
    }

    /// Members of etcd whose nodes are gone for good.
    pub(super) fn lost_members(&self) -> Vec<LostMember> {
        self.lost().clone()
    }

    pub(super) fn lose_member(&self, member: LostMember) {
        self.lost().push(member);
        self.notify();
    }

    pub(super) fn forget_members(&self, is_meant: impl Fn(&LostMember) -> bool) {
        self.lost().retain(|member| !is_meant(member));
        self.notify();
    }

    fn lost(&self) -> MutexGuard<'_, Vec<LostMember>> {
        self.shared
            .lost_members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits for another node.
    pub(super) fn notify(&self) {
        self.shared.changed.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }
}

/// The node that a call with a `node` or `nodes` header is for, as apid finds it.
pub(super) fn target(node: &Arc<Node>, name: &str) -> Result<Arc<Node>, Status> {
    if node.mode() == Mode::Maintenance || node.is_called(name) {
        return Ok(Arc::clone(node));
    }
    if name.parse::<SocketAddr>().is_ok() {
        return Err(Status::internal(format!("invalid target {name:?}")));
    }
    let is_control_plane =
        (node.state().config.as_ref()).is_some_and(|config| config.is_control_plane);
    if !is_control_plane {
        return Err(Status::permission_denied("no request forwarding"));
    }
    let found = node
        .setup
        .network
        .nodes()
        .into_iter()
        .find(|other| other.is_called(name));
    match found {
        Some(other) if other.mode() == Mode::Configured => Ok(other),
        _ => Err(Status::unavailable(format!(
            "connection error: desc = \"transport: Error while dialing: dial tcp {name}:50000: connect: connection refused\""
        ))),
    }
}
