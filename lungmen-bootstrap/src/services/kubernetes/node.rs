//! The state of a machine, read from its Node object.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, NodeSystemInfo};
use serde::{Deserialize, Serialize};

pub(super) const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";

/// Conditions that report a problem when they are `True`.
const PRESSURE: [&str; 4] = [
    "MemoryPressure",
    "DiskPressure",
    "PIDPressure",
    "NetworkUnavailable",
];

/// A node as the cluster reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeSummary {
    /// Name of the Node object: the lower-cased host name, without domain unless the kubelet registers with the FQDN.
    pub name: String,
    /// Its internal and external addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it carries the control-plane label.
    pub control_plane: bool,
    /// Whether its condition `Ready` is `True`.
    pub ready: bool,
    /// Version of its kubelet, for example `v1.33.4`.
    pub kubelet_version: String,
    /// Its operating system, for example `Talos (v1.10.7)`.
    pub os_image: String,
}

impl NodeSummary {
    pub(super) fn of(node: &Node) -> Self {
        let info = info(node);
        Self {
            name: name(node).to_owned(),
            addresses: addresses(node).into_iter().collect(),
            control_plane: is_control_plane(node),
            ready: is_ready(node),
            kubelet_version: info
                .map(|info| info.kubelet_version.clone())
                .unwrap_or_default(),
            os_image: info.map(|info| info.os_image.clone()).unwrap_or_default(),
        }
    }
}

pub(super) fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// The internal and external addresses; talosctl matches nodes by any of them.
pub(super) fn addresses(node: &Node) -> BTreeSet<IpAddr> {
    let listed = node
        .status
        .as_ref()
        .and_then(|status| status.addresses.as_ref());
    listed
        .into_iter()
        .flatten()
        .filter(|address| matches!(address.type_.as_str(), "InternalIP" | "ExternalIP"))
        .filter_map(|address| address.address.parse().ok())
        .collect()
}

/// The host name that the kubelet reports.
pub(super) fn host_name(node: &Node) -> Option<&str> {
    let listed = node.status.as_ref()?.addresses.as_ref()?;
    let name = listed.iter().find(|address| address.type_ == "Hostname")?;
    Some(&name.address)
}

/// The first label of a host name, in lower case: kubelets report with or without the domain.
pub(super) fn short_name(name: &str) -> String {
    name.split('.').next().unwrap_or(name).to_lowercase()
}

pub(super) fn is_control_plane(node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(CONTROL_PLANE_LABEL))
}

pub(super) fn is_ready(node: &Node) -> bool {
    condition(node, "Ready").is_some_and(|(status, _)| status == "True")
}

/// Why the node is not ready, with the message of the kubelet when there is one.
pub(super) fn not_ready_cause(node: &Node) -> String {
    match condition(node, "Ready") {
        Some((_, message)) if !message.is_empty() => {
            format!("{} is not ready: {message}", name(node))
        }
        Some(_) => format!("{} is not ready", name(node)),
        None => format!("{} has not reported yet", name(node)),
    }
}

pub(super) fn is_schedulable(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.unschedulable) != Some(true)
}

/// Whether the control-plane taint keeps ordinary pods away.
pub(super) fn repels_workloads(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints
        .into_iter()
        .flatten()
        .any(|taint| taint.key == CONTROL_PLANE_LABEL && taint.effect != "PreferNoSchedule")
}

pub(super) fn pressures(node: &Node) -> impl Iterator<Item = &'static str> {
    PRESSURE
        .into_iter()
        .filter(|kind| condition(node, kind).is_some_and(|(status, _)| status == "True"))
}

pub(super) fn info(node: &Node) -> Option<&NodeSystemInfo> {
    node.status.as_ref()?.node_info.as_ref()
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<(&'a str, &'a str)> {
    node.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
        .map(|condition| {
            (
                condition.status.as_str(),
                condition.message.as_deref().unwrap_or_default(),
            )
        })
}
