//! Which request is meant, for faults and assertions.

use super::target::Target;

/// A group of requests, for faults and assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `/version`
    Version,
    /// `/readyz`, `/livez`, `/healthz`
    Health,
    /// Everything about Node objects.
    Nodes,
    /// Everything about Pod objects.
    Pods,
    /// Everything about Deployments, DaemonSets, ReplicaSets and StatefulSets.
    Workloads,
    /// Everything about Secrets.
    Secrets,
    /// Everything about ServiceAccounts, token requests included.
    ServiceAccounts,
    /// Everything about roles and their bindings.
    Rbac,
    /// `selfsubjectaccessreviews`, `selfsubjectrulesreviews`, `selfsubjectreviews`, `tokenreviews`
    AccessReview,
    /// `/api`, `/apis` and the lists of resources below
    Discovery,
    /// Other known resources: namespaces, events, leases, …
    Other,
    /// Unknown paths.
    Unknown,
}

impl Route {
    /// All routes.
    pub const ALL: &[Self] = &[
        Self::Version,
        Self::Health,
        Self::Nodes,
        Self::Pods,
        Self::Workloads,
        Self::Secrets,
        Self::ServiceAccounts,
        Self::Rbac,
        Self::AccessReview,
        Self::Discovery,
        Self::Other,
        Self::Unknown,
    ];

    pub(super) fn of(target: &Target) -> Self {
        let resource = match target {
            Target::Version => return Self::Version,
            Target::Health { .. } => return Self::Health,
            Target::AccessReview
            | Target::RulesReview
            | Target::SelfReview
            | Target::TokenReview => {
                return Self::AccessReview;
            }
            Target::Root
            | Target::Api
            | Target::Apis
            | Target::Group(_)
            | Target::GroupVersion(..) => return Self::Discovery,
            Target::TokenRequest { .. } => return Self::ServiceAccounts,
            Target::PortForward { .. } => return Self::Pods,
            Target::Unknown | Target::UnknownResource => return Self::Unknown,
            Target::Collection { resource, .. }
            | Target::Object { resource, .. }
            | Target::Status { resource, .. }
            | Target::Scale { resource, .. }
            | Target::NoSubresource { resource, .. } => resource,
        };
        match resource.plural {
            "nodes" => Self::Nodes,
            "pods" => Self::Pods,
            "deployments" | "daemonsets" | "replicasets" | "statefulsets" => Self::Workloads,
            "secrets" => Self::Secrets,
            "serviceaccounts" => Self::ServiceAccounts,
            "clusterroles" | "clusterrolebindings" | "roles" | "rolebindings" => Self::Rbac,
            _ => Self::Other,
        }
    }
}
