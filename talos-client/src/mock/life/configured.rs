//! What a mock node does after it has booted from its disk.

use std::sync::Arc;

use tokio::time::sleep;

use super::identity::open_configured;
use super::{Halt, Next};
use crate::api::cosi::Stage;
use crate::mock::etcd;
use crate::mock::event::MockEvent;
use crate::mock::node::{Etcd, Node};

/// Runs as a member of its cluster until another command arrives.
pub(super) async fn configured(node: &Arc<Node>) -> Result<Next, Halt> {
    let (is_control_plane, has_cni) = {
        let state = node.state();
        let config = state.config.as_ref();
        (
            config.is_some_and(|config| config.is_control_plane),
            config.is_some_and(|config| config.has_cni),
        )
    };
    node.update(|state| {
        state.etcd = if is_control_plane {
            Etcd::Preparing
        } else {
            Etcd::Absent
        };
    });
    open_configured(node).await?;
    let delays = node.setup.delays;
    sleep(delays.services).await;
    node.update(|state| state.has_services = true);
    sleep(delays.time_sync).await;
    node.update(|state| state.is_time_synced = true);

    if is_control_plane {
        etcd_data(node).await;
        node.update(|state| state.etcd = Etcd::Starting);
        sleep(delays.etcd).await;
        node.update(|state| {
            state.etcd = Etcd::Healthy;
            state.is_etcd_voter = true;
        });
        node.events.push(MockEvent::EtcdHealthy);
    }
    sleep(delays.kubernetes).await;
    node.update(|state| {
        state.has_static_pods = true;
        state.stage = Stage::Running;
    });
    if has_cni && node.setup.becomes_ready {
        sleep(delays.node_ready).await;
        node.update(|state| state.is_node_ready = true);
    }
    if is_control_plane {
        check_etcd(node).await;
    }
    std::future::pending().await
}

/// The health check of etcd, which asks for something that needs a quorum.
async fn check_etcd(node: &Node) {
    let mut changes = node.setup.network.changes();
    loop {
        let found = if etcd::has_quorum(node) {
            Etcd::Healthy
        } else {
            Etcd::Unhealthy
        };
        let was = node.state().etcd;
        let is_running = matches!(was, Etcd::Healthy | Etcd::Unhealthy);
        if is_running && was != found {
            node.update(|state| state.etcd = found);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Waits until the node is bootstrapped, or joins the etcd cluster of another node.
async fn etcd_data(node: &Node) {
    let mut changes = node.setup.network.changes();
    loop {
        if node.state().has_etcd_data {
            return;
        }
        if let Some(cluster) = etcd::joinable(node) {
            etcd::join(node, cluster);
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
