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

    /// Makes the endpoint forward calls to this node, an address or host name without port.
    ///
    /// Only control plane nodes forward calls. Without it the dialled node answers.
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Sets the time for TCP and TLS. Defaults to five seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Sets the time for one attempt of a unary call. Defaults to fifteen seconds; calls that take longer by nature
    /// extend it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets the time for a whole stream. Defaults to one hour.
    pub fn stream_deadline(mut self, deadline: Duration) -> Self {
        self.limits.stream_deadline = deadline;
        self
    }

    /// Sets how failed calls are repeated.
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

    /// Sets which certificates are accepted. Defaults to any certificate.
    pub fn trust(mut self, trust: MaintenanceTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the time for TCP and TLS. Defaults to five seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Sets the time for one attempt of a unary call. Defaults to fifteen seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how failed calls are repeated.
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
