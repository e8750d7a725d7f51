//! The named checks of a cluster and their states.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A check of [`Client::verify`](super::Client::verify). The order of the variants is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckName {
    /// `/version` accepts the credentials.
    ApiReachable,
    /// `/readyz` responds with 200: etcd is reachable, the start-up hooks are done.
    ApiReady,
    /// The Node objects are exactly the expected ones, matched by address.
    NodesRegistered,
    /// Every node reports a host name, and the expected one where one is expected.
    NodeNames,
    /// The nodes with the control-plane label are exactly the expected ones.
    ControlPlaneRole,
    /// One Ready kube-apiserver, kube-controller-manager and kube-scheduler pod per control plane.
    StaticPods,
    /// The DaemonSet of the CNI runs on every node.
    Cni,
    /// Every node has the condition `Ready`.
    NodesReady,
    /// The DaemonSet kube-proxy runs on every node.
    KubeProxy,
    /// Every replica of the Deployment coredns is Ready and available.
    #[serde(rename = "coredns")]
    CoreDns,
    /// A coredns pod, asked through the API server, knows the address of the Service `kubernetes`.
    ClusterDns,
    /// No node is cordoned.
    NodesSchedulable,
    /// Every pod in `kube-system` is Ready.
    SystemPods,
    /// No container in `kube-system` restarted more often than tolerated. Reported, not waited for.
    SystemRestarts,
    /// API server, kubelets and operating system have the expected versions. Reported, not waited for.
    Versions,
    /// Every pod of every namespace is Ready or has finished. Reported, not waited for.
    AllPods,
    /// Every Service selects a Ready pod, and every load balancer has an address. Reported, not waited for.
    Services,
    /// Every Ingress has an address. Reported, not waited for.
    Ingresses,
}

impl CheckName {
    /// All checks in the order in which they run.
    pub const ALL: [Self; 18] = [
        Self::ApiReachable,
        Self::ApiReady,
        Self::NodesRegistered,
        Self::NodeNames,
        Self::ControlPlaneRole,
        Self::StaticPods,
        Self::Cni,
        Self::NodesReady,
        Self::KubeProxy,
        Self::CoreDns,
        Self::ClusterDns,
        Self::NodesSchedulable,
        Self::SystemPods,
        Self::SystemRestarts,
        Self::Versions,
        Self::AllPods,
        Self::Services,
        Self::Ingresses,
    ];

