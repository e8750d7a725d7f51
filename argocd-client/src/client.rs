//! The client: a cheap clone over one connection pool and one session.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::account::{self, Accounts};
use crate::application::Applications;
use crate::application_set::ApplicationSets;
use crate::builder::ClientBuilder;
use crate::call::Call;
use crate::cluster::Clusters;
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Result};
use crate::oidc::OidcLoginBuilder;
use crate::project::Projects;
use crate::repository::{CredentialTemplates, Repositories};
use crate::settings::Settings;
use crate::transport::Transport;
use crate::trust::{GpgKeys, RepositoryCertificates};
use crate::version::ServerVersion;
use crate::wire::{List, nullable};

/// A client of one Argo CD server. Clones share the connections and the session.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

/// The account and groups that the server assigns to the session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserInfo {
    /// Whether the session is valid. The server responds with 200 in either case.
    #[serde(default, rename = "loggedIn", deserialize_with = "nullable")]
    pub logged_in: bool,
    /// Name of the account; empty without a session.
    #[serde(default, deserialize_with = "nullable")]
    pub username: String,
    /// Issuer of the token, `argocd` for local accounts.
    #[serde(default, rename = "iss", deserialize_with = "nullable")]
    pub issuer: String,
    /// Groups of the identity provider.
    #[serde(default, deserialize_with = "nullable")]
    pub groups: Vec<String>,
}

/// Which part of the notification configuration is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotificationKind {
    /// Where notifications are sent.
    Services,
    /// What they say.
    Templates,
    /// When they are sent.
    Triggers,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

