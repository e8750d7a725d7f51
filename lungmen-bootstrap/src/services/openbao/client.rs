//! The client: address, trust, credentials; cheap to clone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderValue;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::credentials::Credentials;
use super::health::{Health, SealStatus};
use super::kv::Kv;
use super::path::encode;
use super::token::{TokenInfo, client_token};
use super::transport::{Request, Transport};
use crate::services::{Error, ErrorKind, Result, RetryPolicy, TlsTrust};

/// A client of one OpenBao server or cluster. Clones share one session.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    credentials: Credentials,
    session: Mutex<Option<SecretString>>,
}

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder {
    address: Url,
    credentials: Credentials,
    namespace: Option<String>,
    trust: TlsTrust,
    connect_timeout: Duration,
    timeout: Duration,
    retry: RetryPolicy,
    proxy: Option<Url>,
}

impl ClientBuilder {
    /// Sets the namespace (`team`, `team/prod`); the default is the root namespace. Needs OpenBao 2.3 or later.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets which server certificates are accepted. Defaults to the system's trust store.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets how failed requests are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long one attempt may take; 15 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long one connection may take to be established; 5 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sends every request through this HTTP proxy. The proxy variables of the environment are never read.
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
    /// `Configuration` for an address that is not http or https, a namespace that fits no header, or unusable
    /// certificates.
    pub fn build(self) -> Result<Client> {
        let bad = |message: String| {
            Error::new(ErrorKind::Configuration, "build OpenBao client").with_message(message)
        };
        let scheme = self.address.scheme();
        if !matches!(scheme, "https" | "http") {
            return Err(bad(format!(
                "the address begins with {scheme}:, not with https:"
            )));
        }
        let tls = self.trust.client_config(scheme)?;
        let namespace = self.namespace.as_deref().map(|name| name.trim_matches('/'));
        let namespace = namespace
            .filter(|name| !name.is_empty())
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| bad("the namespace is not printable ASCII".to_owned()))?;
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .user_agent(concat!("lungmen-bootstrap/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = self.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|error| bad("the proxy cannot be used".to_owned()).with_source(error))?;
            http = http.proxy(proxy);
        }
        let http = http
            .build()
            .map_err(|error| bad("the settings cannot be used".to_owned()).with_source(error))?;
        let mut address = self.address;
        // The address appears in errors; credentials in it would not be used anyway.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        address.set_query(None);
        address.set_fragment(None);
        Ok(Client {
            inner: Arc::new(Inner {
                transport: Transport {
                    http,
                    address,
                    namespace,
                    retry: self.retry,
                    last_write: std::sync::Mutex::default(),
                },
                credentials: self.credentials,
                session: Mutex::new(None),
            }),
        })
    }
}

impl Client {
    /// Builder for a client of the server at `address`, which may have a path prefix.
    pub fn builder(address: Url, credentials: Credentials) -> ClientBuilder {
        ClientBuilder {
            address,
            credentials,
            namespace: None,
            trust: TlsTrust::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            proxy: None,
        }
    }

    /// Address of the server.
    #[must_use]
    pub fn address(&self) -> &Url {
        &self.inner.transport.address
    }

    /// The KV version 2 engine mounted at `mount`, usually `secret`. Nothing is sent.
    #[must_use]
    pub fn kv(&self, mount: impl Into<String>) -> Kv {
        Kv::new(self.clone(), mount.into())
    }

    /// Reads the state of the server. Needs no login, and succeeds for a sealed or uninitialised server too.
    ///
    /// # Errors
    ///
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`; `Decode` when the server is not OpenBao.
    pub async fn health(&self) -> Result<Health> {
        let request = Request::read("read health", "sys/health").any_status_with("initialized");
        let health = Health::decode(&self.inner.transport.send(&request, None).await?);
        health.map_err(|error| error.with_server(self.address().as_str()))
    }

    /// Reads how many key shares have been entered since the server was sealed. Needs no login.
    ///
    /// # Errors
    ///
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`; `Decode` when the server is not OpenBao.
    pub async fn seal_status(&self) -> Result<SealStatus> {
        let request = Request::read("read seal status", "sys/seal-status");
        let status = SealStatus::decode(&self.inner.transport.send(&request, None).await?);
        status.map_err(|error| error.with_server(self.address().as_str()))
    }

