//! The RBAC policy of an installation.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use super::CoreClient;
use crate::call::Call;
use crate::error::Result;
use crate::rbac::{MatchMode, Policy};
use crate::transport::found;
use crate::wire::nullable;

/// The ConfigMap that holds the policy.
const CONFIG_MAP: &str = "argocd-rbac-cm";

#[derive(Debug, Default, Deserialize)]
struct ConfigMap {
    #[serde(default, deserialize_with = "nullable")]
    data: BTreeMap<String, String>,
}

impl ConfigMap {
    fn value(&self, key: &str) -> &str {
        self.data.get(key).map(String::as_str).unwrap_or_default()
    }

    /// The main text first, then the others by name.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let others = self.data.iter().filter(|(key, _)| {
            key.starts_with("policy.") && key.ends_with(".csv") && *key != "policy.csv"
        });
        std::iter::once(self.value("policy.csv")).chain(others.map(|(_, text)| text.as_str()))
    }
}

impl CoreClient {
    /// Reads the policy that the API server of Argo CD would apply: the built-in roles, the ConfigMap `argocd-rbac-cm`, and the
    /// roles of all projects. It says what every account, group and role may do. May be repeated.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with a line that the server cannot read either;
    /// [`Forbidden`](crate::ErrorKind::Forbidden) without the right to read the ConfigMap and to list projects;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a cluster without Argo CD.
    pub async fn policy(&self) -> Result<Policy> {
        let path = "/api/v1/namespaces/{}/configmaps/{}";
        let namespace = self.kubernetes.namespace.as_str();
        let call = Call::new(
            "read RBAC policy",
            Method::GET,
            path,
            &[namespace, CONFIG_MAP],
        )
        .target(format!("{namespace}/{CONFIG_MAP}"));
        let stored: Option<ConfigMap> = found(self.kubernetes.send(&call).await)?;
        let stored = stored.unwrap_or_default();
        let mode = MatchMode::of(stored.value("policy.matchMode"));
        let mut policy = Policy::built_in(mode).with_default_role(stored.value("policy.default"));
        for text in stored.texts() {
            policy = policy.with_csv(text)?;
        }
        for project in self.projects().list().await? {
            policy = policy.with_project(&project)?;
        }
        Ok(policy)
    }
}
