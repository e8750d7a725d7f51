//! Git repositories that the mock can read: what an application deploys, and what is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::application::HealthStatus;

/// A Git repository of the mock.
///
/// Applications of a known repository are validated as the server does, compared with what is
/// deployed, and synchronised resource by resource. Applications of an unknown repository follow
/// their [`ApplicationSeed`](super::ApplicationSeed), or become healthy.
#[derive(Debug, Clone)]
#[must_use = "a repository does nothing until it is given to a builder"]
pub struct GitRepository {
    pub(super) url: String,
    revisions: Vec<(String, String)>,
    folders: BTreeMap<String, Folder>,
    health: BTreeMap<(String, String), (HealthStatus, String)>,
}

#[derive(Debug, Clone)]
enum Folder {
    Manifests(Vec<Value>),
    /// The error of the repository server.
    Broken(String),
}

impl GitRepository {
    /// An empty repository at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            revisions: Vec::new(),
            folders: BTreeMap::new(),
            health: BTreeMap::new(),
        }
    }

    /// Adds a branch or tag with its commit. The first one is `HEAD`.
    pub fn revision(mut self, name: impl Into<String>, commit: impl Into<String>) -> Self {
        self.revisions.push((name.into(), commit.into()));
        self
    }

    /// Adds a folder with manifests of Kubernetes.
    pub fn folder(
        mut self,
        path: impl Into<String>,
        manifests: impl IntoIterator<Item = Value>,
    ) -> Self {
        let manifests = manifests.into_iter().collect();
        self.folders
            .insert(path.into(), Folder::Manifests(manifests));
        self
    }

    /// Adds a folder that cannot be rendered; `error` is the text of the repository server.
    pub fn broken_folder(mut self, path: impl Into<String>, error: impl Into<String>) -> Self {
        self.folders
            .insert(path.into(), Folder::Broken(error.into()));
        self
    }

    /// Sets the health that a resource has once it is deployed. Services and Deployments are healthy
    /// otherwise; other kinds have no health.
    pub fn health(
        mut self,
        kind: impl Into<String>,
        name: impl Into<String>,
        status: HealthStatus,
        message: impl Into<String>,
    ) -> Self {
        let key = (kind.into(), name.into());
        self.health.insert(key, (status, message.into()));
        self
    }

    pub(super) fn branches(&self) -> Vec<&str> {
        self.revisions
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The commit of a revision, or the text of the repository server.
    pub(super) fn resolve(&self, revision: &str) -> Result<String, String> {
        if revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(revision.to_owned());
        }
        let found = if matches!(revision, "" | "HEAD") {
            self.revisions.first()
        } else {
            self.revisions.iter().find(|(name, _)| name == revision)
        };
        found.map(|(_, commit)| commit.clone()).ok_or_else(|| {
            format!(
                "rpc error: code = Unknown desc = unable to resolve '{revision}' to a commit SHA"
            )
        })
    }

    /// The manifests of a source, or the text of the repository server.
    pub(super) fn manifests(&self, path: &str) -> Result<&[Value], String> {
        match self.folders.get(path) {
            Some(Folder::Manifests(manifests)) => Ok(manifests),
            Some(Folder::Broken(error)) => Err(format!(
                "rpc error: code = FailedPrecondition desc = {error}"
            )),
            None => Err(format!(
                "rpc error: code = Unknown desc = {path}: app path does not exist"
            )),
        }
    }

    /// The health of a deployed resource, if its kind has any.
    pub(super) fn health_of(&self, resource: &Resource) -> Option<Value> {
        let key = (resource.kind.clone(), resource.name.clone());
        match self.health.get(&key) {
            Some((status, message)) if message.is_empty() => Some(json!({"status": status})),
            Some((status, message)) => Some(json!({"status": status, "message": message})),
            None if matches!(resource.kind.as_str(), "Service" | "Deployment") => {
                Some(json!({"status": "Healthy"}))
            }
            None => None,
        }
    }
}

/// A value with its keys in the order in which Go writes them.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let sorted = names
                .into_iter()
                .map(|name| (name.clone(), sorted(&fields[name])));
            Value::Object(sorted.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The identity of a resource that an application deploys, and its manifest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// As in the repository.
    pub(super) manifest: Value,
    /// Whether the manifest names its namespace itself.
    pub(super) has_own_namespace: bool,
}

impl Resource {
    pub(super) fn of(manifest: &Value, default_namespace: &str) -> Self {
        let text = |pointer: &str| {
            manifest
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let api_version = text("/apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let own = text("/metadata/namespace");
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text("/kind"),
            name: text("/metadata/name"),
            has_own_namespace: !own.is_empty(),
            namespace: if own.is_empty() {
                default_namespace.to_owned()
            } else {
                own
            },
            manifest: manifest.clone(),
        }
    }

    /// `Kind` in the words of kubectl: `configmap/name`, `deployment.apps/name`.
    pub(super) fn kubectl_name(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() {
            format!("{kind}/{}", self.name)
        } else {
            format!("{kind}.{}/{}", self.group, self.name)
        }
    }

    pub(super) fn is(&self, group: &str, kind: &str, namespace: &str, name: &str) -> bool {
        self.group == group
            && self.kind == kind
            && self.name == name
            && (namespace.is_empty() || self.namespace == namespace)
    }

    /// The manifest as Argo CD applies it: with its tracking annotation.
    pub(super) fn tracked(&self, application: &str) -> Value {
        let group = if self.group.is_empty() {
            String::new()
        } else {
            self.group.clone()
        };
        let id = format!(
            "{application}:{group}/{}:{}/{}",
            self.kind, self.namespace, self.name
        );
        let mut manifest = self.manifest.clone();
        manifest["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(id);
        sorted(&manifest)
    }

    /// The container images of its pods.
    pub(super) fn images(&self) -> Vec<String> {
        self.manifest
            .pointer("/spec/template/spec/containers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|container| container["image"].as_str().map(str::to_owned))
            .collect()
    }
}
