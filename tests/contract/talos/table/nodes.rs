//! The nodes that calls are made of.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use talos_client::ApplyOptions;
use talos_client::cosi::TimeStatus;
use talos_client::mock::{MockEvent, MockVolumeGroup, Network, TalosMock, TalosMockBuilder};
use talos_client::secrets::Role;

use super::{HOSTNAME, Node};
use crate::talos::support::{client_with, configured, control_plane, poll};

const SCHEMATIC: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";

/// Nodes of one release.
pub(super) struct Nodes {
    version: &'static str,
    /// The one for calls that change nothing.
    pub(super) shared: TalosMock,
}

impl Nodes {
    pub(super) async fn new(version: &'static str) -> Self {
        let shared = running(version, builder(version)).await;
        Self { version, shared }
    }

    /// The node for a call, and another one that must live as long.
    pub(super) async fn of(&self, node: Node) -> (TalosMock, Option<TalosMock>) {
        match node {
            Node::Shared => (self.shared.clone(), None),
            Node::Own => (running(self.version, builder(self.version)).await, None),
            Node::Waiting => (waiting(self.version, builder(self.version)).await, None),
            Node::Partnered => {
                let network = Network::new();
                let first = running(self.version, builder(self.version).network(&network)).await;
                let second = builder(self.version)
                    .network(&network)
                    .uuid("6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e50")
                    .hostname("tal02");
                let second = second.address([10, 0, 2, 11].into()).start().await;
                second
                    .wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
                    .await;
                let config = configuration();
                let maintenance = second.maintenance_client();
                maintenance
                    .apply_configuration(&config, ApplyOptions::default())
                    .await
                    .unwrap();
                second
                    .wait_for(|event| matches!(event, MockEvent::EtcdHealthy))
                    .await;
                (first, Some(second))
            }
        }
    }
}

fn builder(version: &str) -> TalosMockBuilder {
    TalosMock::builder()
        .version(version)
        .hostname(HOSTNAME)
        .schematic(SCHEMATIC, ["siderolabs/qemu-guest-agent"])
        .volume_group(MockVolumeGroup::new("vg0", ["/dev/sdb1"]).logical_volume("data"))
        .raid_array("/dev/md/data")
        .record_requests()
}

/// A configuration whose installer has the extension.
fn configuration() -> SecretString {
    let text = control_plane("v1.10.7");
    let plain = "ghcr.io/siderolabs/installer:v1.10.7";
    assert!(text.expose_secret().contains(plain));
    let image = format!("factory.talos.dev/nocloud-installer/{SCHEMATIC}");
    text.expose_secret().replace(plain, &image).into()
}

async fn waiting(version: &str, builder: TalosMockBuilder) -> TalosMock {
    let mock = configured(builder, &configuration()).await;
    let machine = client_with(&mock, Role::Admin).machine();
    // An upload is accepted once the data partition is mounted, a bootstrap once the time is right.
    let resources = client_with(&mock, Role::Admin).resources();
    loop {
        let time = resources.find_singleton::<TimeStatus>().await.unwrap();
        if time.is_some_and(|time| time.spec.is_synced) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let found = machine.version().await.unwrap().tag;
    assert_eq!(found, version, "the node runs another release");
    mock
}

async fn running(version: &str, builder: TalosMockBuilder) -> TalosMock {
    let mock = waiting(version, builder).await;
    let machine = client_with(&mock, Role::Admin).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
    mock
}
