//! The client handle: built from a kubeconfig, cloned freely.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::argocd::ArgoCdManager;
use super::connect::{Route, kube_client};
use super::kubeconfig::Kubeconfig;
use super::request::{Call, decode_failure, refused};
use crate::services::{Error, ErrorKind, Result};

/// A client of one Kubernetes API server.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    kube: kube::Client,
    kubeconfig: Kubeconfig,
    route: Route,
    request_timeout: Duration,
}

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "nothing happens before build()"]
pub struct ClientBuilder {
    kubeconfig: Kubeconfig,
    route: Route,
    request_timeout: Duration,
    token: Option<SecretString>,
}

impl ClientBuilder {
    /// Connects to `address` instead of the kubeconfig's server; the certificate is still checked against that server.
    ///
    /// For the time before DNS knows the endpoint.
    pub fn dial(mut self, address: SocketAddr) -> Self {
        self.route.dial = Some(address);
        self
    }

    /// Expects the server's certificate to carry `name` instead of the host of the kubeconfig's server.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.route.server_name = Some(name.into());
        self
    }

    /// Shows `token` instead of the kubeconfig's client certificate or token.
    pub fn bearer_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// How long one attempt to connect may take; 5 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.route.connect_timeout = timeout;
        self
    }

    /// How long one request may take, watches excepted; 10 s unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    ///
    /// `Configuration` when a certificate, key, token, address or name cannot be used.
    pub fn build(self) -> Result<Client> {
        let kube = kube_client(&self.kubeconfig, &self.route, self.token.as_ref())?;
        Ok(Client {
            inner: Arc::new(Inner {
                kube,
                kubeconfig: self.kubeconfig,
                route: self.route,
                request_timeout: self.request_timeout,
            }),
        })
    }
}

/// What `/version` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerVersion {
    /// The version with its `v`, for example `v1.33.4`.
    pub git_version: String,
    /// Operating system and architecture, for example `linux/amd64`.
    pub platform: String,
}

impl Client {
    /// Starts a client for the cluster of `kubeconfig`.
    pub fn builder(kubeconfig: Kubeconfig) -> ClientBuilder {
        ClientBuilder {
            kubeconfig,
            route: Route {
                dial: None,
                server_name: None,
                connect_timeout: Duration::from_secs(5),
            },
            request_timeout: Duration::from_secs(10),
            token: None,
        }
    }

    /// The kubeconfig this client was built from.
    #[must_use]
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.inner.kubeconfig
    }

    /// The same server, route and trust with `token` instead of our credentials. Nothing is sent.
    ///
    /// # Errors
    ///
    /// `Configuration` when the token cannot be put into a header.
    pub fn with_token(&self, token: SecretString) -> Result<Self> {
        ClientBuilder {
            kubeconfig: self.inner.kubeconfig.clone(),
            route: self.inner.route.clone(),
            request_timeout: self.inner.request_timeout,
            token: Some(token),
        }
        .build()
    }

    /// Reads the version of the API server: one request, which also proves that our credentials are accepted.
    ///
    /// # Errors
    ///
    /// `Connect` while the port is closed, `Certificate` for a foreign cluster, `Unauthenticated` when the server does
    /// not accept our certificate or token, `NotReady` and `Server` while it starts.
    pub async fn version(&self) -> Result<ServerVersion> {
        let answer = self.send(Call::get("read version", "/version")).await?;
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let (Some(git_version), Some(platform)) = (text("gitVersion"), text("platform")) else {
            return Err(Error::new(ErrorKind::Decode, "read version")
                .with_message("gitVersion or platform is missing"));
        };
        Ok(ServerVersion {
            git_version,
            platform,
        })
    }

    /// Asks `/readyz` once.
    ///
    /// # Errors
    ///
    /// `NotReady` with the failing checks in the message; else as [`Client::version`].
    pub async fn ready(&self) -> Result<()> {
        self.send_text(&Call::get("read readyz", "/readyz?verbose"))
            .await
            .map(drop)
            .map_err(|error| match error.status() {
                Some(500) => Error::new(ErrorKind::NotReady, error.operation())
                    .with_status(500)
                    .with_message(failing_checks(error.message())),
                _ => error,
            })
    }

    /// Reads any path of the API, for what this client has no method for: one GET, decoded.
    ///
    /// # Errors
    ///
    /// As [`Client::version`], and `NotFound`, `Forbidden`, `Rejected`.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.send(Call::get("read path", path)).await
    }

    /// The account Argo CD uses on this cluster, in namespace `kube-system`. Nothing is sent.
    #[must_use]
    pub fn argocd_manager(&self) -> ArgoCdManager {
        ArgoCdManager::new(self.clone())
    }

    pub(super) fn kube(&self) -> &kube::Client {
        &self.inner.kube
    }

    pub(super) async fn send(&self, call: Call) -> Result<Value> {
        let text = self.send_text(&call).await?;
        serde_json::from_str(&text).map_err(|error| decode_failure(call.operation(), &error))
    }

    /// One request, one answer as text. kube's typed calls would log an undecodable body, and ours carry tokens.
    async fn send_text(&self, call: &Call) -> Result<String> {
        let request = call.request()?;
        let started = tokio::time::Instant::now();
        let attempt = self.inner.kube.request_text(request);
        let answer = match tokio::time::timeout(self.inner.request_timeout, attempt).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(refused(call.operation(), error)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, call.operation())
                .with_message(format!("no answer within {:?}", self.inner.request_timeout))),
        };
        tracing::debug!(
            operation = call.operation(),
            method = %call.method(),
            status = answer.as_ref().map_or_else(Error::status, |_| Some(200)),
            duration = ?started.elapsed(),
            "kubernetes request"
        );
        answer.map_err(|error| error.with_target(call.target()))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.inner.kubeconfig.server().as_str())
            .field("dial", &self.inner.route.dial)
            .finish_non_exhaustive()
    }
}

/// The lines of `/readyz?verbose` that failed, in one line.
fn failing_checks(body: &str) -> String {
    let failed: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .map(|line| line.split(' ').next().unwrap_or(line))
        .collect();
    if failed.is_empty() {
        body.lines().next().unwrap_or_default().to_owned()
    } else {
        format!("not ready: {}", failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_checks_are_picked_from_the_verbose_answer() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n\
                    [-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed";

        assert_eq!(
            failing_checks(body),
            "not ready: etcd, poststarthook/rbac/bootstrap-roles"
        );
        assert_eq!(failing_checks("etcd down"), "etcd down");
    }
}
