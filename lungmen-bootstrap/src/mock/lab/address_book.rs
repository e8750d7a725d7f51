//! Which socket stands for an address of the lab's network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use crate::network::AddressBook;

/// The addresses of the lab as they are at the moment. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct LabNetwork {
    sockets: Arc<RwLock<BTreeMap<(IpAddr, u16), SocketAddr>>>,
}

/// Nothing listens on port 1 of the loopback interface: dialling it is refused like an address that nobody has.
const NOBODY: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

impl LabNetwork {
    pub(super) fn assign(&self, address: IpAddr, port: u16, socket: SocketAddr) {
        let mut sockets = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        sockets.insert((address, port), socket);
    }

    /// Takes every address from a server that is gone.
    pub(super) fn release(&self, socket: SocketAddr) {
        let mut sockets = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|_, known| *known != socket);
    }

    pub(super) fn find(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets.get(&(address, port)).copied()
    }
}

impl AddressBook for LabNetwork {
    fn dial(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let address: IpAddr = host.parse().ok()?;
        Some(
            self.find(address, port)
                .unwrap_or_else(|| SocketAddr::from(NOBODY)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nobody_has_is_refused_and_never_reached_for_real() {
        let network = LabNetwork::default();
        let socket = SocketAddr::from(([127, 0, 0, 1], 4711));

        assert_eq!(network.dial("10.0.2.10", 50000), Some(NOBODY.into()));
        network.assign("10.0.2.10".parse().unwrap(), 50000, socket);
        assert_eq!(network.dial("10.0.2.10", 50000), Some(socket));
        network.release(socket);
        assert_eq!(network.dial("10.0.2.10", 50000), Some(NOBODY.into()));
    }
}
