//! What a faked cluster consists of, and how fast it comes up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

use super::authority;
use crate::services::Result;

/// A machine of the faked cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MockNode {
    /// Name of the Node object.
    pub name: String,
    /// Its InternalIP.
    pub address: IpAddr,
    /// Whether it is a control plane.
    pub control_plane: bool,
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
    /// A start-up of a few seconds, for people to watch.
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

    /// Everything is there and ready at once.
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

/// What a faked API server serves.
#[derive(Debug, Clone)]
#[must_use = "a configuration starts nothing"]
pub struct KubernetesMockConfig {
    pub(super) authority: (String, SecretString),
    pub(super) cluster: String,
    pub(super) names: Vec<String>,
    pub(super) nodes: Vec<MockNode>,
    pub(super) kubernetes_version: String,
    pub(super) talos_version: String,
    pub(super) timings: KubernetesTimings,
    pub(super) listen: SocketAddr,
    pub(super) flannel: bool,
    pub(super) kube_proxy: bool,
    pub(super) coredns: bool,
    pub(super) workloads_on_control_planes: bool,
}

impl KubernetesMockConfig {
    /// A cluster with this Kubernetes CA (`cluster.ca` of the machine configuration), PEM certificate and key. Without
    /// further settings it has one control plane `tal01` at 10.0.2.10, Kubernetes 1.33.4 and Talos 1.10.7.
    pub fn new(certificate_authority: impl Into<String>, key: SecretString) -> Self {
        Self {
            authority: (certificate_authority.into(), key),
            cluster: "lungmen.akn".to_owned(),
            names: Vec::new(),
            nodes: Vec::new(),
            kubernetes_version: "1.33.4".to_owned(),
            talos_version: "1.10.7".to_owned(),
            timings: KubernetesTimings::default(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            flannel: true,
            kube_proxy: true,
            coredns: true,
            workloads_on_control_planes: true,
        }
    }

    /// A cluster with a CA of its own.
    ///
    /// # Errors
    ///
    /// `Configuration` when no key can be generated.
    pub fn generate() -> Result<Self> {
        let (certificate, key) = authority::generate()?;
        Ok(Self::new(certificate, key))
    }

    /// Name of the cluster, as it appears in kubeconfigs.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Puts another DNS name into the server's certificate, usually the host of the endpoint.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Adds a control plane.
    pub fn control_plane(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.nodes.push(MockNode {
            name: name.into(),
            address,
            control_plane: true,
        });
        self
    }

    /// Adds a worker.
    pub fn worker(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.nodes.push(MockNode {
            name: name.into(),
            address,
            control_plane: false,
        });
        self
    }

    /// Version of the API server and the kubelets, without `v`.
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = version.into().trim_start_matches('v').to_owned();
        self
    }

    /// Version in the nodes' OS image, without `v`.
    pub fn talos_version(mut self, version: impl Into<String>) -> Self {
        self.talos_version = version.into().trim_start_matches('v').to_owned();
        self
    }

    /// How fast the cluster comes up.
    pub fn timings(mut self, timings: KubernetesTimings) -> Self {
        self.timings = timings;
        self
    }

    /// Where to listen; a free loopback port unless set.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Brings no CNI along (`cluster.network.cni.name: none`): nodes stay NotReady, coredns stays pending.
    pub fn without_cni(mut self) -> Self {
        self.flannel = false;
        self
    }

    /// Runs no kube-proxy (`cluster.proxy.disabled`).
    pub fn without_kube_proxy(mut self) -> Self {
        self.kube_proxy = false;
        self
    }

    /// Runs no coredns (`cluster.coreDNS.disabled`).
    pub fn without_coredns(mut self) -> Self {
        self.coredns = false;
        self
    }

    /// Keeps the control-plane taint (no `cluster.allowSchedulingOnControlPlanes`).
    pub fn tainted_control_planes(mut self) -> Self {
        self.workloads_on_control_planes = false;
        self
    }

    pub(super) fn machines(&self) -> Vec<MockNode> {
        if self.nodes.is_empty() {
            return vec![MockNode {
                name: "tal01".to_owned(),
                address: Ipv4Addr::new(10, 0, 2, 10).into(),
                control_plane: true,
            }];
        }
        self.nodes.clone()
    }
}
