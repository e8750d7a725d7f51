//! Repositories that Argo CD may read.

use std::sync::Arc;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account;
use crate::call::Call;
use crate::cluster::ConnectionState;
use crate::error::{ErrorKind, Result};
use crate::retry::Idempotency;
use crate::transport::{Transport, found};
use crate::wire::{List, nullable};

const REPOSITORIES: &str = "/api/v1/repositories";
const REPOSITORY: &str = "/api/v1/repositories/{}";
const TEMPLATES: &str = "/api/v1/repocreds";

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

/// The branches and tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refs {
    /// Branches.
    #[serde(default, deserialize_with = "nullable")]
    pub branches: Vec<String>,
    /// Tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<String>,
}

/// A folder of a repository that Argo CD can deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RepositoryApp {
    /// `Helm`, `Kustomize` or `Directory`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Path of the folder.
    #[serde(default, deserialize_with = "nullable")]
    pub path: String,
}

impl Repositories {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the repositories that the account may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session. Missing rights are not
    /// an error: the list is shorter.
    pub async fn list(&self) -> Result<Vec<Repository>> {
        Ok(self
            .transport
            .send::<List<_>>(&Call::get("list repositories", REPOSITORIES, &[]))
            .await?
            .items)
    }

    /// Looks for a repository. May be repeated. `None` means that no such repository is visible to
    /// the account.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn find(&self, url: &str) -> Result<Option<Repository>> {
        let call = Call::get("find repository", REPOSITORIES, &[])
            .query("repo", url)
            .target(url);
        let list: List<Repository> = self.transport.send(&call).await?;
        Ok(list
            .items
            .into_iter()
            .find(|repository| repository.repo == url))
    }

    /// Reads one repository. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when it does not exist or the account
    /// may not see it: the server answers `permission denied` in both cases (3.5.1).
    pub async fn repository(&self, url: &str) -> Result<Repository> {
        let call = Call::get("read repository", REPOSITORY, &[url]).target(url);
        self.transport.send(&call).await
    }

    /// Adds a repository; the server tries to reach it first. May be repeated: an identical one is
    /// accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Rejected`](ErrorKind::Rejected) when it cannot be reached;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `repositories, create`.
    pub async fn create(&self, spec: &RepositorySpec) -> Result<Repository> {
        self.post(spec, None).await
    }

    /// Adds a repository, or replaces the one that exists, credentials included. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when it cannot be reached;
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `repositories, create` and `update`.
    pub async fn create_or_update(&self, spec: &RepositorySpec) -> Result<Repository> {
        self.post(spec, Some("true")).await
    }

    async fn post(&self, spec: &RepositorySpec, upsert: Option<&str>) -> Result<Repository> {
        let url = spec.fields.get("repo").and_then(Value::as_str);
        let call = Call::new("create repository", Method::POST, REPOSITORIES, &[])
            .target(url.unwrap_or_default())
            .query_opt("upsert", upsert)
            .idempotency(Idempotency::Safe)
            .talks_to_cluster()
            .body(&spec.body())?;
        self.transport.send(&call).await
    }

    /// Removes a repository. Returns `false` when there is none, which is proved by the right to see
    /// every repository. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) when the account may see but not delete it;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when no such repository is visible to
    /// the account.
    pub async fn delete(&self, url: &str) -> Result<bool> {
        let call = Call::new("delete repository", Method::DELETE, REPOSITORY, &[url]).target(url);
        let Err(error) = self.transport.send::<Value>(&call).await else {
            return Ok(true);
        };
        if error.kind() != ErrorKind::NotFoundOrForbidden {
            return Err(error);
        }
        if self.find(url).await?.is_some() {
            return Err(error.with_kind(ErrorKind::Forbidden));
        }
        match account::allowed(&self.transport, "repositories", "get", "*").await? {
            true => Ok(false),
            false => Err(error),
        }
    }

    /// The branches and tags. The server reads the repository. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden); [`Server`](ErrorKind::Server) when it
    /// cannot be read.
    pub async fn refs(&self, url: &str) -> Result<Refs> {
        let call = Call::get("list refs", "/api/v1/repositories/{}/refs", &[url])
            .target(url)
            .talks_to_cluster();
        self.transport.send(&call).await
    }

    /// The folders that can be deployed, for an application of a project. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden); [`Server`](ErrorKind::Server) when it
    /// cannot be read.
    pub async fn apps(
        &self,
        url: &str,
        revision: &str,
        application: &str,
        project: &str,
    ) -> Result<Vec<RepositoryApp>> {
        let call = Call::get(
            "list repository apps",
            "/api/v1/repositories/{}/apps",
            &[url],
        )
        .target(url)
        .query("revision", revision)
        .query("appName", application)
        .query("appProject", project)
        .talks_to_cluster();
        Ok(self
            .transport
            .send::<List<RepositoryApp>>(&call)
            .await?
            .items)
    }
}

/// The templates of credentials of one server: what is sent to repositories whose address begins so.
#[derive(Debug, Clone)]
pub struct CredentialTemplates {
    transport: Arc<Transport>,
}

/// A template of credentials as the server shows it: without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CredentialTemplate {
    /// The beginning of the addresses that it is for.
    #[serde(default, deserialize_with = "nullable")]
    pub url: String,
    /// Name of the user.
    #[serde(default, deserialize_with = "nullable")]
    pub username: String,
    /// `git`, `helm` or `oci`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
}

impl CredentialTemplates {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the templates that the account may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session. Missing rights are not
    /// an error: the list is shorter.
    pub async fn list(&self) -> Result<Vec<CredentialTemplate>> {
        let call = Call::get("list credential templates", TEMPLATES, &[]);
        Ok(self.transport.send::<List<_>>(&call).await?.items)
    }

    /// Adds a template with a user name and password. May be repeated: an identical one is accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `repositories, create`.
    pub async fn create(&self, url: &str, username: &str, password: &SecretString) -> Result<()> {
        self.post(url, username, password, None).await
    }

    /// Adds a template, or replaces the one that exists. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `repositories, create` and `update`.
    pub async fn create_or_update(
        &self,
        url: &str,
        username: &str,
        password: &SecretString,
    ) -> Result<()> {
        self.post(url, username, password, Some("true")).await
    }

    async fn post(
        &self,
        url: &str,
        username: &str,
        password: &SecretString,
        upsert: Option<&str>,
    ) -> Result<()> {
        let body = serde_json::json!({
            "url": url, "username": username, "password": password.expose_secret(),
        });
        let call = Call::new("create credential template", Method::POST, TEMPLATES, &[])
            .target(url)
            .query_opt("upsert", upsert)
            .idempotency(Idempotency::Safe)
            .body(&body)?;
        self.transport.send::<Value>(&call).await.map(drop)
    }

    /// Removes a template. Returns `false` when there is none. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `repositories, delete`.
    pub async fn delete(&self, url: &str) -> Result<bool> {
        let template = "/api/v1/repocreds/{}";
        let call = Call::new(
            "delete credential template",
            Method::DELETE,
            template,
            &[url],
        )
        .target(url);
        Ok(found(self.transport.send::<Value>(&call).await)?.is_some())
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
