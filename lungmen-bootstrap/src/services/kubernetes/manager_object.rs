//! The four objects of Argo CD's ServiceAccount: names, paths, content (argocd v3.1 and later).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ACCOUNT: &str = "argocd-manager";
const ROLE: &str = "argocd-manager-role";
const BINDING: &str = "argocd-manager-role-binding";
const SECRET: &str = "argocd-manager-long-lived-token";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// An object of the ServiceAccount, in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ManagerObject {
    /// ServiceAccount `argocd-manager`
    ServiceAccount,
    /// ClusterRole `argocd-manager-role`: everything
    ClusterRole,
    /// ClusterRoleBinding `argocd-manager-role-binding`
    ClusterRoleBinding,
    /// Secret `argocd-manager-long-lived-token`
    TokenSecret,
}

impl ManagerObject {
    /// All objects in the order of creation.
    pub const ALL: [Self; 4] = [
        Self::ServiceAccount,
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::TokenSecret,
    ];

    /// Name of the object on the cluster.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => ACCOUNT,
            Self::ClusterRole => ROLE,
            Self::ClusterRoleBinding => BINDING,
            Self::TokenSecret => SECRET,
        }
    }

    pub(super) fn path(self, namespace: &str) -> String {
        let name = self.name();
        match self {
            Self::ServiceAccount => {
                format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
            }
            Self::ClusterRole => format!("{RBAC}/clusterroles/{name}"),
            Self::ClusterRoleBinding => format!("{RBAC}/clusterrolebindings/{name}"),
            Self::TokenSecret => format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        }
    }

    pub(super) fn desired(self, namespace: &str) -> Value {
        match self {
            Self::ServiceAccount => json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": ACCOUNT, "namespace": namespace},
            }),
            Self::ClusterRole => json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": ROLE},
                "rules": [
                    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                    {"nonResourceURLs": ["*"], "verbs": ["*"]},
                ],
            }),
            Self::ClusterRoleBinding => json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": BINDING},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE},
                "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
            }),
            Self::TokenSecret => json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": SECRET,
                    "namespace": namespace,
                    "annotations": {"kubernetes.io/service-account.name": ACCOUNT},
                },
                "type": "kubernetes.io/service-account-token",
            }),
        }
    }
}

impl fmt::Display for ManagerObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {}", self.name())
    }
}

/// Whether `found` contains everything of `desired`. Additional fields belong to the server.
pub(super) fn covers(found: &Value, desired: &Value) -> bool {
    match (found, desired) {
        (Value::Object(found), Value::Object(desired)) => desired
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value))),
        (Value::Array(found), Value::Array(desired)) => {
            found.len() == desired.len()
                && found
                    .iter()
                    .zip(desired)
                    .all(|(found, desired)| covers(found, desired))
        }
        _ => found == desired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_the_server_adds_are_no_difference() {
        let desired = ManagerObject::ClusterRole.desired("kube-system");
        let mut found = desired.clone();
        found["metadata"]["uid"] = json!("1");
        found["metadata"]["resourceVersion"] = json!("7");

        assert!(covers(&found, &desired));
        found["rules"][0]["verbs"] = json!(["get"]);
        assert!(!covers(&found, &desired));
    }

    #[test]
    fn the_names_are_those_of_argocd_cluster_add() {
        let names: Vec<_> = ManagerObject::ALL.iter().map(ToString::to_string).collect();

        assert_eq!(
            names,
            [
                "ServiceAccount argocd-manager",
                "ClusterRole argocd-manager-role",
                "ClusterRoleBinding argocd-manager-role-binding",
                "TokenSecret argocd-manager-long-lived-token",
            ]
        );
    }
}
