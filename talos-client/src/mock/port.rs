//! The port of a mock node: closed, or open with one identity, and always the same number.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::node::Node;
use super::server;

/// More than any test opens at once.
const BACKLOG: u32 = 128;

#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    /// Bound and never listening: connections are refused, and nobody else gets the number.
    _reserved: TcpSocket,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Port {
    /// Takes a free port of the loopback interface.
    pub(super) fn reserve() -> io::Result<Self> {
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self {
            address: reserved.local_addr()?,
            _reserved: reserved,
            open: Mutex::new(None),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections with this identity; replaces the one before.
    pub(super) fn open(&self, tls: Arc<ServerConfig>, node: &Arc<Node>) -> io::Result<()> {
        let listener: TcpListener = socket(self.address)?.listen(BACKLOG)?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(server::serve(listener, tls, Arc::clone(node), stopped));
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Open { stop, task });
        Ok(())
    }

    /// Refuses new connections at once, lets running calls end for a moment, then cuts what is left.
    pub(super) async fn close(&self) {
        let open = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut open) = open {
            open.stop.send_replace(true);
            // Ends by itself; an error says that it was aborted.
            let _ = (&mut open.task).await;
        }
    }

    /// Cuts everything at once, like a power failure.
    pub(super) fn cut(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}
