//! Sockets of the node.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::connect_record::State;
use crate::api::pb::machine::netstat_request::{Feature, Filter, L4proto, NetNs};

/// Which sockets are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SocketFilter {
    /// Those with a peer.
    #[default]
    Connected,
    /// Those that wait for one.
    Listening,
    /// All.
    All,
}

/// A socket of the node, in its own network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Socket {
    /// `tcp`, `tcp6`, `udp`, …
    pub protocol: String,
    /// Its own address; `None` when the node does not write one.
    pub local: Option<SocketAddr>,
    /// The address of its peer.
    pub remote: Option<SocketAddr>,
    /// The state of the connection as netstat calls it, for example `ESTABLISHED` or `LISTEN`.
    pub state: String,
    /// Bytes that wait to be sent.
    pub send_queue: u64,
    /// Bytes that wait to be read.
    pub receive_queue: u64,
    /// The user it belongs to.
    pub uid: u32,
    /// The process it belongs to, if it is known: id and name.
    pub process: Option<(u32, String)>,
}

impl Machine {
    /// The TCP and UDP sockets of the host. `talosctl netstat --programs`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13, [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn sockets(&self, filter: SocketFilter) -> Result<Vec<Socket>> {
        let request = request(filter);
        let message = self
            .unary(Call::read("list sockets"), |mut machine| {
                let request = request.clone();
                async move { machine.netstat(request).await }
            })
            .await?;
        Ok(message.connectrecord.into_iter().map(socket).collect())
    }
}

fn request(filter: SocketFilter) -> pb::NetstatRequest {
    let filter = match filter {
        SocketFilter::All => Filter::All,
        SocketFilter::Connected => Filter::Connected,
        SocketFilter::Listening => Filter::Listening,
    };
    pb::NetstatRequest {
        filter: filter.into(),
        feature: Some(Feature { pid: true }),
        l4proto: Some(L4proto {
            tcp: true,
            tcp6: true,
            udp: true,
            udp6: true,
            ..Default::default()
        }),
        netns: Some(NetNs {
            hostnetwork: true,
            ..Default::default()
        }),
    }
}

fn socket(record: pb::ConnectRecord) -> Socket {
    let state = match record.state() {
        // UDP has no states.
        State::Reserved => "",
        state => state.as_str_name(),
    };
    Socket {
        state: state.to_owned(),
        local: address(&record.localip, record.localport),
        remote: address(&record.remoteip, record.remoteport),
        protocol: record.l4proto,
        send_queue: record.txqueue,
        receive_queue: record.rxqueue,
        uid: record.uid,
        process: record
            .process
            .filter(|process| process.pid != 0)
            .map(|process| (process.pid, process.name)),
    }
}

fn address(ip: &str, port: u32) -> Option<SocketAddr> {
    Some(SocketAddr::new(ip.parse().ok()?, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_becomes_a_socket() {
        let record = pb::ConnectRecord {
            l4proto: "tcp6".to_owned(),
            localip: "::".to_owned(),
            localport: 50_000,
            remoteip: "::".to_owned(),
            state: State::Listen.into(),
            ..Default::default()
        };

        let socket = socket(record);

        assert_eq!(socket.local, Some("[::]:50000".parse().unwrap()));
        assert_eq!(socket.state, "LISTEN");
        assert_eq!(socket.process, None);
    }
}
