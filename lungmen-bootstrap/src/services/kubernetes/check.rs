//! The named checks of a cluster and how each of them stands.

use std::fmt;
use std::time::Duration;

/// A check of [`Client::verify`](super::Client::verify). The order of the variants is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CheckName {
    /// `/version` answers our credentials.
    ApiReachable,
    /// `/readyz` answers 200: etcd is reachable, the start-up hooks are done.
    ApiReady,
    /// The Node objects are exactly the expected ones, matched by address.
    NodesRegistered,
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
    CoreDns,
    /// No node is cordoned.
    NodesSchedulable,
    /// No pod in `kube-system` is left that is not Ready.
    SystemPods,
}

impl CheckName {
    /// All checks in the order in which they run.
    pub const ALL: [Self; 11] = [
        Self::ApiReachable,
        Self::ApiReady,
        Self::NodesRegistered,
        Self::ControlPlaneRole,
        Self::StaticPods,
        Self::Cni,
        Self::NodesReady,
        Self::KubeProxy,
        Self::CoreDns,
        Self::NodesSchedulable,
        Self::SystemPods,
    ];

    /// A short stable name for machines, for example `nodes-ready`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ApiReachable => "api-reachable",
            Self::ApiReady => "api-ready",
            Self::NodesRegistered => "nodes-registered",
            Self::ControlPlaneRole => "control-plane-role",
            Self::StaticPods => "static-pods",
            Self::Cni => "cni",
            Self::NodesReady => "nodes-ready",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
            Self::NodesSchedulable => "nodes-schedulable",
            Self::SystemPods => "system-pods",
        }
    }

    /// What is waited for, in the words of `talosctl health` where it has the same check.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ApiReachable => "API server to answer",
            Self::ApiReady => "API server to be ready",
            Self::NodesRegistered => "all k8s nodes to report",
            Self::ControlPlaneRole => "control plane nodes to have their role",
            Self::StaticPods => "all control plane components to be ready",
            Self::Cni => "CNI to report ready",
            Self::NodesReady => "all k8s nodes to report ready",
            Self::KubeProxy => "kube-proxy to report ready",
            Self::CoreDns => "coredns to report ready",
            Self::NodesSchedulable => "all k8s nodes to report schedulable",
            Self::SystemPods => "all kube-system pods to be ready",
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

/// How a check stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckState {
    /// It holds.
    Passed,
    /// It does not hold yet, for this reason.
    Waiting(String),
    /// It does not apply to this cluster, for this reason.
    Skipped(String),
}

/// A check, its state, and how long it has been waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Which check.
    pub name: CheckName,
    /// How it stands.
    pub state: CheckState,
    /// Time since the check began.
    pub duration: Duration,
}

impl Check {
    pub(super) fn new(name: CheckName, state: CheckState, duration: Duration) -> Self {
        Self {
            name,
            state,
            duration,
        }
    }

    /// Whether nothing remains to be waited for: passed or skipped.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !matches!(self.state, CheckState::Waiting(_))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            CheckState::Passed => write!(f, "{}: OK", self.name),
            CheckState::Waiting(cause) => write!(f, "waiting for {}: {cause}", self.name),
            CheckState::Skipped(reason) => write!(f, "{}: SKIP ({reason})", self.name),
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

        assert_eq!((ids.len(), texts.len()), (11, 11));
    }

    #[test]
    fn a_waiting_check_reads_as_a_sentence() {
        let check = Check::new(
            CheckName::NodesReady,
            CheckState::Waiting("tal01 is not ready".to_owned()),
            Duration::ZERO,
        );

        assert_eq!(
            check.to_string(),
            "waiting for all k8s nodes to report ready: tal01 is not ready"
        );
        assert!(!check.is_done());
    }
}
