//! Nodes, versions and start-up times of a mock cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

use super::KubernetesMock;
use super::authority::{self, Authority};
use crate::services::Result;

/// A node of the mock cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MockNode {
    /// Name of the Node object.
    pub name: String,
    /// Its InternalIP.
    pub address: IpAddr,
    /// Whether it is a control plane.
    pub control_plane: bool,
    /// The Talos version that it runs; that of the mock when it is `None`.
    pub talos_version: Option<String>,
}

impl MockNode {
    /// A control plane.
    #[must_use]
    pub fn control_plane(name: impl Into<String>, address: IpAddr) -> Self {
        Self {
            name: name.into(),
            address,
            control_plane: true,
            talos_version: None,
        }
    }

    /// A worker.
    #[must_use]
    pub fn worker(name: impl Into<String>, address: IpAddr) -> Self {
        Self {
            control_plane: false,
            ..Self::control_plane(name, address)
        }
    }

    /// Sets the Talos version in the OS image of this node, with or without `v`.
    #[must_use]
    pub fn talos_version(mut self, version: impl Into<String>) -> Self {
        self.talos_version = Some(version.into().trim_start_matches('v').to_owned());
        self
    }
}

/// How long each phase of the start-up takes, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubernetesTimings {
    /// Connections are refused.
    pub refused: Duration,
    /// The server answers 503, and 500 on `/readyz`.
    pub unready: Duration,
    /// Until the kubelets have registered their nodes, which are not ready.
    pub registration: Duration,
    /// Until the static pods are Ready.
    pub static_pods: Duration,
    /// Until flannel and kube-proxy are Ready.
    pub network: Duration,
    /// Until the nodes are Ready.
    pub nodes: Duration,
    /// Until coredns is available.
    pub coredns: Duration,
    /// Until the token controller has filled a new token Secret.
    pub token: Duration,
    /// Between two bookmarks of a watch.
    pub bookmark: Duration,
}

impl Default for KubernetesTimings {
    /// A start-up of a few seconds, for demonstrations.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            refused: ms(400),
            unready: ms(500),
            registration: ms(400),
            static_pods: ms(500),
            network: ms(500),
            nodes: ms(400),
            coredns: ms(500),
            token: ms(300),
            bookmark: Duration::from_secs(60),
        }
    }
}

impl KubernetesTimings {
    /// A start-up of some milliseconds, for tests.
    #[must_use]
    pub fn fast() -> Self {
        let ms = Duration::from_millis;
        Self {
            refused: ms(5),
            unready: ms(5),
            registration: ms(5),
            static_pods: ms(5),
            network: ms(5),
            nodes: ms(5),
            coredns: ms(5),
            token: ms(5),
            bookmark: ms(50),
        }
    }

    /// Everything is ready at once.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            refused: Duration::ZERO,
            unready: Duration::ZERO,
            registration: Duration::ZERO,
            static_pods: Duration::ZERO,
            network: Duration::ZERO,
            nodes: Duration::ZERO,
            coredns: Duration::ZERO,
            token: Duration::ZERO,
            bookmark: Duration::from_millis(50),
        }
    }
}

/// What a mock API server serves.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) cluster_name: String,
    pub(super) names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) nodes: Vec<MockNode>,
    pub(super) kubernetes_version: String,
    pub(super) talos_version: String,
    pub(super) timings: KubernetesTimings,
    pub(super) listen: SocketAddr,
    pub(super) flannel: bool,
    pub(super) kube_proxy: bool,
    pub(super) coredns: bool,
    pub(super) workloads_on_control_planes: bool,
    pub(super) dns_domain: String,
}

/// Builder for a [`KubernetesMock`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct KubernetesMockBuilder {
    authority: Option<(String, SecretString)>,
    settings: Settings,
}

impl KubernetesMockBuilder {
    /// Without further settings: a new CA, one control plane `tal01` at 10.0.2.10, Kubernetes 1.33.4 and Talos 1.10.7.
    pub(super) fn new() -> Self {
        Self {
            authority: None,
            settings: Settings {
                cluster_name: "lungmen.akn".to_owned(),
                names: Vec::new(),
                addresses: Vec::new(),
                nodes: Vec::new(),
                kubernetes_version: "1.33.4".to_owned(),
                talos_version: "1.10.7".to_owned(),
                timings: KubernetesTimings::default(),
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                flannel: true,
                kube_proxy: true,
                coredns: true,
                workloads_on_control_planes: true,
                dns_domain: "cluster.local".to_owned(),
            },
        }
    }

