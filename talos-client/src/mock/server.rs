//! Accepting TLS and serving gRPC.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::gate::{self, Verdict};
use super::node::Node;
use super::proxy::{self, Targets};
use super::route::Route;
use super::{
    cluster_service, debug_service, image_service, inspect_service, lifecycle_service, machine,
    state_service, volume_service,
};

/// How long running calls may go on when the server stops; five to ten seconds on a real node.
const GRACE: Duration = Duration::from_millis(200);

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// Roles of its client certificate; `None` without one.
    pub(super) roles: Option<Vec<String>>,
    /// Cuts the connection.
    pub(super) cut: Notify,
}

pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    node: Arc<Node>,
    mut stopped: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    let stops = stopped.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((tcp, _)) = accepted {
                    // As every server written in Go does; else each exchange waits 40 ms for an acknowledgement.
                    let _ = tcp.set_nodelay(true);
                    let (acceptor, node) = (acceptor.clone(), Arc::clone(&node));
                    connections.spawn(connection(tcp, acceptor, node, stops.clone()));
                }
            }
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    // Whatever is left afterwards is cut when the set is dropped.
    let _ = tokio::time::timeout(GRACE, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn connection(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    node: Arc<Node>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(tls) = acceptor.accept(tcp).await else {
        return;
    };
    let certificates = tls.get_ref().1.peer_certificates();
    let peer = Arc::new(Peer {
        roles: certificates
            .and_then(<[_]>::first)
            .map(|leaf| organizations(leaf)),
        cut: Notify::new(),
    });

    let of = Arc::clone(&peer);
    let service = service_fn(move |request| answer(Arc::clone(&node), Arc::clone(&of), request));
    let mut serving = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service)
    );
    tokio::select! {
        _ = serving.as_mut() => return,
        () = peer.cut.notified() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    serving.as_mut().graceful_shutdown();
    // The error of a connection that is being closed tells nothing.
    let _ = serving.await;
}

async fn answer(
    node: Arc<Node>,
    peer: Arc<Peer>,
    request: http::Request<Incoming>,
) -> io::Result<http::Response<Body>> {
    match proxy::route(&node, request.uri().path(), request.headers()) {
        Ok(Targets::One(target)) => serve_one(target, peer, request.map(Body::new)).await,
        Ok(Targets::Many(targets)) => proxy::serve_many(targets, peer, request).await,
        Err(status) => {
            gate::record(&node, &peer, &request);
            Ok(status.into_http())
        }
    }
}

/// Lets one node answer.
pub(super) async fn serve_one(
    node: Arc<Node>,
    peer: Arc<Peer>,
    request: http::Request<Body>,
) -> io::Result<http::Response<Body>> {
    let call = gate::record(&node, &peer, &request);
    let kept = (call.route).filter(|_| node.setup.keeps_requests);
    let is_lost = match gate::admit(&node, &peer, call).await {
        Verdict::Refuse(status) => return Ok(status.into_http()),
        Verdict::Cut => return cut(&peer).await,
        Verdict::Stall => return std::future::pending().await,
        Verdict::Admit => false,
        Verdict::AdmitAndCut => true,
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Arc::clone(&peer));
    let body = match kept {
        Some(route) => keep(&node, route, body),
        None => body,
    };
    let request = http::Request::from_parts(parts, body);
    match routes(&node).oneshot(request).await {
        Ok(_) if is_lost => cut(&peer).await,
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// A body that leaves a copy of itself.
fn keep(node: &Node, route: Route, body: Body) -> Body {
    let copy = node.requests.begin(route);
    Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            copy.push(data);
        }
        frame
    }))
}

/// Nothing is answered any more on this connection.
async fn cut(peer: &Peer) -> io::Result<http::Response<Body>> {
    peer.cut.notify_one();
    std::future::pending().await
}

fn routes(node: &Arc<Node>) -> Routes {
    Routes::new(machine::server(node))
        .add_service(machine::storage_server(node))
        .add_service(state_service::server(node))
        .add_service(cluster_service::server(node))
        .add_service(cluster_service::time_server(node))
        .add_service(image_service::server(node))
        .add_service(inspect_service::server(node))
        .add_service(lifecycle_service::server(node))
        .add_service(debug_service::server(node))
        .add_service(volume_service::lvm_server(node))
        .add_service(volume_service::md_server(node))
}

fn organizations(leaf: &rustls_pki_types::CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return Vec::new();
    };
    certificate
        .subject()
        .iter_organization()
        .filter_map(|name| name.as_str().ok().map(ToOwned::to_owned))
        .collect()
}
