//! Applications as the server shows them.
//!
//! Everything is optional on the wire; `null`, absent and empty are the same. Fields that the crate
//! does not name are kept in `other` where objects are written back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::status::ApplicationStatus;
use crate::cluster::ServerUrl;
use crate::wire::nullable;

/// An application with its last known status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Application {
    /// Name, namespace, labels.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// What is deployed where.
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ApplicationSpec,
    /// What the controller last found.
    #[serde(default, deserialize_with = "nullable")]
    pub status: ApplicationStatus,
    /// An operation that was requested and is not picked up yet.
    #[serde(default)]
    pub operation: Option<Value>,
}

/// The metadata of a Kubernetes object, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Metadata {
    /// Name; unique within its namespace only.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Namespace of the object itself, not of what it deploys.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub namespace: String,
    /// Labels.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Finalizers; the one of Argo CD decides whether deletion removes what was deployed.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub finalizers: Vec<String>,
    /// Unique identity of this incarnation.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub uid: String,
    /// Version of the object in the store.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub resource_version: String,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    /// When its deletion was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
}

impl Metadata {
    /// `namespace/name`, or the name alone for an object without a namespace.
    #[must_use]
    pub fn qualified_name(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

/// What is deployed where.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApplicationSpec {
    /// Project that allows it.
    #[serde(default, deserialize_with = "nullable")]
    pub project: String,
    /// The cluster and namespace.
    #[serde(default, deserialize_with = "nullable")]
    pub destination: Destination,
    /// The source, when there is exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// The sources, when there are several.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub sources: Vec<ApplicationSource>,
    /// Automation, retries and options, in the words of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<Value>,
    /// Fields that this crate does not name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Where manifests come from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApplicationSource {
    /// Address of the repository.
    #[serde(default, rename = "repoURL", deserialize_with = "nullable")]
    pub repo_url: String,
    /// Folder in a Git repository.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub path: String,
    /// Branch, tag, commit or chart version.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub target_revision: String,
    /// Chart in a Helm repository.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub chart: String,
    /// Settings of the tool (`helm`, `kustomize`, …), in the words of the server.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ApplicationSource {
    /// A folder of a Git repository at a revision.
    #[must_use]
    pub fn git(
        repo_url: impl Into<String>,
        path: impl Into<String>,
        revision: impl Into<String>,
    ) -> Self {
        Self {
            repo_url: repo_url.into(),
            path: path.into(),
            target_revision: revision.into(),
            ..Self::default()
        }
    }

    /// A version of a chart in a Helm repository.
    #[must_use]
    pub fn helm(
        repo_url: impl Into<String>,
        chart: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        Self {
            repo_url: repo_url.into(),
            chart: chart.into(),
            target_revision: version.into(),
            ..Self::default()
        }
    }
}

/// A cluster and a namespace. Applications name the cluster by address *or* by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Destination {
    /// Address of the cluster; empty when it is named.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub server: String,
    /// Name of the cluster; empty when the address is given.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// Namespace for manifests that name none.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub namespace: String,
}

impl Destination {
    /// A cluster by its address.
    #[must_use]
    pub fn server(server: &ServerUrl) -> Self {
        Self {
            server: server.to_string(),
            ..Self::default()
        }
    }

    /// A cluster by its name.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The namespace for manifests that name none.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }
}

/// An application to create.
#[derive(Debug, Clone, Serialize)]
#[must_use = "an application does nothing until it is created"]
pub struct NewApplication {
    pub(super) metadata: Metadata,
    pub(super) spec: ApplicationSpec,
}

impl NewApplication {
    /// An application of one source.
    pub fn new(
        name: impl Into<String>,
        project: impl Into<String>,
        source: ApplicationSource,
        destination: Destination,
    ) -> Self {
        Self {
            metadata: Metadata {
                name: name.into(),
                ..Metadata::default()
            },
            spec: ApplicationSpec {
                project: project.into(),
                destination,
                source: Some(source),
                ..ApplicationSpec::default()
            },
        }
    }

    /// Namespace of the application object, when it is not Argo CD's own.
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.metadata.namespace = namespace.into();
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a finalizer.
    pub fn finalizer(mut self, finalizer: impl Into<String>) -> Self {
        self.metadata.finalizers.push(finalizer.into());
        self
    }

    /// Automation, retries and options, in the words of the server:
    /// `{"automated": {"prune": true, "selfHeal": true}}`.
    pub fn sync_policy(mut self, policy: Value) -> Self {
        self.spec.sync_policy = Some(policy);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_of_a_specification_survive_a_round_trip() {
        let text = r#"{"project":"default","destination":{"name":"lungmen"},"source":{"repoURL":"r","path":"p","helm":{"valuesObject":{"a":1}}},"revisionHistoryLimit":3}"#;

        let spec: ApplicationSpec = serde_json::from_str(text).unwrap();

        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }
}
