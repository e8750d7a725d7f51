//! Builder for `Client`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use rustls::ClientConfig;
use url::Url;

use crate::client::Client;
use crate::credentials::{Credentials, Session};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::retry::RetryPolicy;
use crate::tls::TlsTrust;
use crate::transport::{Timeouts, TokenHeader, Transport};

/// Not `argocd-client/…`: the server compares the version behind that name on some paths.
pub(crate) const AGENT: &str = concat!("lungmen-argocd/", env!("CARGO_PKG_VERSION"));

/// Builds a [`Client`]. Nothing is sent before the first call.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until build is called"]
pub struct ClientBuilder {
    endpoint: Url,
    credentials: Credentials,
    trust: TlsTrust,
    retry: RetryPolicy,
    timeouts: Timeouts,
    token_header: TokenHeader,
    headers: Vec<(String, String)>,
    proxy: Option<Url>,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: Url, credentials: Credentials) -> Self {
        Self {
            endpoint,
            credentials,
            trust: TlsTrust::default(),
            // Long enough for one slow cluster check (90 s) and its repetition.
            retry: RetryPolicy::default().deadline(Duration::from_secs(300)),
            timeouts: Timeouts::default(),
            token_header: TokenHeader::Authorization,
            headers: Vec::new(),
            proxy: None,
        }
    }

    /// Sets which server certificates are trusted. Defaults to the system trust store.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets how failed requests are repeated. Defaults to 4 attempts within 300 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the time for DNS, TCP and TLS. Defaults to 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets the time for one attempt of an ordinary request. Defaults to 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// Sets the time for one attempt of a call that makes Argo CD talk to a cluster. Defaults to 90 s.
    ///
    /// Creating, updating and rotating a cluster waits for the response of that cluster. One that
    /// drops packets takes Argo CD about 30 s to give up on.
    pub fn cluster_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.cluster = timeout;
        self
    }

    /// Sends the token as `Grpc-Metadata-Token`, for proxies that keep `Authorization` for themselves.
    pub fn token_as_grpc_metadata(mut self) -> Self {
        self.token_header = TokenHeader::GrpcMetadata;
        self
    }

    /// Adds a header to every request, for a proxy in front of the server. The value is treated as a secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends all requests through this HTTP proxy. The environment is never read.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sends all requests directly, which is the default.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = None;
        self
    }

    /// Checks the settings and builds the client. Sends nothing.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) for a bad endpoint, token, header, proxy
    /// or trust setting.
    pub fn build(self) -> Result<Client> {
        let headers = self.default_headers()?;
        let base = endpoint::normalise(self.endpoint)?;
        self.credentials.check()?;
        let tls = self.trust.client_config(base.scheme())?;
        let http = http_client(tls, headers, self.timeouts.connect, None, self.proxy)?;
        Ok(Client::new(Arc::new(Transport {
            http,
            base,
            session: Session::new(self.credentials),
            retry: self.retry,
            timeouts: self.timeouts,
            token_header: self.token_header,
        })))
    }

    fn default_headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            let bad = || Error::configuration(format!("header {name:?} cannot be sent"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// An HTTP client that follows no redirect, speaks HTTP/1.1 only, and reads nothing from the environment. The host of
/// `dial` is not looked up.
pub(crate) fn http_client(
    tls: ClientConfig,
    headers: HeaderMap,
    connect_timeout: Duration,
    dial: Option<(&str, SocketAddr)>,
    proxy: Option<Url>,
) -> Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .http1_only()
        .no_proxy();
    if let Some((host, address)) = dial {
        http = http.resolve(host, address);
    }
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy).map_err(|error| {
            Error::configuration("the proxy cannot be used").with_source(error.without_url())
        })?;
        http = http.proxy(proxy);
    }
    http.build()
        .map_err(|error| Error::configuration("the HTTP client cannot be built").with_source(error))
}
