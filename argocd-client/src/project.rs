//! Projects: what may be deployed where, and which roles may do it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::account::{NewToken, TokenResponse};
use crate::application::{Destination, Metadata};
use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::kubernetes::Event;
use crate::retry::Idempotency;
use crate::transport::{Transport, found};
use crate::wire::{List, nullable};

const PROJECTS: &str = "/api/v1/projects";
const PROJECT: &str = "/api/v1/projects/{}";

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
    /// Description for people.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub description: String,
    /// Repositories, as patterns.
    #[serde(default, deserialize_with = "nullable")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces, as patterns.
    #[serde(default, deserialize_with = "nullable")]
    pub destinations: Vec<Destination>,
    /// Roles with policies of their own.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub roles: Vec<ProjectRole>,
    /// Whether only clusters scoped to this project are usable.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub permit_only_project_scoped_clusters: bool,
    /// Fields that this crate does not name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A role of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProjectRole {
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Description for people.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub description: String,
    /// Rules in the server's language:
    /// `p, proj:team:deploy, applications, sync, team/*, allow`.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub policies: Vec<String>,
    /// Groups of the identity provider that have the role.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub groups: Vec<String>,
    /// Fields that this crate does not name, its tokens among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ProjectRole {
    /// A role with rules.
    #[must_use]
    pub fn new<T: Into<String>>(
        name: impl Into<String>,
        policies: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            name: name.into(),
            policies: policies.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl Projects {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the projects that the account may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session. Missing rights are not
    /// an error: the list is shorter.
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
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, get`.
    pub async fn project(&self, name: &str) -> Result<Project> {
        self.transport
            .send(&Call::get("read project", PROJECT, &[name]).target(name))
            .await
    }

    /// Looks for a project. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, get`.
    pub async fn find(&self, name: &str) -> Result<Option<Project>> {
        found(self.project(name).await)
    }

    /// Creates a project from its manifest. May be repeated: an identical one is accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Rejected`](ErrorKind::Rejected) for a manifest that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, create`.
    pub async fn create(&self, manifest: &Value) -> Result<Project> {
        self.post(json!({"project": manifest})).await
    }

    /// Creates a project, or replaces the specification of the one that exists. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a manifest that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `projects, create` and `update`.
    pub async fn create_or_update(&self, manifest: &Value) -> Result<Project> {
        self.post(json!({"project": manifest, "upsert": true}))
            .await
    }

    async fn post(&self, body: Value) -> Result<Project> {
        let name = body["project"]["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        let call = Call::new("create project", Method::POST, PROJECTS, &[])
            .target(name)
            .idempotency(Idempotency::Safe)
            .body(&body)?;
        self.transport.send(&call).await
    }

    /// Replaces a project that was read before.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when another client changed it since: read it again;
    /// [`NotFound`](ErrorKind::NotFound), [`Forbidden`](ErrorKind::Forbidden) without the right
    /// `projects, update`.
    pub async fn update(&self, project: &Project) -> Result<Project> {
        let name = &project.metadata.name;
        let call = Call::new("update project", Method::PUT, PROJECT, &[name])
            .target(name)
            // A repetition of a write that took effect would be a conflict with itself.
            .idempotency(Idempotency::Unsafe)
            .body(&json!({"project": project}))?;
        self.transport.send(&call).await
    }

    /// Reads a project, changes its specification, and stores it when it differs; again when another
    /// client was faster. May be repeated.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) after five attempts; the kinds of [`project`](Self::project)
    /// and [`update`](Self::update).
    pub async fn edit(&self, name: &str, change: impl Fn(&mut ProjectSpec)) -> Result<Project> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut project = self.project(name).await?;
            let before = project.spec.clone();
            change(&mut project.spec);
            if project.spec == before {
                return Ok(project);
            }
            match self.update(&project).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < 5 => {}
                result => return result,
            }
        }
    }

    /// Deletes a project. Returns `false` when there is none. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) while applications refer to it, and for `default`;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, delete`.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        let call = Call::new("delete project", Method::DELETE, PROJECT, &[name]).target(name);
        Ok(found(self.transport.send::<Value>(&call).await)?.is_some())
    }

    /// The events of Kubernetes about a project. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`Forbidden`](ErrorKind::Forbidden) without the right
    /// `projects, get`.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>> {
        let call =
            Call::get("list project events", "/api/v1/projects/{}/events", &[name]).target(name);
        Ok(self.transport.send::<List<Event>>(&call).await?.items)
    }

    /// Issues a token for a role of a project. Every call issues another one: not repeated after a
    /// lost response.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the project or the role; [`Rejected`](ErrorKind::Rejected) when the identity is
    /// in use;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, update`.
    pub async fn create_token(
        &self,
        project: &str,
        role: &str,
        token: &NewToken,
    ) -> Result<SecretString> {
        let template = "/api/v1/projects/{}/roles/{}/token";
        let mut body = json!({"project": project, "role": role, "expiresIn": token.expires_in.map_or(0, |time| time.as_secs())});
        if let Some(id) = &token.id {
            body["id"] = json!(id);
        }
        let call = Call::new(
            "create role token",
            Method::POST,
            template,
            &[project, role],
        )
        .target(format!("{project}/{role}"))
        .body(&body)?;
        Ok(self.transport.send::<TokenResponse>(&call).await?.token)
    }

    /// Revokes a token of a role, by the second in which it was issued. A role or a token that does not exist is no error.
    /// May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the project;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `projects, update`.
    pub async fn delete_token(&self, project: &str, role: &str, issued_at: Duration) -> Result<()> {
        let template = "/api/v1/projects/{}/roles/{}/token/{}";
        let issued_at = issued_at.as_secs().to_string();
        let call = Call::new(
            "delete role token",
            Method::DELETE,
            template,
            &[project, role, &issued_at],
        )
        .target(format!("{project}/{role}"));
        self.transport.send::<Value>(&call).await.map(drop)
    }
}
