//! Connections, and the faults that concern them.

use std::io;
use std::sync::Arc;

use axum::body::{Body as WireBody, to_bytes};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::response::MockResponse;
use super::state::FactoryState;
use super::{Call, Fault, Route, handler};

/// Which of the two servers a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Factory,
    Storage,
}

/// No request to a factory is longer.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(super) async fn run(listener: TcpListener, state: Arc<FactoryState>, side: Side) {
    while let Ok((socket, _)) = listener.accept().await {
        // As every server written in Go does.
        let _ = socket.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(state.clone(), side, request));
            // Some faults break connections.
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
            if let Err(error) = served {
                tracing::trace!(%error, "connection ended");
            }
        });
    }
}

/// A request, read completely.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Received {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn respond(
    state: Arc<FactoryState>,
    side: Side,
    request: Request<Incoming>,
) -> io::Result<Response<WireBody>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(WireBody::new(body), MAX_BODY)
        .await
        .map_err(io::Error::other)?;
    let received = Received {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    };
    let target = target_of(&state, side, &received);
    let route = target.as_ref().map(|(route, _)| *route);
    let fault = route.and_then(|route| state.faults.take(route));
    let response = match instead(fault.as_ref()) {
        Some(response) => response,
        None => {
            let response = handler::response(&state, &received, target).await;
            if fault == Some(Fault::DropResponse) {
                Err(io::Error::other("injected loss of the response"))
            } else {
                Ok(response)
            }
        }
    };
    state.lock().calls.push(Call {
        route,
        method: received.method.clone(),
        path: received.path.clone(),
        query: received.query.as_deref().map(masked),
        range: received.header(header::RANGE).map(str::to_owned),
        is_authorized: received.headers.contains_key(header::AUTHORIZATION),
        status: response
            .as_ref()
            .map_or(0, |response| response.status.as_u16()),
    });
    match fault {
        Some(Fault::Stall) => std::future::pending::<()>().await,
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    Ok(finish(&state, &received, response?, fault))
}

/// The route of a request and its variable parts; the storage has one of its own, which the factory does not have.
fn target_of<'a>(
    state: &FactoryState,
    side: Side,
    received: &'a Received,
) -> Option<(Route, Vec<&'a str>)> {
    let prefix = match side {
        Side::Factory => state.settings.prefix.as_str(),
        Side::Storage => "",
    };
    let target = Route::of(received.path.strip_prefix(prefix)?)?;
    ((target.0 == Route::Storage) == (side == Side::Storage)).then_some(target)
}

/// The response, or the failure, that a fault causes in place of the handler.
fn instead(fault: Option<&Fault>) -> Option<io::Result<MockResponse>> {
    Some(match fault? {
        Fault::Disconnect | Fault::Stall => Err(io::Error::other("injected disconnect")),
        Fault::Status(code, text) => StatusCode::from_u16(*code)
            .map(|status| MockResponse::error(status, text))
            .map_err(io::Error::other),
        Fault::RetryAfter(delay) => {
            let text = "service temporarily unavailable";
            let response = MockResponse::error(StatusCode::SERVICE_UNAVAILABLE, text);
            Ok(response.with(header::RETRY_AFTER, &delay.as_secs().to_string()))
        }
        Fault::Garbage => Ok(MockResponse::error(
            StatusCode::OK,
            "\u{1}\u{2}not what you expect",
        )),
        Fault::Delay(_)
        | Fault::DropResponse
        | Fault::TruncateBody(_)
        | Fault::StallBody(_)
        | Fault::CorruptBody(_) => return None,
    })
}

fn finish(
    state: &FactoryState,
    received: &Received,
    response: MockResponse,
    fault: Option<Fault>,
) -> Response<WireBody> {
    let mut wire = Response::new(WireBody::empty());
    *wire.status_mut() = response.status;
    *wire.headers_mut() = *response.headers;
    let headers = wire.headers_mut();
    headers.insert(header::CONTENT_LENGTH, response.body.length().into());
    let edition = match state.settings.account {
        Some(_) => "Image Factory Enterprise",
        None => "Image Factory",
    };
    let factory = &state.settings.factory;
    if factory.major >= 1
        && let Ok(value) = HeaderValue::from_str(&format!("{edition} v{factory}"))
    {
        headers.insert(header::SERVER, value);
    }
    if received.method != Method::HEAD {
        *wire.body_mut() = wire_body(response.body.chunks(), fault);
    }
    wire
}

fn wire_body(chunks: Box<dyn Iterator<Item = Bytes> + Send>, fault: Option<Fault>) -> WireBody {
    match fault {
        Some(Fault::TruncateBody(at)) => {
            // hyper drops unsent data when a body fails, so it must send first.
            let cut = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::other("injected cut"))
            });
            WireBody::from_stream(stream::iter(up_to(chunks, at).map(Ok)).chain(cut))
        }
        Some(Fault::StallBody(at)) => WireBody::from_stream(
            stream::iter(up_to(chunks, at).map(Ok::<_, io::Error>)).chain(stream::pending()),
        ),
        Some(Fault::CorruptBody(at)) => {
            WireBody::from_stream(stream::iter(changed_at(chunks, at).map(Ok::<_, io::Error>)))
        }
        _ => WireBody::from_stream(stream::iter(chunks.map(Ok::<_, io::Error>))),
    }
}

fn up_to(chunks: impl Iterator<Item = Bytes>, limit: u64) -> impl Iterator<Item = Bytes> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    chunks.map_while(move |mut chunk| {
        if left == 0 {
            return None;
        }
        chunk.truncate(left);
        left -= chunk.len();
        Some(chunk)
    })
}

fn changed_at(chunks: impl Iterator<Item = Bytes>, offset: u64) -> impl Iterator<Item = Bytes> {
    let mut position = 0;
    chunks.map(move |chunk| {
        let start = position;
        position += chunk.len() as u64;
        let inside = offset
            .checked_sub(start)
            .and_then(|at| usize::try_from(at).ok());
        match inside.filter(|at| *at < chunk.len()) {
            Some(at) => {
                let mut changed = chunk.to_vec();
                changed[at] ^= 0xff;
                Bytes::from(changed)
            }
            None => chunk,
        }
    })
}

fn masked(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some(("token", _)) => "token=[REDACTED]".to_owned(),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("&")
}