    /// Logs in, unless the client has a session or the credentials are a token. Other calls log in by themselves.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when the server does not accept the credentials, `Unsupported` when it requires a second
    /// factor, `Sealed`, `Connect`, `Certificate`, `Timeout`.
    pub async fn login(&self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// Revokes the token of the session. A token given as credentials is not revoked. May be repeated.
    ///
    /// # Errors
    ///
    /// `Connect`, `Timeout`, `Interrupted`, `Sealed`; the token then lives until its time to live is over.
    pub async fn logout(&self) -> Result<()> {
        let Some(token) = self.inner.session.lock().await.take() else {
            return Ok(());
        };
        let request = Request::write("revoke token", "auth/token/revoke-self", json!({}));
        self.inner
            .transport
            .send(&request, Some(&token))
            .await
            .map(drop)
    }

    /// Reads what the server knows about the token.
    ///
    /// # Errors
    ///
    /// `Forbidden` when the token is unknown or has expired.
    pub async fn token_info(&self) -> Result<TokenInfo> {
        let request = Request::read("look up token", "auth/token/lookup-self");
        TokenInfo::decode(&self.send(request).await?)
    }

    /// Whether the client logs in by itself, and so has a new token whenever it needs one.
    pub(crate) fn logs_in(&self) -> bool {
        !matches!(self.inner.credentials, Credentials::Token(_))
    }

    /// Reads what the token permits on each of these API paths (`secret/data/talos/lungmen.akn`): `create`, `read`, …, or
    /// `deny`.
    ///
    /// # Errors
    ///
    /// `Forbidden` when the token is unknown or has expired.
    pub async fn capabilities(&self, paths: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
        let body = json!({"paths": paths});
        let request = Request::write("read capabilities", "sys/capabilities-self", body);
        let answer = self.send(request).await?;
        let listed = |path: &str| {
            let names = answer["data"][path].as_array().cloned().unwrap_or_default();
            names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Ok(paths
            .iter()
            .map(|path| ((*path).to_owned(), listed(path)))
            .collect())
    }

    /// Reads any path below `/v1/`, for operations without a method. Returns the whole envelope, secrets included.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Forbidden`, `Sealed`, `Rejected`.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.send(Request::read("read path", encode(path)?)).await
    }

    /// Sends with the token. A session that the server no longer knows is replaced once. The server responds with the
    /// same 403 as for a missing permission, so the token is looked up first.
    pub(super) async fn send(&self, request: Request) -> Result<Value> {
        let known = self.inner.session.lock().await.is_some();
        let token = self.token().await?;
        let answer = self.inner.transport.send(&request, Some(&token)).await;
        match answer {
            Err(error) if known && is_denied(&error) => {
                if self.is_known(&token).await {
                    return Err(error);
                }
                self.inner.session.lock().await.take();
                let token = self.token().await?;
                self.inner.transport.send(&request, Some(&token)).await
            }
            other => other,
        }
    }

    async fn is_known(&self, token: &SecretString) -> bool {
        let request = Request::read("look up token", "auth/token/lookup-self");
        let answer = self.inner.transport.send(&request, Some(token)).await;
        !answer.is_err_and(|error| is_denied(&error))
    }

    async fn token(&self) -> Result<SecretString> {
        if let Credentials::Token(token) = &self.inner.credentials {
            return Ok(token.clone());
        }
        let mut session = self.inner.session.lock().await;
        if let Some(token) = session.as_ref() {
            return Ok(token.clone());
        }
        let token = self.request_token().await?;
        *session = Some(token.clone());
        Ok(token)
    }

    async fn request_token(&self) -> Result<SecretString> {
        let Some((path, body)) = self.inner.credentials.login()? else {
            return Err(Error::new(ErrorKind::Configuration, "log in"));
        };
        // Every login creates a token; a lost one expires.
        let request = Request::write("log in", path, body);
        match self.inner.transport.send(&request, None).await {
            Ok(answer) => client_token(&answer),
            Err(error)
                if matches!(
                    error.status(),
                    Some(StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
                ) =>
            {
                Err(error.with_kind(ErrorKind::Unauthenticated))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_denied(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Forbidden | ErrorKind::Unauthenticated
    )
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.inner.transport.address.as_str())
            .finish_non_exhaustive()
    }
}
