//! The client of configured nodes.

use crate::api::channel::Transport;
use crate::api::machine::Machine;
use crate::{CertificateAuthority, ClientBuilder, Credentials, Endpoint, Resources, Result};

/// Machine API of a configured node, over mutual TLS. A cheap handle: clone it freely.
///
/// The first call connects, and later ones connect again after a reboot; it must run inside a tokio runtime.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    authority: CertificateAuthority,
}

impl Client {
    /// Begins a client for the node at `endpoint` with the identity of a talosconfig context.
    pub fn builder(endpoint: Endpoint, credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(endpoint, credentials)
    }

    pub(crate) fn new(transport: Transport, authority: CertificateAuthority) -> Self {
        Self {
            transport,
            authority,
        }
    }

    /// The machine's own operations.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::new(self.transport.clone())
    }

    /// The machine's state as COSI resources.
    #[must_use]
    pub fn resources(&self) -> Resources {
        Resources::new(self.transport.clone())
    }

    /// The same connection, with calls passed on to another node.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Configuration`] when `node` is no header value.
    pub fn to_node(&self, node: &str) -> Result<Self> {
        Ok(Self {
            transport: self.transport.to_node(node)?,
            authority: self.authority.clone(),
        })
    }

    /// Where the client connects to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.transport.endpoint()
    }

    /// The authority that the node's certificate is verified with.
    #[must_use]
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Poll;
    use crate::api::cosi::Stage;
    use crate::api::machine::ImageNamespace;

    fn assert_send(future: impl Future + Send) {
        drop(future);
    }

    /// Only has to compile.
    #[allow(dead_code)]
    fn calls_and_waits_can_be_spawned(client: &Client, endpoint: &Endpoint) {
        let poll = Poll::every(Duration::from_secs(1));
        let machine = client.machine();
        assert_send(machine.kubeconfig());
        assert_send(machine.etcd_recover("db"));
        assert_send(machine.import_image(ImageNamespace::System, "image.tar"));
        assert_send(machine.bootstrap_and_wait_observed(poll, |_| {}));
        assert_send(machine.wait_for_stage_observed(Stage::Running, poll, |_| {}));
        assert_send(client.wait_for_identity(None, poll));
        assert_send(crate::wait_for_maintenance(endpoint, poll));
    }
}