    /// Sets the Kubernetes CA (`cluster.ca` of the machine configuration): certificate and key as PEM. A new CA by default.
    pub fn certificate_authority(
        mut self,
        certificate: impl Into<String>,
        key: SecretString,
    ) -> Self {
        self.authority = Some((certificate.into(), key));
        self
    }

    /// Sets the name of the cluster in kubeconfigs.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.settings.cluster_name = name.into();
        self
    }

    /// Adds a DNS name to the server's certificate, usually the host of the endpoint.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.names.push(name.into());
        self
    }

    /// Adds an IP address to the server's certificate, for an endpoint that is not the address of a node.
    pub fn certificate_address(mut self, address: IpAddr) -> Self {
        self.settings.addresses.push(address);
        self
    }

    /// Adds a control plane node.
    pub fn control_plane(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.settings
            .nodes
            .push(MockNode::control_plane(name, address));
        self
    }

    /// Adds a worker.
    pub fn worker(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.settings.nodes.push(MockNode::worker(name, address));
        self
    }

    /// Adds a node.
    pub fn node(mut self, node: MockNode) -> Self {
        self.settings.nodes.push(node);
        self
    }

    /// Sets the version of the API server and the kubelets, with or without `v`.
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.settings.kubernetes_version = version.into().trim_start_matches('v').to_owned();
        self
    }

    /// Sets the Talos version in the OS image of the nodes, with or without `v`.
    pub fn talos_version(mut self, version: impl Into<String>) -> Self {
        self.settings.talos_version = version.into().trim_start_matches('v').to_owned();
        self
    }

    /// Sets how long the phases of the start-up take.
    pub fn timings(mut self, timings: KubernetesTimings) -> Self {
        self.settings.timings = timings;
        self
    }

    /// Sets the address to listen on; a free loopback port by default.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.settings.listen = address;
        self
    }

    /// Runs no CNI (`cluster.network.cni.name: none`): nodes stay NotReady, coredns stays pending.
    pub fn without_cni(mut self) -> Self {
        self.settings.flannel = false;
        self
    }

    /// Runs no kube-proxy (`cluster.proxy.disabled`).
    pub fn without_kube_proxy(mut self) -> Self {
        self.settings.kube_proxy = false;
        self
    }

    /// Runs no coredns (`cluster.coreDNS.disabled`).
    pub fn without_coredns(mut self) -> Self {
        self.settings.coredns = false;
        self
    }

    /// Keeps the control-plane taint (no `cluster.allowSchedulingOnControlPlanes`).
    pub fn tainted_control_planes(mut self) -> Self {
        self.settings.workloads_on_control_planes = false;
        self
    }

    /// Sets the DNS domain of the cluster; `cluster.local` by default.
    pub fn dns_domain(mut self, domain: impl Into<String>) -> Self {
        self.settings.dns_domain = domain.into();
        self
    }

    /// Binds the address and starts the cluster in the background.
    ///
    /// # Panics
    ///
    /// When the CA cannot be used or the address is not available.
    #[allow(clippy::unused_async, reason = "all mocks start alike")]
    pub async fn start(self) -> KubernetesMock {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    pub(in crate::mock) fn try_start(self) -> Result<KubernetesMock> {
        let (certificate, key) = match self.authority {
            Some(authority) => authority,
            None => authority::generate()?,
        };
        KubernetesMock::launch(self.settings, Authority::load(&certificate, &key)?)
    }
}

impl Settings {
    pub(super) fn machines(&self) -> Vec<MockNode> {
        if self.nodes.is_empty() {
            let address = Ipv4Addr::new(10, 0, 2, 10).into();
            return vec![MockNode::control_plane("tal01", address)];
        }
        self.nodes.clone()
    }
}

/// The DNS names of the certificate, as in Talos.
pub(super) fn names(settings: &Settings, nodes: &[MockNode]) -> Vec<String> {
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    .map(str::to_owned)
    .into();
    names.extend(settings.names.iter().cloned());
    names.extend(nodes.iter().map(|node| node.name.clone()));
    names
}

/// The addresses of the certificate: those of the nodes, and the real one of the mock.
pub(super) fn addresses(settings: &Settings, nodes: &[MockNode], own: IpAddr) -> Vec<IpAddr> {
    let mut addresses = vec![own, IpAddr::from([127, 0, 0, 1])];
    addresses.extend(settings.addresses.iter().copied());
    addresses.extend(nodes.iter().map(|node| node.address));
    addresses.sort();
    addresses.dedup();
    addresses
}
