//! The client handle: built from a kubeconfig, cloned freely.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Node;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::argocd::ArgoCdManager;
use super::connect::{ConnectOptions, kube_client};
use super::kubeconfig::{Identity, Kubeconfig};
use super::node::NodeSummary;
use super::request::{ApiRequest, decode_failure, from_kube};
use crate::services::{DurationText, Error, ErrorKind, Idempotency, Result, RetryPolicy};

/// A client of one Kubernetes API server.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    kube: kube::Client,
    settings: ClientBuilder,
}

/// Builder for a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder {
    kubeconfig: Kubeconfig,
    connection: ConnectOptions,
    proxy: Option<Url>,
    timeout: Duration,
    retry: RetryPolicy,
    token: Option<SecretString>,
}

impl ClientBuilder {
    /// Connects to `address` instead of the kubeconfig's server, for example before DNS has the endpoint. The
    /// certificate is still verified against the kubeconfig's server.
    pub fn dial(mut self, address: SocketAddr) -> Self {
        self.connection.dial = Some(address);
        self
    }

    /// Verifies the server's certificate against `name` instead of the host of the kubeconfig's server.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.connection.server_name = Some(name.into());
        self
    }

    /// Authenticates with `token` instead of the kubeconfig's client certificate or token.
    pub fn bearer_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets how failed requests are repeated. [`Client::verify`] and other waits have intervals of their own.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long one attempt may take, watches excepted; 10 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long one connection may take to be established; 5 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connection.connect_timeout = timeout;
        self
    }

    /// Connects through this HTTP proxy (`CONNECT`). The proxy variables of the environment are never read.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Uses no proxy: the default.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = None;
        self
    }

    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    ///
    /// `Configuration` when a certificate, key, token, address or name cannot be used.
    pub fn build(mut self) -> Result<Client> {
        self.connection.proxy = self.proxy.as_ref().map(proxy_uri).transpose()?;
        let kube = kube_client(&self.kubeconfig, &self.connection, self.token.as_ref())?;
        Ok(Client {
            inner: Arc::new(Inner {
                kube,
                settings: self,
            }),
        })
    }
}

/// The credentials and the way to the server.
pub(super) struct CoreSettings<'a> {
    pub(super) token: Option<&'a SecretString>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) server_name: Option<&'a str>,
    pub(super) dial: Option<SocketAddr>,
    pub(super) proxy: Option<&'a Url>,
}

/// The response of `/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerVersion {
    /// The version with its `v`, for example `v1.33.4`.
    pub git_version: String,
    /// Operating system and architecture, for example `linux/amd64`.
    pub platform: String,
}

impl Client {
    /// Builder for a client of the cluster of `kubeconfig`.
    pub fn builder(kubeconfig: Kubeconfig) -> ClientBuilder {
        ClientBuilder {
            kubeconfig,
            connection: ConnectOptions {
                dial: None,
                server_name: None,
                connect_timeout: Duration::from_secs(5),
                proxy: None,
            },
            proxy: None,
            timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            token: None,
        }
    }

