//! The Kubernetes API of the cluster, once etcd is healthy.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use talos_client::config::MachineConfig;
use url::Url;

use super::servers::{Machine, Servers};
use crate::mock::kubernetes::{KubernetesEvent, KubernetesMock, KubernetesMockBuilder};

/// The port of the API server on a node.
pub(super) const KUBERNETES_PORT: u16 = 6443;
const JOIN_INTERVAL: Duration = Duration::from_millis(5);
const JOIN_DEADLINE: Duration = Duration::from_secs(20);

/// Starts the API server with the certificate authority of the configuration. Later control plane nodes join it.
pub(super) async fn start(servers: &Arc<Servers>, machine: &Machine) {
    if servers.kubernetes().is_some() {
        return;
    }
    join(servers, machine).await;
    let Some(config) = config(servers, machine) else {
        return;
    };
    // A real node would log the failure. Here the API does not start, as on hardware.
    let Ok(kubernetes) = config.try_start().await else {
        return;
    };
    let weak = Arc::downgrade(servers);
    let mut events = Box::pin(kubernetes.events());
    servers.set_kubernetes(kubernetes);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let Some(servers) = weak.upgrade() else {
                return;
            };
            if event == KubernetesEvent::NodesReady {
                report_ready(&servers);
            }
        }
    });
}

/// The other control plane nodes join etcd, which real nodes do by themselves once they reach the first one.
async fn join(servers: &Servers, first: &Machine) {
    for (vm, machine) in servers.machines() {
        if machine.declared == first.declared || servers.is_worker(vm) {
            continue;
        }
        if machine.talos.config().is_some() {
            let client = machine.talos.client();
            let poll = talos_client::Poll::every(JOIN_INTERVAL).deadline(JOIN_DEADLINE);
            // A member that cannot join is missing, as on hardware; the wait for it reports that.
            let _ = client.machine().bootstrap_and_wait(poll).await;
        }
    }
}

/// Talos reports a node as ready when Kubernetes does.
pub(super) fn report_ready(servers: &Servers) {
    if servers.kubernetes().is_some() {
        for (_, machine) in servers.machines() {
            machine.talos.set_node_ready();
        }
    }
}

fn config(servers: &Servers, machine: &Machine) -> Option<KubernetesMockBuilder> {
    let authority = machine.talos.kubernetes_authority()?;
    let document = parsed(machine)?;
    let mut config = KubernetesMock::builder()
        .certificate_authority(authority.certificate_pem(), authority.key_pem().clone())
        .timings(servers.delays().kubernetes);
    if let Some(name) = document.cluster_name() {
        config = config.cluster(name);
    }
    if let Some(host) = endpoint_host(&document) {
        config = config.name(host);
    }
    if let Some(version) = document.kubernetes_version() {
        config = config.kubernetes_version(version);
    }
    if !document.allows_scheduling_on_control_planes() {
        config = config.tainted_control_planes();
    }
    if document.cni_name() == "none" {
        config = config.without_cni();
    }
    Some(with_nodes(servers, config))
}

fn with_nodes(servers: &Servers, mut config: KubernetesMockBuilder) -> KubernetesMockBuilder {
    for (_, machine) in servers.machines() {
        let Some(document) = parsed(&machine) else {
            continue;
        };
        let name = hostname(&document).unwrap_or_else(|| default_hostname(machine.declared));
        config = if is_control_plane(&document) {
            config.control_plane(name, machine.declared)
        } else {
            config.worker(name, machine.declared)
        };
    }
    config
}

fn parsed(machine: &Machine) -> Option<MachineConfig> {
    MachineConfig::parse(machine.talos.config()?.expose_secret()).ok()
}

fn is_control_plane(document: &MachineConfig) -> bool {
    document.machine_type() != Some("worker")
}

/// The host name up to its first dot: the name of the Node object.
fn hostname(document: &MachineConfig) -> Option<String> {
    let name = document.hostname()?;
    Some(name.split('.').next().unwrap_or(name).to_owned())
}

fn default_hostname(address: IpAddr) -> String {
    format!("talos-{}", address.to_string().replace(['.', ':'], "-"))
}

fn endpoint_host(document: &MachineConfig) -> Option<String> {
    let url = Url::parse(document.endpoint()?).ok()?;
    url.host_str().map(str::to_owned)
}