impl Client {
    /// Starts building a client of the server at `endpoint`.
    ///
    /// [`parse_endpoint`](crate::parse_endpoint) reads addresses without a scheme, as the `argocd`
    /// command line writes them.
    ///
    /// ```
    /// use argocd_client::{Client, Credentials, parse_endpoint};
    ///
    /// # fn main() -> argocd_client::Result<()> {
    /// let token = Credentials::token("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaTphcGlLZXkifQ.c2ln");
    /// let client = Client::builder(parse_endpoint("argocd.akn.chezmoi.sh")?, token).build()?;
    ///
    /// assert_eq!(client.endpoint().as_str(), "https://argocd.akn.chezmoi.sh/");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(endpoint: Url, credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(endpoint, credentials)
    }

    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// The normalised address of the server, with its root path.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.transport.base
    }

    /// When the token that was given expires, if it says so; `None` for a password, whose sessions are renewed, and for a
    /// token without an end.
    #[must_use]
    pub fn token_expires_at(&self) -> Option<jiff::Timestamp> {
        self.transport.session.credentials.expires_at()
    }

    /// The clusters that Argo CD deploys to.
    #[must_use]
    pub fn clusters(&self) -> Clusters {
        Clusters::new(Arc::clone(&self.transport))
    }

    /// The applications.
    #[must_use]
    pub fn applications(&self) -> Applications {
        Applications::new(Arc::clone(&self.transport))
    }

    /// The application sets.
    #[must_use]
    pub fn application_sets(&self) -> ApplicationSets {
        ApplicationSets::new(Arc::clone(&self.transport))
    }

    /// The projects.
    #[must_use]
    pub fn projects(&self) -> Projects {
        Projects::new(Arc::clone(&self.transport))
    }

    /// The repositories.
    #[must_use]
    pub fn repositories(&self) -> Repositories {
        Repositories::new(Arc::clone(&self.transport))
    }

    /// The templates of credentials for repositories.
    #[must_use]
    pub fn credential_templates(&self) -> CredentialTemplates {
        CredentialTemplates::new(Arc::clone(&self.transport))
    }

    /// The local accounts and their tokens.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        Accounts::new(Arc::clone(&self.transport))
    }

    /// The certificates and SSH host keys of repository servers.
    #[must_use]
    pub fn certificates(&self) -> RepositoryCertificates {
        RepositoryCertificates::new(Arc::clone(&self.transport))
    }

    /// The GPG keys whose signatures of commits are accepted.
    #[must_use]
    pub fn gpg_keys(&self) -> GpgKeys {
        GpgKeys::new(Arc::clone(&self.transport))
    }

    /// The names of the configured notification services, templates or triggers. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn notifications(&self, kind: NotificationKind) -> Result<Vec<String>> {
        let template = match kind {
            NotificationKind::Services => "/api/v1/notifications/services",
            NotificationKind::Templates => "/api/v1/notifications/templates",
            NotificationKind::Triggers => "/api/v1/notifications/triggers",
        };
        let call = Call::get("list notifications", template, &[]);
        let list: List<Named> = self.transport.send(&call).await?;
        Ok(list.items.into_iter().map(|item| item.name).collect())
    }

    /// Asks for the version of the server. Works without a session; may be repeated.
    ///
    /// # Errors
    /// [`NotArgoCd`](ErrorKind::NotArgoCd) when another program responds, [`Connect`](ErrorKind::Connect), [`Certificate`](ErrorKind::Certificate) or
    /// [`Timeout`](ErrorKind::Timeout) on the way to the server.
    pub async fn version(&self) -> Result<ServerVersion> {
        self.transport
            .send(&Call::get("read version", "/api/version", &[]))
            .await
    }

    /// Reads the account of the session; the cheapest check of a token. May be repeated.
    ///
    /// An invalid token is not an error here, see [`UserInfo::logged_in`].
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) for a rejected password login; [`Connect`](ErrorKind::Connect) or
    /// [`Timeout`](ErrorKind::Timeout) on the way to the server.
    pub async fn user_info(&self) -> Result<UserInfo> {
        self.transport
            .send(&Call::get("read session", "/api/v1/session/userinfo", &[]))
            .await
    }

    /// Sets up a login by single sign-on: the provider of the server, authorization code and PKCE,
    /// with a callback to this machine. The credentials of this client are not used.
    ///
    /// ```no_run
    /// # async fn example() -> argocd_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// use argocd_client::{Client, Credentials, parse_endpoint};
    ///
    /// let endpoint = parse_endpoint("argocd.akn.chezmoi.sh")?;
    /// let anonymous = Client::builder(endpoint.clone(), Credentials::anonymous()).build()?;
    /// let login = anonymous.oidc_login().start().await?;
    /// println!("Open {} in a browser.", login.url());
    /// let tokens = login.finish(Duration::from_secs(300)).await?;
    /// let client = Client::builder(endpoint, Credentials::oidc(tokens)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn oidc_login(&self) -> OidcLoginBuilder {
        OidcLoginBuilder::new(self.clone())
    }

    /// Reads the settings. Works without a session; may be repeated.
    ///
    /// # Errors
    /// [`Connect`](ErrorKind::Connect), [`Certificate`](ErrorKind::Certificate) or
    /// [`Timeout`](ErrorKind::Timeout) on the way to the server.
    pub async fn settings(&self) -> Result<Settings> {
        self.transport
            .send(&Call::get("read settings", "/api/v1/settings", &[]))
            .await
    }

    /// Asks whether RBAC allows the account to do `action` on `object` of `resource`. Changes nothing.
    ///
    /// The object is a name, `project/name` for applications, or `*` for every object. `*` is allowed
    /// only by a policy whose pattern covers every object. The address of a cluster cannot be checked. What another account
    /// may do, and what a policy says of an address, is computed by [`rbac::Policy`](crate::rbac::Policy).
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an object with `:` or `//`;
    /// [`Rejected`](ErrorKind::Rejected) for an unknown resource or action;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn can_i(&self, resource: &str, action: &str, object: &str) -> Result<bool> {
        account::allowed(&self.transport, resource, action, object).await
    }

    /// Sends a request that this crate has no method for and returns the decoded response.
    ///
    /// `path` starts with `/api/` and must be percent-encoded already; `query` is encoded here.
    /// Only `GET` is repeated after a failure of the connection.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a path outside `/api/`, and every kind of
    /// the server.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut call = Call::raw(method, path);
        if !path.starts_with("/api/") || path.contains(['?', '#', ' ']) || path.contains("//") {
            return Err(call
                .error(ErrorKind::InvalidInput)
                .with_message("not an encoded path below /api/"));
        }
        for (name, value) in query {
            call = call.query(name, value);
        }
        if let Some(body) = body {
            call = call.body(body)?;
        }
        self.transport.send(&call).await
    }
}