    /// A stable identifier, for example `nodes-ready`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ApiReachable => "api-reachable",
            Self::ApiReady => "api-ready",
            Self::NodesRegistered => "nodes-registered",
            Self::NodeNames => "node-names",
            Self::ControlPlaneRole => "control-plane-role",
            Self::StaticPods => "static-pods",
            Self::Cni => "cni",
            Self::NodesReady => "nodes-ready",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
            Self::ClusterDns => "cluster-dns",
            Self::NodesSchedulable => "nodes-schedulable",
            Self::SystemPods => "system-pods",
            Self::SystemRestarts => "system-restarts",
            Self::Versions => "versions",
            Self::AllPods => "all-pods",
            Self::Services => "services",
            Self::Ingresses => "ingresses",
        }
    }

    /// The condition while it is waited for, in the words of `talosctl health` where it has the same check:
    /// `coredns to report ready`.
    #[must_use]
    pub const fn waiting_for(self) -> &'static str {
        match self {
            Self::ApiReachable => "API server to respond",
            Self::ApiReady => "API server to be ready",
            Self::NodesRegistered => "all k8s nodes to report",
            Self::NodeNames => "all k8s nodes to report their host names",
            Self::ControlPlaneRole => "control plane nodes to have their role",
            Self::StaticPods => "all control plane components to be ready",
            Self::Cni => "CNI to report ready",
            Self::NodesReady => "all k8s nodes to report ready",
            Self::KubeProxy => "kube-proxy to report ready",
            Self::CoreDns => "coredns to report ready",
            Self::NodesSchedulable => "all k8s nodes to report schedulable",
            Self::ClusterDns => "cluster DNS to answer",
            Self::SystemPods => "all kube-system pods to be ready",
            Self::SystemRestarts => "few restarts in kube-system",
            Self::Versions => "the expected versions",
            Self::AllPods => "all pods to be ready",
            Self::Services => "all services to be usable",
            Self::Ingresses => "all ingresses to have an address",
        }
    }

    /// The condition once it holds: `coredns ready`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ApiReachable => "API server reachable",
            Self::ApiReady => "API server ready",
            Self::NodesRegistered => "all nodes registered",
            Self::NodeNames => "host names reported",
            Self::ControlPlaneRole => "control plane roles assigned",
            Self::StaticPods => "control plane components ready",
            Self::Cni => "CNI ready",
            Self::NodesReady => "all nodes ready",
            Self::KubeProxy => "kube-proxy ready",
            Self::CoreDns => "coredns ready",
            Self::NodesSchedulable => "all nodes schedulable",
            Self::ClusterDns => "cluster DNS answers",
            Self::SystemPods => "kube-system pods ready",
            Self::SystemRestarts => "few restarts in kube-system",
            Self::Versions => "versions as expected",
            Self::AllPods => "all pods ready",
            Self::Services => "all services usable",
            Self::Ingresses => "all ingresses have an address",
        }
    }

    /// How long `talosctl health` waits for it (v1.10.7): ten minutes for the nodes, five for everything else.
    #[must_use]
    pub const fn default_deadline(self) -> Duration {
        match self {
            Self::NodesReady => Duration::from_secs(600),
            _ => Duration::from_secs(300),
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckState {
    /// The condition holds.
    Passed,
    /// The condition does not hold yet, with the reason.
    Waiting(String),
    /// The check does not apply to this cluster, with the reason.
    Skipped(String),
    /// The condition does not hold, with the reason; the cluster works without it.
    Warned(String),
}

/// A check with its state: what observers of [`Client::verify_observed`](super::Client::verify_observed) receive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// The check.
    pub name: CheckName,
    /// Its state.
    pub state: CheckState,
    /// How many times the condition was evaluated, from 1.
    pub attempt: u32,
    /// Time since the check began.
    pub elapsed: Duration,
    /// The time for this check.
    pub deadline: Duration,
}

impl Check {
    /// Whether the check is over: passed, skipped or only worth a warning.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !matches!(self.state, CheckState::Waiting(_))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            CheckState::Passed => write!(f, "{}: OK", self.name),
            CheckState::Waiting(cause) => {
                write!(f, "waiting for {}: {cause}", self.name.waiting_for())
            }
            CheckState::Skipped(reason) => write!(f, "{}: SKIP ({reason})", self.name),
            CheckState::Warned(reason) => write!(f, "{}: WARN ({reason})", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_own_id_and_text() {
        let ids: std::collections::BTreeSet<_> =
            CheckName::ALL.iter().map(|name| name.id()).collect();
        let texts: std::collections::BTreeSet<_> =
            CheckName::ALL.iter().map(|name| name.text()).collect();

        assert_eq!((ids.len(), texts.len()), (18, 18));
        for check in CheckName::ALL {
            let json = serde_json::to_string(&check).unwrap();
            assert_eq!(json, format!("\"{}\"", check.id()));
        }
    }

    #[test]
    fn a_waiting_check_reads_as_a_sentence() {
        let check = Check {
            name: CheckName::NodesReady,
            state: CheckState::Waiting("tal01 is not ready".to_owned()),
            attempt: 1,
            elapsed: Duration::ZERO,
            deadline: Duration::from_secs(600),
        };

        assert_eq!(
            check.to_string(),
            "waiting for all k8s nodes to report ready: tal01 is not ready"
        );
        assert!(!check.is_done());
    }
}
