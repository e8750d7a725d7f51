//! Building a client from explicit values. Nothing is read from the environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::client::Client;
use crate::connections::{self, Connections};
use crate::credentials::{Authenticator, Credentials};
use crate::error::{Error, ErrorKind, Result};
use crate::limiter::Limiter;
use crate::retry::RetryPolicy;
use crate::tls::TlsTrust;
use crate::transport::Transport;

/// Builder for [`Client`], made by [`Client::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    endpoint: Url,
    credentials: Credentials,
    trust: TlsTrust,
    retry: RetryPolicy,
    connect_timeout: Duration,
    timeout: Duration,
    upload_timeout: Duration,
    limiter: Limiter,
    proxy: Option<Url>,
    plain_http: bool,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: Url, credentials: Credentials) -> Self {
        Self {
            endpoint,
            credentials,
            trust: TlsTrust::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            upload_timeout: Duration::from_secs(600),
            limiter: Limiter::new(),
            proxy: None,
            plain_http: false,
        }
    }

    /// Sets which server certificates are accepted. The default is the trust store of the operating system.
    ///
    /// A new Proxmox VE has a certificate of its own authority, `/etc/pve/pve-root-ca.pem` (valid for ten years):
    /// give that one, or the fingerprint of the node's certificate, which the node renews within two years.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets how single requests are repeated. The default is four attempts within 30 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the timeout for DNS, TCP and TLS. The default is 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the timeout for one attempt of a request other than an upload. The default is 60 s.
    ///
    /// A node that forwards a call to another node gives up after 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the longest time without progress during an upload. The default is 10 minutes.
    ///
    /// It also limits the wait for the response, which arrives only after the node has stored the whole file.
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = timeout;
        self
    }

    /// Sets how much work a node and a storage get at the same time. The default is a limiter of this client alone;
    /// give a clone of one limiter to all clients of a cluster.
    pub fn limiter(mut self, limiter: Limiter) -> Self {
        self.limiter = limiter;
        self
    }

    /// Sends all requests through this HTTP proxy. The default is no proxy; the environment is not read.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sends all requests directly, which is the default.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = None;
        self
    }

    /// Accepts an `http://` endpoint, over which credentials travel unprotected.
    ///
    /// A real server only redirects such requests. This is for test servers on the loopback interface.
    pub fn danger_allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    /// `Configuration` when the endpoint is not `https://HOST:PORT`, when the credentials cannot be sent in a header,
    /// or when the authority certificate or the proxy cannot be used.
    pub fn build(self) -> Result<Client> {
        let base = self.base()?;
        // The server speaks HTTP/1 only.
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(self.trust.client_config(self.endpoint.scheme())?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(connections::IDLE)
            .connector_layer(connections::ReuseFirst)
            .connect_timeout(self.connect_timeout)
            .user_agent(concat!(
                "lungmen-proxmox-client/",
                env!("CARGO_PKG_VERSION")
            ))
            .default_headers(HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_static("application/json"),
            )]));
        if let Some(proxy) = &self.proxy {
            let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|error| {
                configuration("the proxy cannot be used").with_source(error.without_url())
            })?;
            http = http.proxy(proxy);
        }
        let http = http.build().map_err(|error| {
            configuration("the HTTP client cannot be set up").with_source(error)
        })?;
        Ok(Client::from_transport(Arc::new(Transport {
            http,
            base,
            authenticator: Authenticator::new(&self.credentials)?,
            retry: self.retry,
            timeout: self.timeout,
            upload_timeout: self.upload_timeout,
            limiter: self.limiter,
            connections: Connections::default(),
        })))
    }

    fn base(&self) -> Result<String> {
        let endpoint = &self.endpoint;
        match endpoint.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            _ => return Err(configuration("the endpoint must begin with https://")),
        }
        if endpoint.host_str().is_none_or(str::is_empty) {
            return Err(configuration("the endpoint has no host"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(configuration("the endpoint must not contain credentials"));
        }
        let path = endpoint.path().trim_end_matches('/');
        if !(path.is_empty() || path == "/api2/json") || endpoint.query().is_some() {
            return Err(configuration(
                "the endpoint is scheme, host and port only; /api2/json is added by the client",
            ));
        }
        Ok(format!(
            "{}/api2/json",
            endpoint.origin().ascii_serialization()
        ))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint.origin().ascii_serialization())
            .field("credentials", &self.credentials)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, "build client").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::ApiToken;

    fn build(endpoint: &str) -> Result<Client> {
        let token = ApiToken::new("ci@pve!boot", "secret".into())?;
        Client::builder(endpoint.parse().unwrap(), token).build()
    }

    #[test]
    fn scheme_host_and_port_are_enough() {
        for endpoint in [
            "https://pve:8006",
            "https://pve:8006/",
            "https://10.0.0.2:8006/api2/json/",
        ] {
            assert!(build(endpoint).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn other_endpoints_are_refused_before_anything_is_sent() {
        for endpoint in [
            "http://pve:8006",
            "ftp://pve",
            "https://root:canary@pve:8006",
            "https://pve:8006/pve",
            "https://pve:8006/?x=1",
        ] {
            let error = build(endpoint).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{endpoint}");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
