//! A server on one socket: plain or TLS, HTTP/1.1. It can close a connection without a response, and stop at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::respond::{Service, respond};

const MAX_BODY: usize = 32 << 20;

/// A request with its whole body and the certificates that the client presented.
#[derive(Debug)]
pub(in crate::mock) struct IncomingRequest {
    pub(in crate::mock) method: Method,
    pub(in crate::mock) uri: Uri,
    pub(in crate::mock) headers: HeaderMap,
    pub(in crate::mock) body: Bytes,
    pub(in crate::mock) certificates: Arc<[CertificateDer<'static>]>,
    /// The connection itself, for a protocol that follows the response.
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl IncomingRequest {
    /// The connection after the response; once.
    pub(in crate::mock) fn upgrade(&self) -> Option<OnUpgrade> {
        self.upgrade
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(in crate::mock) fn new(
        request: Request<Vec<u8>>,
        certificates: Arc<[CertificateDer<'static>]>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body: body.into(),
            certificates,
            upgrade: Mutex::default(),
        }
    }

    pub(in crate::mock) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The parameters of the query, decoded. Empty pairs are left out: kube writes `?&limit=500`.
    pub(in crate::mock) fn query(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
            .filter(|(key, _)| !key.is_empty())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect()
    }
}

/// A JSON response.
pub(in crate::mock) fn json(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = code(status);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

/// A response in plain text, with its content type.
pub(in crate::mock) fn text(status: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = plain(status, text);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// A response in plain text.
pub(in crate::mock) fn plain(status: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = code(status);
    response
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A bound socket that refuses connections until it listens.
pub(in crate::mock) struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Bound {
    /// Takes the address; port 0 takes a free one.
    pub(in crate::mock) fn take(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(in crate::mock) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the port.
    pub(in crate::mock) fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(128)
    }
}

/// Serves on `listener` while it is polled, with TLS when a configuration is given. Dropping the future closes the port and
/// every connection.
pub(in crate::mock) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: Arc<impl Service>,
) {
    let tls = tls.map(TlsAcceptor::from);
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            // As every server written in Go does.
            let _ = stream.set_nodelay(true);
            connections.spawn(connection(stream, tls.clone(), Arc::clone(&service)));
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, service: Arc<impl Service>) {
    let Some(acceptor) = tls else {
        return exchange(stream, Arc::new([]), service).await;
    };
    // TLS handshake failures are ignored; the client reports them.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = presented.iter().cloned().collect();
    exchange(stream, certificates, service).await;
}

async fn exchange<S>(
    stream: S,
    certificates: Arc<[CertificateDer<'static>]>,
    service: Arc<impl Service>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let responder = service_fn(move |request| {
        let service = Arc::clone(&service);
        let certificates = Arc::clone(&certificates);
        async move {
            let incoming = collect(request, certificates).await?;
            // hyper closes the connection without a response when the service fails.
            let closed = || io::Error::from(io::ErrorKind::ConnectionAborted);
            respond(&*service, incoming).await.ok_or_else(closed)
        }
    });
    // However a connection ends, the server goes on.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), responder)
            .with_upgrades()
            .await,
    );
}

async fn collect(
    request: Request<hyper::body::Incoming>,
    certificates: Arc<[CertificateDer<'static>]>,
) -> io::Result<IncomingRequest> {
    let mut request = request;
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), MAX_BODY)
        .await
        .map_err(io::Error::other)?;
    Ok(IncomingRequest {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        certificates,
        upgrade: Mutex::new(Some(upgrade)),
    })
}