    /// The kubeconfig of this client.
    #[must_use]
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.inner.settings.kubeconfig
    }

    /// The same server, connection settings and trust with `token` as the credentials. Nothing is sent.
    ///
    /// # Errors
    ///
    /// `Configuration` when the token cannot be put into a header.
    pub fn with_token(&self, token: SecretString) -> Result<Self> {
        self.inner.settings.clone().bearer_token(token).build()
    }

    /// The same server, credentials and trust, dialled at `address`, or at the kubeconfig's server itself. Nothing is sent.
    ///
    /// # Errors
    ///
    /// `Configuration` when a certificate, key, token, address or name cannot be used.
    pub fn dialling(&self, address: Option<SocketAddr>) -> Result<Self> {
        let mut settings = self.inner.settings.clone();
        settings.connection.dial = address;
        settings.build()
    }

    /// Reads the version of the API server, which also proves that the server accepts the credentials.
    ///
    /// # Errors
    ///
    /// `Connect` while the port is closed, `Certificate` for another cluster, `Unauthenticated` when the server does not
    /// accept the certificate or token, `NotReady` and `Server` while it starts, `Timeout`, `Interrupted`.
    pub async fn version(&self) -> Result<ServerVersion> {
        let answer = self
            .send(ApiRequest::get("read version", "/version"))
            .await?;
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

    /// Checks that `/readyz` responds with 200. One attempt.
    ///
    /// # Errors
    ///
    /// `NotReady` with the failing checks in the message, `Connect`, `Certificate`, `Unauthenticated`, `Timeout`,
    /// `Interrupted`.
    pub async fn ready(&self) -> Result<()> {
        self.send_text(&ApiRequest::get("read readyz", "/readyz?verbose"))
            .await
            .map(drop)
            .map_err(|error| match error.status() {
                Some(status @ StatusCode::INTERNAL_SERVER_ERROR) => {
                    Error::new(ErrorKind::NotReady, error.operation())
                        .with_status(status)
                        .with_server(self.kubeconfig().server().as_str())
                        .with_message(failing_checks(error.message()))
                }
                _ => error,
            })
    }

    /// Reads any path of the API, for operations without a method: one GET, decoded.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Forbidden`, `Rejected`, `Decode`, `Unauthenticated`, `Connect`, `Certificate`, `NotReady`, `Timeout`,
    /// `Interrupted`.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.send(ApiRequest::get("read path", path)).await
    }

    /// Lists the nodes by name.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Decode`, `Unauthenticated`, `Connect`, `Certificate`, `NotReady`, `Timeout`, `Interrupted`.
    pub async fn nodes(&self) -> Result<Vec<NodeSummary>> {
        const OPERATION: &str = "list nodes";
        let request = ApiRequest::get(OPERATION, "/api/v1/nodes");
        let list: List<Node> = serde_json::from_value(self.send_repeatable(request).await?)
            .map_err(|error| {
                decode_failure(OPERATION, &error).with_server(self.kubeconfig().server().as_str())
            })?;
        let mut nodes: Vec<NodeSummary> = list.items.iter().map(NodeSummary::of).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Deletes a node object. Returns whether there was one, and may therefore be repeated. A kubelet that still runs registers
    /// its node again.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that cannot be one of a node, `Forbidden`, `Unauthenticated`, `Connect`, `Certificate`,
    /// `NotReady`, `Timeout`, `Interrupted`.
    pub async fn delete_node(&self, name: &str) -> Result<bool> {
        const OPERATION: &str = "delete node";
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if name.is_empty() || !name.chars().all(is_part) {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_target(name)
                .with_message("a node has a DNS name"));
        }
        let request = ApiRequest::delete(OPERATION, format!("/api/v1/nodes/{name}"));
        match self.send_repeatable(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The ServiceAccount that Argo CD uses on this cluster, in namespace `kube-system`. Nothing is sent.
    #[must_use]
    pub fn argocd_manager(&self) -> ArgoCdManager {
        ArgoCdManager::new(self.clone())
    }

    /// What another client of the same server needs.
    pub(super) fn core_settings(&self) -> CoreSettings<'_> {
        let settings = &self.inner.settings;
        let kubeconfig = &settings.kubeconfig;
        let server_name = settings.connection.server_name.as_deref();
        CoreSettings {
            token: settings.token.as_ref().or(kubeconfig.token()),
            identity: kubeconfig.identity(),
            server_name: server_name.or(kubeconfig.server_name()),
            dial: settings.connection.dial,
            proxy: settings.proxy.as_ref(),
        }
    }

    /// How long one attempt may take.
    pub(super) fn request_timeout(&self) -> Duration {
        self.inner.settings.timeout
    }

    pub(super) fn kube(&self) -> &kube::Client {
        &self.inner.kube
    }

    /// Sends once and decodes the response.
    pub(super) async fn send(&self, request: ApiRequest) -> Result<Value> {
        let text = self.send_text(&request).await?;
        serde_json::from_str(&text).map_err(|error| {
            decode_failure(request.operation(), &error)
                .with_target(request.target())
                .with_server(self.kubeconfig().server().as_str())
        })
    }

    /// Sends a request that may be repeated, by the retry policy.
    pub(super) async fn send_repeatable(&self, request: ApiRequest) -> Result<Value> {
        self.inner
            .settings
            .retry
            .run(Idempotency::Safe, |_| self.send(request.clone()))
            .await
    }

    /// One request, one response as text. kube's typed calls log a response that cannot be decoded, and responses can
    /// hold tokens.
    async fn send_text(&self, request: &ApiRequest) -> Result<String> {
        let timeout = self.inner.settings.timeout;
        let started = tokio::time::Instant::now();
        let attempt = self.inner.kube.request_text(request.to_http()?);
        let response = match tokio::time::timeout(timeout, attempt).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(from_kube(request.operation(), error)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, request.operation())
                .with_message(format!("no response within {}", DurationText(timeout)))),
        };
        tracing::debug!(
            operation = request.operation(),
            method = %request.method(),
            status = response.as_ref().map_or_else(Error::status, |_| Some(StatusCode::OK)).map(|status| status.as_u16()),
            duration = ?started.elapsed(),
            "kubernetes request"
        );
        response.map_err(|error| {
            error
                .with_target(request.target())
                .with_server(self.kubeconfig().server().as_str())
        })
    }
}

fn proxy_uri(proxy: &Url) -> Result<Uri> {
    let uri = Some(proxy).filter(|proxy| proxy.scheme() == "http");
    uri.and_then(|proxy| proxy.as_str().parse().ok())
        .ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "build Kubernetes client")
                .with_message("the proxy is not an http:// URL")
        })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.kubeconfig().server().as_str())
            .field("dial", &self.inner.settings.connection.dial)
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
    fn the_failing_checks_are_taken_from_the_verbose_response() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n\
                    [-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed";

        assert_eq!(
            failing_checks(body),
            "not ready: etcd, poststarthook/rbac/bootstrap-roles"
        );
        assert_eq!(failing_checks("etcd down"), "etcd down");
    }
}
