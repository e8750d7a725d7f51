//! Projects: what may be deployed where.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::application::{Destination, Metadata};
use crate::call::Call;
use crate::error::Result;
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::{List, nullable};

const PROJECTS: &str = "/api/v1/projects";

/// The projects of one server.
#[derive(Debug, Clone)]
pub struct Projects {
    transport: Arc<Transport>,
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// Name and labels.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// What it allows.
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ProjectSpec,
}

/// What a project allows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProjectSpec {
    /// Repositories, as patterns.
    #[serde(default, deserialize_with = "nullable")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces, as patterns.
    #[serde(default, deserialize_with = "nullable")]
    pub destinations: Vec<Destination>,
    /// Whether only clusters scoped to this project are usable.
    #[serde(default, deserialize_with = "nullable")]
    pub permit_only_project_scoped_clusters: bool,
}

impl Projects {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the projects that we may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](crate::ErrorKind::Unauthenticated), the kinds of the connection.
    pub async fn list(&self) -> Result<Vec<Project>> {
        Ok(self
            .transport
            .send::<List<_>>(&Call::get("list projects", PROJECTS, &[]))
            .await?
            .items)
    }

    /// Reads one project. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Forbidden`](crate::ErrorKind::Forbidden).
    pub async fn project(&self, name: &str) -> Result<Project> {
        self.transport
            .send(&Call::get("get project", "/api/v1/projects/{}", &[name]).target(name))
            .await
    }

    /// Creates a project from its manifest. May be repeated: an identical one is accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) when one exists and differs.
    pub async fn create(&self, manifest: &Value) -> Result<Project> {
        let call = Call::new("create project", Method::POST, PROJECTS, &[])
            .target(manifest["metadata"]["name"].as_str().unwrap_or_default())
            .idempotency(Idempotency::Safe)
            .body(&json!({"project": manifest}))?;
        self.transport.send(&call).await
    }
}
