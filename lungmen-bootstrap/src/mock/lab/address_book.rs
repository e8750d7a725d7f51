//! The sockets behind the addresses of the lab's network.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use talos_client::DEFAULT_PORT;

use super::cluster::KUBERNETES_PORT;
use super::servers::Servers;
use crate::run::dial::AddressBook;

/// The addresses of the lab, read from the state of its servers at the moment of dialling.
#[derive(Clone)]
pub(super) struct LabAddresses(Weak<Servers>);

/// Nothing listens on port 1 of the loopback interface, so connections to it are refused.
const REFUSED: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

impl LabAddresses {
    pub(super) fn of(servers: &Arc<Servers>) -> Self {
        Self(Arc::downgrade(servers))
    }

    fn find(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let servers = self.0.upgrade()?;
        if servers.is_endpoint(host, port) {
            return servers.kubernetes().map(|kubernetes| kubernetes.address());
        }
        let address: IpAddr = host.parse().ok()?;
        let machines = servers.machines();
        let mut machines = machines.iter().map(|(_, machine)| machine);
        match port {
            DEFAULT_PORT => machines
                .find(|machine| machine.address() == address)
                .map(|machine| machine.talos.address()),
            KUBERNETES_PORT => machines
                .find(|machine| machine.declared == address)
                .and_then(|_| servers.kubernetes())
                .map(|kubernetes| kubernetes.address()),
            _ => None,
        }
    }
}

impl AddressBook for LabAddresses {
    /// Never the real network: connections to unknown addresses are refused.
    fn dial(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let found = self.find(host, port);
        Some(found.unwrap_or_else(|| SocketAddr::from(REFUSED)))
    }
}
