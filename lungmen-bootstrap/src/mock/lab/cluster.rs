//! The Kubernetes API of the cluster, once etcd is healthy.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use secrecy::ExposeSecret as _;
use talos_client::config::MachineConfig;
use url::Url;

use super::servers::{Machine, Servers};
use crate::mock::kubernetes::{KubernetesEvent, KubernetesMock, KubernetesMockBuilder, MockNode};

/// The port of the API server on a node.
pub(super) const KUBERNETES_PORT: u16 = 6443;

/// etcd of the node is healthy: it starts the API server, or joins the cluster whose API server runs.
pub(super) async fn control_plane_is_up(servers: &Arc<Servers>, machine: &Machine) {
    // Several nodes become healthy at about the same time, and the cluster has one API server.
    let starting = servers.starting.lock().await;
    if servers.kubernetes().is_none() {
        start(servers, machine);
        return;
    }
    drop(starting);
    join_kubernetes(servers, machine).await;
}

/// The node runs with its configuration: a worker joins a cluster that runs. Control plane nodes join its etcd first, by
/// themselves, and Kubernetes once their member is healthy.
pub(super) async fn configured(servers: &Servers, machine: &Machine) {
    if parsed(machine).is_some_and(|document| !is_control_plane(&document)) {
        join_kubernetes(servers, machine).await;
    }
}

/// Starts the API server with the certificate authority of the configuration. Then the other configured machines join.
fn start(servers: &Arc<Servers>, machine: &Machine) {
    let Some(config) = config(servers, machine) else {
        return;
    };
    // A real node would log the failure. Here the API does not start, as on hardware.
    let Ok(kubernetes) = config.try_start() else {
        return;
    };
    servers.spawn(follow_kubernetes(
        Arc::downgrade(servers),
        kubernetes.events().boxed(),
    ));
    servers.set_kubernetes(kubernetes, endpoint(machine));
    for (_, other) in servers.machines() {
        if other.declared != machine.declared && other.talos.config().is_some() {
            let joining = Arc::downgrade(servers);
            servers.spawn(async move {
                if let Some(servers) = joining.upgrade() {
                    configured(&servers, &other).await;
                }
            });
        }
    }
}

async fn follow_kubernetes(
    servers: Weak<Servers>,
    mut events: BoxStream<'static, KubernetesEvent>,
) {
    while let Some(event) = events.next().await {
        let Some(servers) = servers.upgrade() else {
            return;
        };
        if event == KubernetesEvent::NodesReady {
            report_ready(&servers);
        }
    }
}

/// The kubelet of the machine registers its node. Nothing happens when it has.
async fn join_kubernetes(servers: &Servers, machine: &Machine) {
    let (Some(kubernetes), Some(document)) = (servers.kubernetes(), parsed(machine)) else {
        return;
    };
    kubernetes.add_node(node(&document, machine)).await;
}

fn node(document: &MachineConfig, machine: &Machine) -> MockNode {
    let name = node_name(document, machine);
    let node = match is_control_plane(document) {
        true => MockNode::control_plane(name, machine.declared),
        false => MockNode::worker(name, machine.declared),
    };
    node.talos_version(&machine.version)
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
    if let Some((host, _)) = endpoint(machine) {
        config = match host.parse() {
            Ok(address) => config.certificate_address(address),
            Err(_) => config.name(host),
        };
    }
    if let Some(version) = document.kubernetes_version() {
        config = config.kubernetes_version(version);
    }
    if let Some(domain) = document.dns_domain() {
        config = config.dns_domain(domain);
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
        config = config.node(node(&document, &machine));
    }
    config
}

fn parsed(machine: &Machine) -> Option<MachineConfig> {
    MachineConfig::parse(machine.talos.config()?.expose_secret()).ok()
}

fn is_control_plane(document: &MachineConfig) -> bool {
    document.machine_type() != Some("worker")
}

/// The name of the Node object: the host name up to its first dot. The configuration overrides the nocloud drive.
fn node_name(document: &MachineConfig, machine: &Machine) -> String {
    let configured = document.hostname().map(str::to_owned);
    let name = configured
        .or_else(|| machine.hostname.clone())
        .unwrap_or_else(|| default_hostname(machine.declared));
    name.split('.').next().unwrap_or(&name).to_owned()
}

fn default_hostname(address: IpAddr) -> String {
    format!("talos-{}", address.to_string().replace(['.', ':'], "-"))
}

/// Host and port of the Kubernetes endpoint in the configuration.
fn endpoint(machine: &Machine) -> Option<(String, u16)> {
    let document = parsed(machine)?;
    let url = Url::parse(document.endpoint()?).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some((host, url.port_or_known_default()?))
}
