//! Resources about Kubernetes and etcd on this node.

use prost_types::value::Kind;
use serde::{Deserialize, Serialize};

use super::resource::resource_spec;
use crate::api::pb::definitions::{etcd, k8s};

/// The local member of etcd. The resource exists only while etcd is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LocalEtcdMember {
    /// Its id, sixteen hexadecimal digits.
    pub id: String,
}

impl From<etcd::MemberSpec> for LocalEtcdMember {
    fn from(spec: etcd::MemberSpec) -> Self {
        Self { id: spec.member_id }
    }
}

resource_spec!(
    LocalEtcdMember,
    "EtcdMembers.etcd.talos.dev",
    "etcd",
    etcd::MemberSpec,
    id "local"
);

/// This node as Kubernetes knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its name in Kubernetes.
    pub name: String,
    /// Whether Kubernetes regards it as ready.
    pub is_ready: bool,
    /// Whether it takes no new pods.
    pub is_unschedulable: bool,
}

impl From<k8s::NodeStatusSpec> for NodeStatus {
    fn from(spec: k8s::NodeStatusSpec) -> Self {
        Self {
            name: spec.nodename,
            is_ready: spec.node_ready,
            is_unschedulable: spec.unschedulable,
        }
    }
}

resource_spec!(
    NodeStatus,
    "NodeStatuses.kubernetes.talos.dev",
    "k8s",
    k8s::NodeStatusSpec
);

/// A static pod of the control plane; its id is `kube-system/<component>-<node>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StaticPodStatus {
    /// `Pending`, `Running`, …
    pub phase: String,
    /// Whether its condition `Ready` is true.
    pub is_ready: bool,
}

impl From<k8s::StaticPodStatusSpec> for StaticPodStatus {
    fn from(spec: k8s::StaticPodStatusSpec) -> Self {
        let status = spec.pod_status.unwrap_or_default();
        let conditions = match status.fields.get("conditions").and_then(kind) {
            Some(Kind::ListValue(list)) => list.values.as_slice(),
            _ => &[],
        };
        Self {
            phase: text(&status, "phase").to_owned(),
            is_ready: conditions.iter().any(is_ready),
        }
    }
}

fn is_ready(condition: &prost_types::Value) -> bool {
    match &condition.kind {
        Some(Kind::StructValue(condition)) => {
            text(condition, "type") == "Ready" && text(condition, "status") == "True"
        }
        _ => false,
    }
}

fn text<'a>(fields: &'a prost_types::Struct, key: &str) -> &'a str {
    match fields.fields.get(key).and_then(kind) {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}

fn kind(value: &prost_types::Value) -> Option<&Kind> {
    value.kind.as_ref()
}

resource_spec!(
    StaticPodStatus,
    "StaticPodStatuses.kubernetes.talos.dev",
    "k8s",
    k8s::StaticPodStatusSpec
);

#[cfg(test)]
mod tests {
    use prost_types::{ListValue, Struct, Value};

    use super::*;

    fn string(text: &str) -> Value {
        Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        }
    }

    fn record(fields: &[(&str, Value)]) -> Struct {
        Struct {
            fields: fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        }
    }

    #[test]
    fn a_pod_is_ready_by_its_condition_not_by_its_phase() {
        for (status, expected) in [("True", true), ("False", false)] {
            let condition = record(&[("type", string("Ready")), ("status", string(status))]);
            let conditions = Value {
                kind: Some(Kind::ListValue(ListValue {
                    values: vec![Value {
                        kind: Some(Kind::StructValue(condition)),
                    }],
                })),
            };
            let pod = record(&[("phase", string("Running")), ("conditions", conditions)]);

            let status = StaticPodStatus::from(k8s::StaticPodStatusSpec {
                pod_status: Some(pod),
            });

            assert_eq!(status.phase, "Running");
            assert_eq!(status.is_ready, expected);
        }
    }
}
