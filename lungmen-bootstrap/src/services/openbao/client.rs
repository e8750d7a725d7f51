//! The client: address, trust, credentials; cheap to clone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
use crate::services::{Error, ErrorKind, Result, TlsTrust, client_config, untrusting_config};

/// A client of one OpenBao server or cluster.
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
#[must_use = "nothing happens before build()"]
pub struct ClientBuilder {
    address: Url,
    credentials: Credentials,
    namespace: Option<String>,
    trust: TlsTrust,
    connect_timeout: Duration,
    request_timeout: Duration,
    deadline: Duration,
}

impl ClientBuilder {
    /// Works in this namespace (`team`, `team/prod`); the root namespace unless set. OpenBao 2.3 and later.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Whom to believe about the server; the authorities of the operating system unless set.
    pub fn tls(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// How long one attempt to connect may take; 5 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one attempt may take; 15 s unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long an operation may take with its retries; 60 s unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
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
        let tls = match self.address.scheme() {
            "https" => client_config(&self.trust, None)?,
            "http" => untrusting_config()?,
            other => return Err(bad(format!("the address is {other}, not https"))),
        };
        let namespace = self.namespace.as_deref().map(|name| name.trim_matches('/'));
        let namespace = namespace
            .filter(|name| !name.is_empty())
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| bad("the namespace is not printable ASCII".to_owned()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout)
            .user_agent(concat!("lungmen-bootstrap/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| bad("the settings cannot be used".to_owned()).with_source(error))?;
        let mut address = self.address;
        address.set_query(None);
        address.set_fragment(None);
        Ok(Client {
            inner: Arc::new(Inner {
                transport: Transport {
                    http,
                    address,
                    namespace,
                    deadline: self.deadline,
                    last_write: std::sync::Mutex::default(),
                },
                credentials: self.credentials,
                session: Mutex::new(None),
            }),
        })
    }
}

impl Client {
    /// Starts a client of the server at `address`, which may have a path prefix.
    pub fn builder(address: Url, credentials: Credentials) -> ClientBuilder {
        ClientBuilder {
            address,
            credentials,
            namespace: None,
            trust: TlsTrust::default(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(60),
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

    /// How the server is. Needs no login and succeeds for a sealed or uninitialised server too: look at the result.
    ///
    /// # Errors
    ///
    /// `Connect`, `Certificate`, `Timeout`, or `Decode` when something else answers at this address.
    pub async fn health(&self) -> Result<Health> {
        let request = Request::read("read health", "sys/health").any_status();
        Health::decode(&self.inner.transport.send(&request, None).await?)
    }

    /// How far the server is sealed. Needs no login.
    ///
    /// # Errors
    ///
    /// As [`Client::health`].
    pub async fn seal_status(&self) -> Result<SealStatus> {
        let request = Request::read("read seal status", "sys/seal-status");
        SealStatus::decode(&self.inner.transport.send(&request, None).await?)
    }

    /// Logs in, unless that has happened or the credentials are a token. Calls that need it do it themselves.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when the server does not accept the credentials, `Unsupported` when it wants a second factor,
    /// `Sealed`.
    pub async fn login(&self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// Revokes the token a login obtained; a given token is left alone. May be repeated.
    ///
    /// # Errors
    ///
    /// As any request; the token then lives until its time to live is over.
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

    /// What the server knows about our token.
    ///
    /// # Errors
    ///
    /// `Forbidden` when it does not know the token, or it has expired.
    pub async fn token_info(&self) -> Result<TokenInfo> {
        let request = Request::read("look up token", "auth/token/lookup-self");
        TokenInfo::decode(&self.send(request).await?)
    }

    /// What our token may do on each of these API paths (`secret/data/talos/lungmen.akn`): `create`, `read`, …, or
    /// `deny`.
    ///
    /// # Errors
    ///
    /// `Forbidden` when the server does not know the token.
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

    /// Reads any path below `/v1/` with our token, for what this client has no method for. Gives the whole envelope back,
    /// secrets included.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Forbidden`, `Sealed`, `Rejected`.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.send(Request::read("read path", encode(path)?)).await
    }

    /// Sends with our token. A token from a login that the server no longer knows is replaced once; the answer to it is
    /// the same 403 as to a missing permission, so the server is asked about the token first.
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
        // Each login makes a new token; one that got lost expires by itself.
        let request = Request::write("log in", path, body);
        match self.inner.transport.send(&request, None).await {
            Ok(answer) => client_token(&answer),
            Err(error) if matches!(error.status(), Some(400 | 403)) => {
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
