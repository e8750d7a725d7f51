//! Connections: from the socket to a reply and back, with the faults that concern the wire.

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

use super::reply::Reply;
use super::state::World;
use super::{Call, Fault, Route, handler};

/// Which of the two servers a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Factory,
    Storage,
}

/// Nothing that a client of a factory sends is longer.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(super) async fn run(listener: TcpListener, world: Arc<World>, side: Side) {
    while let Ok((socket, _)) = listener.accept().await {
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(world.clone(), side, request));
            // Broken connections are what some faults ask for.
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
            if let Err(error) = served {
                tracing::trace!(%error, "connection ended");
            }
        });
    }
}

/// A request with everything that decides about its answer.
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

async fn answer(
    world: Arc<World>,
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
    let target = target_of(&world, side, &received);
    let route = target.as_ref().map(|(route, _)| *route);
    let fault = route.and_then(|route| world.lock().faults.take(route));
    let reply = match early_reply(fault.as_ref()).await {
        Some(reply) => reply,
        None => Ok(handler::reply(&world, &received, target).await),
    };
    world.lock().calls.push(Call {
        route,
        method: received.method.clone(),
        path: received.path.clone(),
        query: received.query.as_deref().map(masked),
        range: received.header(header::RANGE).map(str::to_owned),
        is_authorized: received.headers.contains_key(header::AUTHORIZATION),
        status: reply.as_ref().map_or(0, |reply| reply.status.as_u16()),
    });
    Ok(finish(&world, &received, reply?, fault))
}

/// The route of a request and its variable parts; the storage has one of its own, which the factory does not have.
fn target_of<'a>(
    world: &World,
    side: Side,
    received: &'a Received,
) -> Option<(Route, Vec<&'a str>)> {
    let prefix = match side {
        Side::Factory => world.settings.prefix.as_str(),
        Side::Storage => "",
    };
    let target = Route::of(received.path.strip_prefix(prefix)?)?;
    ((target.0 == Route::Storage) == (side == Side::Storage)).then_some(target)
}

/// What a fault answers in place of the factory.
async fn early_reply(fault: Option<&Fault>) -> Option<io::Result<Reply>> {
    Some(match fault? {
        Fault::Disconnect => Err(io::Error::other("injected disconnect")),
        Fault::Status(code, text) => StatusCode::from_u16(*code)
            .map(|status| Reply::error(status, text))
            .map_err(io::Error::other),
        Fault::RetryAfter(seconds) => {
            let text = "service temporarily unavailable";
            let reply = Reply::error(StatusCode::SERVICE_UNAVAILABLE, text);
            Ok(reply.with(header::RETRY_AFTER, &seconds.to_string()))
        }
        Fault::Garbage => Ok(Reply::error(
            StatusCode::OK,
            "\u{1}\u{2}not what you expect",
        )),
        Fault::Delay(delay) => {
            tokio::time::sleep(*delay).await;
            return None;
        }
        Fault::Truncate(_) | Fault::Stall(_) | Fault::Corrupt(_) => return None,
    })
}

fn finish(
    world: &World,
    received: &Received,
    reply: Reply,
    fault: Option<Fault>,
) -> Response<WireBody> {
    let mut response = Response::new(WireBody::empty());
    *response.status_mut() = reply.status;
    *response.headers_mut() = *reply.headers;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, reply.body.length().into());
    let edition = match world.settings.account {
        Some(_) => "Image Factory Enterprise",
        None => "Image Factory",
    };
    let factory = &world.settings.factory;
    if factory.major >= 1
        && let Ok(value) = HeaderValue::from_str(&format!("{edition} v{factory}"))
    {
        headers.insert(header::SERVER, value);
    }
    if received.method != Method::HEAD {
        *response.body_mut() = wire_body(reply.body.chunks(), fault);
    }
    response
}

fn wire_body(chunks: Box<dyn Iterator<Item = Bytes> + Send>, fault: Option<Fault>) -> WireBody {
    match fault {
        Some(Fault::Truncate(at)) => {
            // hyper drops what it has not sent yet when a body fails, so let it send first.
            let cut = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::other("injected cut"))
            });
            WireBody::from_stream(stream::iter(up_to(chunks, at).map(Ok)).chain(cut))
        }
        Some(Fault::Stall(at)) => WireBody::from_stream(
            stream::iter(up_to(chunks, at).map(Ok::<_, io::Error>)).chain(stream::pending()),
        ),
        Some(Fault::Corrupt(at)) => {
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
