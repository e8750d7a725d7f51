//! Repositories that Argo CD may read.

use std::sync::Arc;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::cluster::ConnectionState;
use crate::error::Result;
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::{List, nullable};

const REPOSITORIES: &str = "/api/v1/repositories";

/// The repositories of one server.
#[derive(Debug, Clone)]
pub struct Repositories {
    transport: Arc<Transport>,
}

/// A repository as the server shows it: without credentials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Repository {
    /// Address.
    #[serde(default, deserialize_with = "nullable")]
    pub repo: String,
    /// Name; used by Helm repositories.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// `git`, `helm` or `oci`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Project it is limited to.
    #[serde(default, deserialize_with = "nullable")]
    pub project: String,
    /// Last result of talking to it.
    #[serde(default, deserialize_with = "nullable")]
    pub connection_state: ConnectionState,
}

/// A repository to add.
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until it is sent"]
pub struct RepositorySpec {
    fields: Map<String, Value>,
    secrets: Vec<(&'static str, SecretString)>,
}

impl RepositorySpec {
    /// A Git repository.
    pub fn git(url: impl Into<String>) -> Self {
        Self {
            fields: Map::new(),
            secrets: Vec::new(),
        }
        .set("repo", url)
        .set("type", "git")
    }

    /// A Helm repository; it needs a name.
    pub fn helm(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            fields: Map::new(),
            secrets: Vec::new(),
        }
        .set("repo", url)
        .set("type", "helm")
        .set("name", name)
    }

    fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.fields
            .insert(key.to_owned(), Value::String(value.into()));
        self
    }

    /// User name and password, or access token.
    pub fn password(mut self, username: impl Into<String>, password: SecretString) -> Self {
        self.secrets.push(("password", password));
        self.set("username", username)
    }

    /// Private key for access by SSH.
    pub fn ssh_private_key(mut self, key: SecretString) -> Self {
        self.secrets.push(("sshPrivateKey", key));
        self
    }

    /// Limits the repository to a project.
    pub fn project(self, project: impl Into<String>) -> Self {
        self.set("project", project)
    }

    fn body(&self) -> Value {
        let mut body = self.fields.clone();
        for (key, secret) in &self.secrets {
            body.insert(
                (*key).to_owned(),
                Value::String(secret.expose_secret().to_owned()),
            );
        }
        body.into()
    }
}

impl Repositories {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the repositories that we may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](crate::ErrorKind::Unauthenticated), the kinds of the connection.
    pub async fn list(&self) -> Result<Vec<Repository>> {
        Ok(self
            .transport
            .send::<List<_>>(&Call::get("list repositories", REPOSITORIES, &[]))
            .await?
            .items)
    }

    /// Adds a repository; the server tries to reach it first. May be repeated: an identical one is
    /// accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Rejected`](crate::ErrorKind::Rejected) when it cannot be reached.
    pub async fn create(&self, spec: &RepositorySpec) -> Result<Repository> {
        let call = Call::new("create repository", Method::POST, REPOSITORIES, &[])
            .target(
                spec.fields
                    .get("repo")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
            .idempotency(Idempotency::Safe)
            .talks_to_cluster()
            .body(&spec.body())?;
        self.transport.send(&call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_but_not_shown() {
        let spec = RepositorySpec::git("https://git.example.com/r.git")
            .password("ci", SecretString::from("canary"));

        assert_eq!(spec.body()["password"], "canary");
        assert!(!format!("{spec:?}").contains("canary"));
    }
}
