//! What a healthy cluster is expected to look like.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::check::CheckName;

/// Who provides the pod network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cni {
    /// Talos' default: DaemonSet `kube-flannel` in `kube-system`.
    #[default]
    Flannel,
    /// Another DaemonSet in `kube-system` that the machine configuration brings along, by its name.
    DaemonSet(String),
    /// Something else whose pods are not known by name (`cluster.network.cni.name: custom`, or a CNI that comes with an
    /// inline manifest): its own check is skipped, the nodes must become Ready all the same.
    Custom,
    /// `cluster.network.cni.name: none`: without somebody installing one, no node becomes Ready and coredns stays
    /// pending, so those checks are skipped (as talosctl does since v1.13).
    None,
}

/// A part of the control plane that a machine configuration can switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Component {
    /// `cluster.proxy.disabled`
    KubeProxy,
    /// `cluster.coreDNS.disabled`
    CoreDns,
    /// `machine.controlPlane.controllerManager.disabled`
    ControllerManager,
    /// `machine.controlPlane.scheduler.disabled`
    Scheduler,
}

/// The expected nodes, components and versions, and how long to wait for each check.
#[derive(Debug, Clone)]
pub struct VerifySpec {
    pub(super) control_planes: BTreeSet<IpAddr>,
    pub(super) workers: BTreeSet<IpAddr>,
    pub(super) cni: Cni,
    pub(super) disabled: BTreeSet<Component>,
    pub(super) kubernetes_version: Option<String>,
    pub(super) talos_version: Option<String>,
    pub(super) interval: Duration,
    pub(super) grace: Duration,
    pub(super) restarts: i32,
    deadlines: BTreeMap<CheckName, Duration>,
    deadline: Option<Duration>,
}

impl VerifySpec {
    /// Expects a cluster of exactly these control-plane nodes, by address, with everything Talos runs by default.
    #[must_use]
    pub fn new(control_planes: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            control_planes: control_planes.into_iter().collect(),
            workers: BTreeSet::new(),
            cni: Cni::default(),
            disabled: BTreeSet::new(),
            kubernetes_version: None,
            talos_version: None,
            interval: Duration::from_secs(1),
            grace: Duration::from_secs(60),
            restarts: 3,
            deadlines: BTreeMap::new(),
            deadline: None,
        }
    }

    /// Expects these workers too.
    #[must_use]
    pub fn workers(mut self, workers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.workers.extend(workers);
        self
    }

    /// Who provides the pod network; flannel unless set.
    #[must_use]
    pub fn cni(mut self, cni: Cni) -> Self {
        self.cni = cni;
        self
    }

    /// Skips what the machine configuration switches off.
    #[must_use]
    pub fn disabled(mut self, component: Component) -> Self {
        self.disabled.insert(component);
        self
    }

    /// Warns when the API server or a kubelet is of another version; with or without `v`.
    #[must_use]
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into().trim_start_matches('v').to_owned());
        self
    }

    /// Warns when a node runs another Talos version; with or without `v`.
    #[must_use]
    pub fn talos_version(mut self, version: impl Into<String>) -> Self {
        self.talos_version = Some(version.into().trim_start_matches('v').to_owned());
        self
    }

    /// How long to wait for `check`.
    #[must_use]
    pub fn deadline(mut self, check: CheckName, deadline: Duration) -> Self {
        self.deadlines.insert(check, deadline);
        self
    }

    /// How long to wait for each check that has no deadline of its own.
    #[must_use]
    pub fn deadline_each(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Pause between two attempts to reach the API server and the first pause of a broken watch; 1 s unless set.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long an unbroken row of 401 and 403 answers is put down to a server that is still starting; 60 s unless set.
    #[must_use]
    pub fn credentials_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Warns about containers that restarted more often; 3 unless set. Flannel and coredns often restart once or twice
    /// during the first boot.
    #[must_use]
    pub fn tolerated_restarts(mut self, restarts: i32) -> Self {
        self.restarts = restarts;
        self
    }

    pub(super) fn deadline_of(&self, check: CheckName) -> Duration {
        self.deadlines
            .get(&check)
            .copied()
            .or(self.deadline)
            .unwrap_or(check.default_deadline())
    }

    pub(super) fn is_disabled(&self, component: Component) -> bool {
        self.disabled.contains(&component)
    }

    pub(super) fn nodes(&self) -> BTreeSet<IpAddr> {
        self.control_planes.union(&self.workers).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_its_own_wins_over_the_common_one_and_that_over_the_default() {
        let spec = VerifySpec::new([]).deadline(CheckName::Cni, Duration::from_secs(1));

        assert_eq!(spec.deadline_of(CheckName::Cni), Duration::from_secs(1));
        assert_eq!(
            spec.deadline_of(CheckName::NodesReady),
            Duration::from_secs(600)
        );
        let spec = spec.deadline_each(Duration::from_secs(2));
        assert_eq!(spec.deadline_of(CheckName::Cni), Duration::from_secs(1));
        assert_eq!(
            spec.deadline_of(CheckName::NodesReady),
            Duration::from_secs(2)
        );
    }
}
