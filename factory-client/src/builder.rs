//! Building a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use url::Url;

use crate::client::Client;
use crate::error::Result;
use crate::offline::OfflineFactory;
use crate::transport::Transport;

/// How the factory's certificate is checked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsTrust {
    /// The certificate store of the system.
    #[default]
    PublicRoots,
    /// This authority alone, for an own factory.
    Authority(CertificateDer<'static>),
}

/// Credentials of an Enterprise factory. They are sent to the base URL's origin alone, never along a redirect.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// User name and password.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic([REDACTED])",
            Self::Bearer(_) => "Bearer([REDACTED])",
        })
    }
}

/// How often and how long failed requests are repeated. Every request of this crate is idempotent.
///
/// The delay doubles from `first_delay` up to `max_delay`, with jitter; a `Retry-After` of the factory wins when it
/// is longer.
#[derive(Debug, Clone)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) attempts: usize,
    pub(crate) first_delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) settle: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(10),
            settle: Duration::from_secs(45),
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            settle: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Sets how often a request is sent at most; also the bound for an image build that fails with 500.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the first delay and the longest one.
    pub fn delays(mut self, first: Duration, longest: Duration) -> Self {
        self.first_delay = first;
        self.max_delay = longest;
        self
    }

    /// Sets how long a schematic that this client has posted may still be answered with 404: factories from v1.1.0
    /// on remember for 30 s that they did not have it.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }
}

/// Collects the settings of a [`Client`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    base_url: Url,
    registry: Option<String>,
    pxe_base: Option<Url>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) trust: TlsTrust,
    pub(crate) proxy: Option<Url>,
    pub(crate) user_agent: String,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
}

#[derive(Debug, Clone)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) request: Duration,
    pub(crate) build: Duration,
    pub(crate) idle: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(base_url: Url) -> Self {
        Self {
            base_url,
            registry: None,
            pxe_base: None,
            credentials: None,
            trust: TlsTrust::default(),
            proxy: None,
            user_agent: concat!("lungmen-factory-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy::default(),
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                request: Duration::from_secs(45),
                build: Duration::from_secs(30 * 60),
                idle: Duration::from_secs(90),
            },
        }
    }

    /// Sets credentials for an Enterprise factory.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets how the certificate is checked.
    pub fn tls(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sends every request through this HTTP proxy. The environment is never asked for one.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets the registry host under which nodes reach installer images, when it is not the base URL's host.
    pub fn registry(mut self, host: impl Into<String>) -> Self {
        self.registry = Some(host.into());
        self
    }

    /// Sets the base URL of iPXE scripts.
    pub fn pxe_base(mut self, base: Url) -> Self {
        self.pxe_base = Some(base);
        self
    }

    /// Sets the `User-Agent` header.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets how failed requests are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long a TCP and TLS handshake may take; 10 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets how long one metadata request may take; 45 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// Sets how long the factory may stay silent while it builds an image, all attempts together; 30 min by
    /// default. The factory itself gives up after 20.
    pub fn build_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.build = timeout;
        self
    }

    /// Sets how long a body may pause; 90 s by default. Bodies as a whole have no time limit.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a bad base URL or proxy, a certificate that
    /// cannot be read, a credential that is no header value, or a system without a certificate store.
    pub fn build(self) -> Result<Client> {
        let mut offline = OfflineFactory::new(self.base_url.clone())?;
        if let Some(registry) = &self.registry {
            offline = offline.registry(registry);
        }
        if let Some(pxe_base) = &self.pxe_base {
            offline = offline.pxe_base(pxe_base.clone());
        }
        let transport = Transport::new(&self, offline)?;
        Ok(Client::from_transport(Arc::new(transport)))
    }
}
