//! Warnings about a cluster whose checks pass.

use std::fmt;

use serde::Serialize;

use super::client::ServerVersion;
use super::rules::strangers;
use super::spec::VerifySpec;
use super::view::View;
use super::{node, pod};

/// A warning about a cluster whose checks pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The only node has the control-plane taint: without `cluster.allowSchedulingOnControlPlanes`, applications stay
    /// Pending.
    ControlPlaneTaint {
        /// Name of the node.
        node: String,
    },
    /// The node reports a pressure condition.
    Pressure {
        /// Name of the node.
        node: String,
        /// The condition that is `True`, for example `DiskPressure`.
        condition: &'static str,
    },
    /// The API server does not have the expected version.
    ServerVersion {
        /// The expected version, without `v`.
        expected: String,
        /// The reported version.
        found: String,
    },
    /// A kubelet does not have the expected version.
    KubeletVersion {
        /// Name of the node.
        node: String,
        /// The expected version, without `v`.
        expected: String,
        /// The reported value.
        found: String,
    },
    /// A node does not run the expected Talos.
    OsImage {
        /// Name of the node.
        node: String,
        /// The expected value, for example `Talos (v1.10.7)`.
        expected: String,
        /// The reported value.
        found: String,
    },
    /// A node is not expected, and admitted by [`VerifySpec::admit_unexpected_nodes`].
    UnexpectedNode {
        /// Name of the node.
        node: String,
    },
    /// A container restarted more often than the tolerated number.
    Restarts {
        /// Name of the pod in `kube-system`.
        pod: String,
        /// Number of restarts.
        count: i32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlPlaneTaint { node } => write!(
                f,
                "{node} is the only node and does not schedule workloads; set cluster.allowSchedulingOnControlPlanes: true"
            ),
            Self::Pressure { node, condition } => write!(f, "{node} reports {condition}"),
            Self::ServerVersion { expected, found } => {
                write!(f, "the API server runs {found}, expected v{expected}")
            }
            Self::KubeletVersion {
                node,
                expected,
                found,
            } => write!(
                f,
                "the kubelet of {node} runs {found}, expected v{expected}"
            ),
            Self::OsImage {
                node,
                expected,
                found,
            } => write!(f, "{node} runs {found}, expected {expected}"),
            Self::UnexpectedNode { node } => write!(
                f,
                "{node} is a node of the cluster and not one of its expected machines"
            ),
            Self::Restarts { pod, count } => write!(f, "{pod} restarted {count} times"),
        }
    }
}

/// The warnings about what `view` shows.
pub(super) fn warnings(view: &View, version: &ServerVersion, spec: &VerifySpec) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some(expected) = &spec.kubernetes_version
        && version.git_version.trim_start_matches('v') != expected
    {
        found.push(Warning::ServerVersion {
            expected: expected.clone(),
            found: version.git_version.clone(),
        });
    }
    found.extend(strangers(view, spec).into_iter().map(|name| {
        let node = name.to_owned();
        Warning::UnexpectedNode { node }
    }));
    found.extend(node_warnings(view, spec));
    found.extend(restart_warnings(view, spec));
    found
}

fn node_warnings(view: &View, spec: &VerifySpec) -> Vec<Warning> {
    let nodes: Vec<_> = view.nodes.items().into_iter().flatten().collect();
    let mut found = Vec::new();
    if let [only] = nodes.as_slice()
        && node::repels_workloads(only)
    {
        found.push(Warning::ControlPlaneTaint {
            node: node::name(only).to_owned(),
        });
    }
    for machine in nodes {
        let name = || node::name(machine).to_owned();
        found.extend(node::pressures(machine).map(|condition| Warning::Pressure {
            node: name(),
            condition,
        }));
        let Some(info) = node::info(machine) else {
            continue;
        };
        if let Some(expected) = &spec.kubernetes_version
            && info.kubelet_version.trim_start_matches('v') != expected
        {
            found.push(Warning::KubeletVersion {
                node: name(),
                expected: expected.clone(),
                found: info.kubelet_version.clone(),
            });
        }
        if let Some(version) = spec.expected_talos(node::addresses(machine)) {
            let expected = format!("Talos (v{version})");
            if info.os_image != expected {
                found.push(Warning::OsImage {
                    node: name(),
                    expected,
                    found: info.os_image.clone(),
                });
            }
        }
    }
    found
}

fn restart_warnings(view: &View, spec: &VerifySpec) -> impl Iterator<Item = Warning> {
    let pods = view.pods.items().into_iter().flatten();
    let tolerated = spec.restarts;
    pods.filter_map(move |pod| {
        let count = pod::restarts(pod);
        (count > tolerated).then(|| Warning::Restarts {
            pod: pod::name(pod).to_owned(),
            count,
        })
    })
}
