//! The listening side: one port for plain HTTP and TLS, as the server pod has it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::header::{HOST, LOCATION};
use http::{HeaderValue, Request as HttpRequest, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::grpc;
use super::handler::handle;
use super::request::Request;
use super::response::{Closed, MockResponse, text};
use super::state::MockServer;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// How HTTP/2 without TLS begins: `PRI`. No method of HTTP/1.1 does.
const HTTP2_PREFACE: [u8; 2] = *b"PR";
/// The limit of the real server.
const BODY_LIMIT: usize = 200 * 1024 * 1024;

/// The certificate of the mock and the CA that signed it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) ca_pem: String,
    pub(super) config: Arc<ServerConfig>,
}

impl Identity {
    pub(super) fn generate() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "Argo CD mock CA");
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
        let key = rcgen::KeyPair::generate()?;
        let names = [
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "argocd-server".to_owned(),
        ];
        let certificate = rcgen::CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let private_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private_key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        Ok(Self {
            ca_pem: ca_certificate.pem(),
            config: Arc::new(config),
        })
    }
}

/// Serves until the task is dropped; connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    server: Arc<MockServer>,
    tls: Option<Arc<ServerConfig>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // As every server written in Go does.
        let _ = stream.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, Arc::clone(&server), tls.clone()));
    }
}

async fn connection(stream: TcpStream, server: Arc<MockServer>, tls: Option<Arc<ServerConfig>>) {
    let first = first_bytes(&stream).await;
    match (tls, first) {
        (Some(config), [TLS_HANDSHAKE, _]) => {
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                call(stream, server).await;
            } else {
                converse(stream, server).await;
            }
        }
        (Some(_), _) => redirect(stream).await,
        (None, HTTP2_PREFACE) => call(stream, server).await,
        (None, _) => converse(stream, server).await,
    }
}

/// The first bytes of a connection, which stay in it.
async fn first_bytes(stream: &TcpStream) -> [u8; 2] {
    let mut first = [0; 2];
    while matches!(stream.peek(&mut first).await, Ok(1)) && first[0] != TLS_HANDSHAKE {
        tokio::task::yield_now().await;
    }
    first
}

/// A conversation over HTTP/2: only gRPC has it on the server pod.
async fn call(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    server: Arc<MockServer>,
) {
    let service = service_fn(move |request: HttpRequest<Incoming>| {
        let server = Arc::clone(&server);
        async move {
            if grpc::is_media_type(request.headers()) {
                reply(&server, request).await
            } else {
                Err(Closed)
            }
        }
    });
    // An error here is a closed connection: by the client, or on purpose.
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    server: Arc<MockServer>,
) {
    let service = service_fn(move |request: HttpRequest<Incoming>| {
        let server = Arc::clone(&server);
        async move { reply(&server, request).await }
    });
    // An error here is a closed connection: by the client, or on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn reply(server: &Arc<MockServer>, request: HttpRequest<Incoming>) -> MockResponse {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(Body::new(body), BODY_LIMIT).await else {
        return Err(Closed);
    };
    handle(server, Request::new(parts, body)).await
}

/// A server that has TLS sends plain requests there.
async fn redirect(stream: TcpStream) {
    let service = service_fn(|request: HttpRequest<Incoming>| async move {
        let host = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let mut response: Response<Body> = text(307, "");
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        if let Ok(location) = HeaderValue::from_str(&format!("https://{host}{path}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok::<_, Infallible>(response)
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

pub(super) async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
