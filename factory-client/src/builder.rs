//! Building a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::client::Client;
use crate::error::Result;
use crate::offline::OfflineFactory;
use crate::poll::Poll;
use crate::retry::RetryPolicy;
use crate::tls::TlsTrust;
use crate::transport::Transport;

/// Credentials of an Enterprise factory. They are sent to the origin of the endpoint only, never along a redirect.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// User name and password, sent as Basic authentication.
    Password {
        /// User name.
        username: String,
        /// Password.
        password: SecretString,
    },
    /// A bearer token.
    Token(SecretString),
}

impl Credentials {
    /// User name and password.
    #[must_use]
    pub fn password(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self::Password {
            username: username.into(),
            password: password.into(),
        }
    }

    /// A bearer token.
    #[must_use]
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::Token(token.into())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password([REDACTED])",
            Self::Token(_) => "Token([REDACTED])",
        })
    }
}

/// Collects the settings of a [`Client`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    endpoint: Url,
    registry: Option<String>,
    pxe_base: Option<Url>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) trust: TlsTrust,
    pub(crate) proxy: Option<Url>,
    pub(crate) user_agent: String,
    pub(crate) retry: RetryPolicy,
    pub(crate) build: Poll,
    pub(crate) registration: Duration,
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
    pub(crate) fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            registry: None,
            pxe_base: None,
            credentials: None,
            trust: TlsTrust::default(),
            proxy: None,
            user_agent: concat!("lungmen-factory-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy::default()
                .attempts(5)
                .deadline(Duration::from_secs(180)),
            build: Poll::every(Duration::from_secs(1))
                .up_to(Duration::from_secs(10))
                .deadline(Duration::from_secs(30 * 60)),
            registration: Duration::from_secs(45),
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                request: Duration::from_secs(45),
                build: Duration::from_secs(30 * 60),
                idle: Duration::from_secs(90),
            },
        }
    }

    /// Sets the credentials for an Enterprise factory. Without them the client is anonymous.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets which server certificates are trusted. Defaults to the trust store of the operating system.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sends every request through this HTTP proxy. By default there is no proxy; the environment is not read.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sends requests directly, which is the default.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = None;
        self
    }

    /// Sets the registry host under which nodes reach installer images, when it is not the endpoint's host.
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

    /// Sets how failed requests are repeated; 5 attempts in 3 min by default. The number of attempts also bounds how
    /// often a failed image build is requested again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long DNS, TCP and TLS may take; 10 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets how long one attempt of a request for metadata may take; 45 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// Sets how long one attempt of a request for an image may wait for the response; 30 min by default. The factory
    /// is silent while it builds, and stops building after 20 min.
    pub fn build_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.build = timeout;
        self
    }

    /// Sets how a download waits for an image that is not built; 30 min by default.
    pub fn build_poll(mut self, poll: Poll) -> Self {
        self.build = poll;
        self
    }

    /// Sets how long a schematic that this client posted may be answered with 404; 45 s by default. Factories from
    /// v1.1.0 on remember an unknown ID for 30 s, in each replica.
    pub fn registration_deadline(mut self, deadline: Duration) -> Self {
        self.registration = deadline;
        self
    }

    /// Sets how long a body may send nothing; 90 s by default. Bodies as a whole have no time limit.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for an endpoint or proxy that is not usable, a
    /// certificate that cannot be read, or a system without a trust store.
    pub fn build(self) -> Result<Client> {
        let mut offline = OfflineFactory::new(self.endpoint.clone())?;
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
