//! What a healthy cluster is expected to look like.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::CheckName;

/// The provider of the pod network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cni {
    /// Talos' default: DaemonSet `kube-flannel` in `kube-system`.
    #[default]
    Flannel,
    /// Another DaemonSet in `kube-system` from the machine configuration, by its name.
    DaemonSet(String),
    /// A CNI whose pods are not known by name (`cluster.network.cni.name: custom`, or an inline manifest). Its check is
    /// skipped; the nodes must become Ready.
    Custom,
    /// `cluster.network.cni.name: none`. Until a CNI is installed, no node becomes Ready and coredns stays pending, so
    /// these checks are skipped (as in talosctl since v1.13).
    None,
}

/// A component that a machine configuration can disable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// The expected nodes, components and versions, and the deadline of each check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifySpec {
    pub(super) control_planes: BTreeSet<IpAddr>,
    pub(super) workers: BTreeSet<IpAddr>,
    pub(super) cni: Cni,
    pub(super) disabled: BTreeSet<Component>,
    pub(super) admits_strangers: bool,
    pub(super) kubernetes_version: Option<String>,
    pub(super) talos_version: Option<String>,
    pub(super) talos_versions: BTreeMap<IpAddr, String>,
    pub(super) interval: Duration,
    pub(super) credentials_deadline: Duration,
    pub(super) restarts: i32,
    pub(super) host_names: BTreeMap<IpAddr, String>,
    pub(super) dns_domain: String,
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
            admits_strangers: false,
            kubernetes_version: None,
            talos_version: None,
            talos_versions: BTreeMap::new(),
            interval: Duration::from_secs(1),
            credentials_deadline: Duration::from_secs(60),
            restarts: 3,
            host_names: BTreeMap::new(),
            dns_domain: "cluster.local".to_owned(),
            deadlines: BTreeMap::new(),
            deadline: None,
        }
    }

    /// Adds expected workers, by address.
    #[must_use]
    pub fn workers(mut self, workers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.workers.extend(workers);
        self
    }

    /// Expects the node with this address to report this host name; its domain is not compared.
    #[must_use]
    pub fn host_name(mut self, address: IpAddr, name: impl Into<String>) -> Self {
        self.host_names.insert(address, name.into());
        self
    }

    /// Sets the DNS domain of the cluster (`cluster.network.dnsDomain`); `cluster.local` by default.
    #[must_use]
    pub fn dns_domain(mut self, domain: impl Into<String>) -> Self {
        self.dns_domain = domain.into();
        self
    }

    /// Sets the provider of the pod network; flannel by default.
    #[must_use]
    pub fn cni(mut self, cni: Cni) -> Self {
        self.cni = cni;
        self
    }

    /// Nodes that are not expected are a warning, and neither they nor their pods are judged. By default they are waited for to
    /// leave.
    #[must_use]
    pub fn admit_unexpected_nodes(mut self) -> Self {
        self.admits_strangers = true;
        self
    }

    /// Skips the checks of a component that the machine configuration disables.
    #[must_use]
    pub fn disabled(mut self, component: Component) -> Self {
        self.disabled.insert(component);
        self
    }

    /// Warns when the API server or a kubelet has another version; with or without `v`.
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

    /// Warns when the node with this address runs another Talos version than this one; with or without `v`.
    #[must_use]
    pub fn talos_version_of(mut self, address: IpAddr, version: impl Into<String>) -> Self {
        let version = version.into().trim_start_matches('v').to_owned();
        self.talos_versions.insert(address, version);
        self
    }

    /// The Talos version that the node with one of these addresses must run, as far as one is expected.
    pub(super) fn expected_talos(
        &self,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Option<&str> {
        let own = addresses
            .into_iter()
            .find_map(|address| self.talos_versions.get(&address));
        own.or(self.talos_version.as_ref()).map(String::as_str)
    }

    /// Sets the deadline of `check`.
    #[must_use]
    pub fn deadline(mut self, check: CheckName, deadline: Duration) -> Self {
        self.deadlines.insert(check, deadline);
        self
    }

    /// Sets the deadline of every check that has none of its own.
    #[must_use]
    pub fn deadline_each(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the interval between two attempts to reach the API server, and the first delay after a broken watch; 1 s by
    /// default.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets how long an unbroken series of 401 and 403 responses is regarded as a server that is still starting; 60 s by
    /// default.
    #[must_use]
    pub fn credentials_deadline(mut self, deadline: Duration) -> Self {
        self.credentials_deadline = deadline;
        self
    }

    /// Warns about containers with more restarts; 3 by default. Flannel and coredns often restart once or twice during
    /// the first boot.
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
