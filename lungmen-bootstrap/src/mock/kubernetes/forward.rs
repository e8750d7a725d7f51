//! Port-forwards: a WebSocket with two channels for each port, data and errors (`v4.channel.k8s.io`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::cluster_state::ClusterState;
use super::dns;
use super::handler::parameters;
use super::resource::by_plural;
use super::status::{ApiResult, Rejection};
use super::store::Key;
use crate::mock::serve::IncomingRequest;

const PROTOCOL: &str = "v4.channel.k8s.io";
const DNS_PORT: u16 = 53;

/// Where the ports of pods lead, by a label of the pod and the port.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    ports: Mutex<BTreeMap<(String, String, u16), SocketAddr>>,
    is_dns_broken: AtomicBool,
}

impl Forwards {
    pub(super) fn add(&self, (key, value): (&str, &str), port: u16, address: SocketAddr) {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.insert((key.to_owned(), value.to_owned(), port), address);
    }

    pub(super) fn break_dns(&self) {
        self.is_dns_broken.store(true, Ordering::SeqCst);
    }

    pub(super) fn repair_dns(&self) {
        self.is_dns_broken.store(false, Ordering::SeqCst);
    }

    fn find(&self, pod: &Value, port: u16) -> Option<SocketAddr> {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
        labels
            .filter_map(|(key, value)| {
                let value = value.as_str()?.to_owned();
                ports.get(&(key.clone(), value, port)).copied()
            })
            .next()
    }
}

/// What a port leads to.
enum Peer {
    Dns {
        services: BTreeMap<String, [u8; 4]>,
        is_broken: bool,
    },
    Address(SocketAddr),
    Nobody,
}

/// `GET pods/NAME/portforward` with an upgrade to a WebSocket.
pub(super) fn respond(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (namespace, name): (&str, &str),
) -> ApiResult {
    let query = parameters(request, &["ports"])?;
    let pods = by_plural("pods").ok_or_else(Rejection::resource_not_found)?;
    let pod = cluster.store.get(&Key::new(pods, namespace, name));
    let pod = pod.ok_or_else(|| Rejection::not_found(pods, name))?;
    let ports: Option<Vec<u16>> = query
        .iter()
        .flat_map(|(_, value)| value.split(','))
        .map(|port| port.parse().ok())
        .collect();
    let Some([port]) = ports.as_deref() else {
        return Err(Rejection::not_modelled("a port-forward of several ports"));
    };
    let offered = request
        .header(SEC_WEBSOCKET_PROTOCOL.as_str())
        .unwrap_or_default();
    let key = request.header(SEC_WEBSOCKET_KEY.as_str());
    let (Some(key), Some(upgrade)) = (
        key.filter(|_| offered.split(',').any(|name| name.trim() == PROTOCOL)),
        request.upgrade(),
    ) else {
        return Err(Rejection::bad_request("Upgrade request required"));
    };
    let peer = match cluster.forwards.find(&pod, *port) {
        Some(address) => Peer::Address(address),
        None if *port == DNS_PORT && pod["metadata"]["labels"]["k8s-app"] == "kube-dns" => {
            Peer::Dns {
                services: services(cluster),
                is_broken: cluster.forwards.is_dns_broken.load(Ordering::SeqCst),
            }
        }
        None => Peer::Nobody,
    };
    tokio::spawn(converse(upgrade, *port, peer));
    Ok(switched(key))
}

fn switched(key: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers: [(HeaderName, &str); 4] = [
        (UPGRADE, "websocket"),
        (CONNECTION, "Upgrade"),
        (SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes())),
        (SEC_WEBSOCKET_PROTOCOL, PROTOCOL),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The addresses of the Services by their names in DNS.
fn services(cluster: &ClusterState) -> BTreeMap<String, [u8; 4]> {
    let Some(resource) = by_plural("services") else {
        return BTreeMap::new();
    };
    let (_, services) = cluster.store.list(resource, None);
    let domain = &cluster.settings.dns_domain;
    services
        .iter()
        .filter_map(|service| {
            let metadata = &service["metadata"];
            let (name, namespace) = (metadata["name"].as_str()?, metadata["namespace"].as_str()?);
            let address: Ipv4Addr = service["spec"]["clusterIP"].as_str()?.parse().ok()?;
            Some((format!("{name}.{namespace}.svc.{domain}"), address.octets()))
        })
        .collect()
}

async fn converse(upgrade: OnUpgrade, port: u16, peer: Peer) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    // Each channel begins with its port.
    for channel in [0, 1] {
        let [low, high] = port.to_le_bytes();
        if socket
            .send(Message::binary(vec![channel, low, high]))
            .await
            .is_err()
        {
            return;
        }
    }
    let (near, far) = duplex(64 << 10);
    match peer {
        Peer::Nobody => {
            let text = format!("error forwarding port {port}: connection refused");
            let message = [&[1], text.as_bytes()].concat();
            // The client may be gone already.
            drop(socket.send(Message::binary(message)).await);
            drop(socket.close(None).await);
        }
        Peer::Address(address) => {
            let serve = async move {
                let mut far = far;
                if let Ok(mut stream) = TcpStream::connect(address).await {
                    drop(tokio::io::copy_bidirectional(&mut far, &mut stream).await);
                }
            };
            tokio::join!(serve, pump(socket, near));
        }
        Peer::Dns {
            services,
            is_broken,
        } => {
            tokio::join!(answer(far, services, is_broken), pump(socket, near));
        }
    }
}

/// Answers DNS questions, each behind its length.
async fn answer(mut stream: DuplexStream, services: BTreeMap<String, [u8; 4]>, is_broken: bool) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let find = |name: &str| services.get(name).copied();
        let Some(response) = dns::answer(&question, is_broken, find) else {
            return;
        };
        let length = u16::try_from(response.len()).unwrap_or(u16::MAX);
        let message = [&length.to_be_bytes()[..], &response].concat();
        if stream.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// Carries the bytes between the data channel and the port, until either side ends.
async fn pump<S>(mut socket: WebSocketStream<S>, mut port: DuplexStream)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    if port.write_all(&bytes[1..]).await.is_err() {
                        break;
                    }
                }
                Some(Ok(message)) if !message.is_close() => {}
                _ => return,
            },
            read = port.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    let message = [&[0], &buffer[..length]].concat();
                    if socket.send(Message::Binary(Bytes::from(message))).await.is_err() {
                        return;
                    }
                }
                _ => break,
            },
        }
    }
    drop(socket.close(None).await);
}
