//! Building a client from explicit values; nothing is read from the environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{Mutex, Semaphore};
use url::Url;

use crate::client::Client;
use crate::credentials::{Authenticator, Credentials};
use crate::error::{Error, ErrorKind, Result};
use crate::retry::RetryPolicy;
use crate::tls::TlsTrust;
use crate::transport::{PLACES, Transport};

/// Collects what a [`Client`] needs; made by [`Client::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    endpoint: Url,
    credentials: Option<Credentials>,
    trust: TlsTrust,
    retry: RetryPolicy,
    connect_timeout: Duration,
    request_timeout: Duration,
    upload_timeout: Duration,
    plain_http: bool,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            credentials: None,
            trust: TlsTrust::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            upload_timeout: Duration::from_secs(600),
            plain_http: false,
        }
    }

    /// Who calls. Required.
    pub fn credentials(mut self, credentials: impl Into<Credentials>) -> Self {
        self.credentials = Some(credentials.into());
        self
    }

    /// Which server certificate is accepted; by default one that a public authority issued.
    pub fn tls(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// When single requests are repeated; by default four attempts within 30 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The longest time for DNS, TCP and TLS; by default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest time for one attempt of a request other than an upload; by default 60 s.
    ///
    /// A node that forwards a call to another one gives up after 30 s itself.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The longest time without progress during an upload, and for its answer afterwards, which
    /// comes only after the node has stored everything; by default 10 minutes.
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = timeout;
        self
    }

    /// Accepts an `http://` endpoint, over which credentials travel unprotected. A real server
    /// only redirects such requests; this is for test servers on the loopback interface.
    pub fn danger_allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// `Configuration`: the endpoint is not `https://HOST:PORT`, credentials are missing, or the
    /// authority certificate cannot be used.
    pub fn build(self) -> Result<Client> {
        let base = self.base()?;
        let credentials = self
            .credentials
            .as_ref()
            .ok_or_else(|| configuration("credentials are missing"))?;
        // The server speaks HTTP/1 only, and closes an idle connection after 5 s: one that is
        // reused at that moment breaks without an answer.
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(self.trust.client_config()?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(4))
            .connect_timeout(self.connect_timeout)
            .user_agent(concat!(
                "lungmen-proxmox-client/",
                env!("CARGO_PKG_VERSION")
            ))
            .default_headers(HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_static("application/json"),
            )]))
            .build()
            .map_err(|error| configuration("HTTP client").with_source(error))?;
        Ok(Client::from_transport(Arc::new(Transport {
            http,
            base,
            authenticator: Authenticator::new(credentials)?,
            retry: self.retry,
            request_timeout: self.request_timeout,
            upload_timeout: self.upload_timeout,
            places: Semaphore::new(PLACES),
            uploading: Mutex::default(),
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
        Client::builder(endpoint.parse().unwrap())
            .credentials(token)
            .build()
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

    #[test]
    fn credentials_are_required() {
        let error = Client::builder("https://pve:8006".parse().unwrap())
            .build()
            .unwrap_err();

        assert!(error.to_string().contains("credentials are missing"));
    }
}
