//! What a node answers to a client that speaks plain HTTP on its TLS port.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::{self, Body, HangUp};

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Whether the client begins with anything but a handshake. Nothing is taken from the stream.
pub(super) async fn speaks_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1) if first[0] != HANDSHAKE)
}

/// Redirects one request to HTTPS and closes the connection.
pub(super) async fn redirect(stream: TcpStream) {
    let service = service_fn(|request| async move { Ok::<_, HangUp>(answer(&request)) });
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A broken connection is reported by the client.
    drop(served);
}

/// 301 for reads and 308 for the rest, which keeps the method (pve-http-server 6.0.5).
fn answer(request: &Request<Incoming>) -> Response<Body> {
    let status = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Ok(target) = HeaderValue::try_from(format!("https://{host}{}", request.uri())) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}
