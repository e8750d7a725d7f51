//! Building the two clients.

use std::time::Duration;

use crate::api::channel::{Limits, Transport};
use crate::{
    Client, Credentials, Endpoint, MaintenanceClient, MaintenanceTrust, Result, RetryPolicy,
    api::tls,
};

/// Builds a [`Client`]; see [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    endpoint: Endpoint,
    credentials: Credentials,
    node: Option<String>,
    limits: Limits,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        Self {
            endpoint,
            credentials,
            node: None,
            limits: Limits::default(),
        }
    }

    /// Lets the endpoint pass calls on to this node, an address or host name without port.
    ///
    /// Only control plane nodes pass calls on. Without it the dialled node answers itself.
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Time for TCP and TLS, five seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Time for one attempt of a unary call, fifteen seconds by default. Calls that take longer by nature extend it.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.limits.request_timeout = timeout;
        self
    }

    /// Time for a whole stream, one hour by default.
    pub fn stream_deadline(mut self, deadline: Duration) -> Self {
        self.limits.stream_deadline = deadline;
        self
    }

    /// How failed calls are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.limits.retry = policy;
        self
    }

    /// Checks everything; connects to nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Configuration`] for PEM, key or node that cannot be used,
    /// [`crate::ErrorKind::Certificate`] for a client certificate that has expired.
    pub fn build(self) -> Result<Client> {
        let authority = self.credentials.authority()?;
        self.endpoint.server_name()?;
        let tls = tls::mutual(&authority, &self.credentials)?;
        let transport = Transport::new(self.endpoint, tls, self.limits);
        let transport = match &self.node {
            Some(node) => transport.to_node(node)?,
            None => transport,
        };
        Ok(Client::new(transport, authority))
    }
}

/// Builds a [`MaintenanceClient`]; see [`MaintenanceClient::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct MaintenanceClientBuilder {
    endpoint: Endpoint,
    trust: MaintenanceTrust,
    limits: Limits,
}

impl MaintenanceClientBuilder {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            trust: MaintenanceTrust::default(),
            limits: Limits::default(),
        }
    }

    /// Which certificates are accepted; any one by default.
    pub fn trust(mut self, trust: MaintenanceTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Time for TCP and TLS, five seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Time for one attempt of a unary call, fifteen seconds by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.limits.request_timeout = timeout;
        self
    }

    /// How failed calls are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.limits.retry = policy;
        self
    }

    /// Checks everything; connects to nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Configuration`] for a host that cannot be a TLS name.
    pub fn build(self) -> Result<MaintenanceClient> {
        self.endpoint.server_name()?;
        let (tls, verifier) = tls::anonymous(self.trust)?;
        let transport = Transport::new(self.endpoint, tls, self.limits);
        Ok(MaintenanceClient::new(transport, verifier))
    }
}
