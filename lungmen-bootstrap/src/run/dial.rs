//! Where an address of the cluster is really dialled.

use std::fmt;
use std::net::SocketAddr;

/// Tells which socket stands for `host:port` of the specification.
///
/// A run dials the declared addresses directly. Behind a port forward, a bastion or in a test, the same
/// host is reached elsewhere; certificates are still verified for the declared host.
pub trait AddressBook: Send + Sync {
    /// The socket to dial for `host:port`, or `None` to dial `host:port` itself.
    fn dial(&self, host: &str, port: u16) -> Option<SocketAddr>;
}

/// Dials what the specification says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

impl AddressBook for Direct {
    fn dial(&self, _host: &str, _port: u16) -> Option<SocketAddr> {
        None
    }
}

impl<F> AddressBook for F
where
    F: Fn(&str, u16) -> Option<SocketAddr> + Send + Sync,
{
    fn dial(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self(host, port)
    }
}

impl fmt::Debug for dyn AddressBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressBook")
    }
}
