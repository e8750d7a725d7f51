//! The response to a request, or the fault that takes its place.

use std::hash::Hash;
use std::io;

use axum::body::{Body, Bytes, HttpBody as _};
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Response};

use super::Call;
use super::call::CallLog;
use super::fault::{Fault, FaultQueue};
use super::server::{IncomingRequest, plain};

/// A mock server: what a request is, and what the response to it is.
pub(in crate::mock) trait Service: Send + Sync + 'static {
    type Route: Copy + Eq + Hash + Send + Sync;

    fn faults(&self) -> &FaultQueue<Self::Route>;

    fn calls(&self) -> &CallLog<Self::Route>;

    /// The route of a request, and the request as the log shows it.
    fn classify(&self, request: &IncomingRequest) -> (Self::Route, Call);

    /// The error response of the real server with this status and text.
    fn rejection(&self, status: u16, text: &str) -> Response<Body>;

    fn handle(&self, request: &IncomingRequest) -> Response<Body>;
}

/// The response; `None` closes the connection.
pub(super) async fn respond<S: Service>(
    service: &S,
    request: IncomingRequest,
) -> Option<Response<Body>> {
    let (route, call) = service.classify(&request);
    service.calls().record(route, call);
    let handle = || service.handle(&request);
    let Some(fault) = service.faults().take(route) else {
        return Some(handle());
    };
    Some(match fault {
        Fault::Status(status, text) => service.rejection(status, &text),
        Fault::RetryAfter(delay) => {
            let mut response = service.rejection(503, "the server is overloaded");
            let seconds = HeaderValue::from(delay.as_secs());
            response.headers_mut().insert(RETRY_AFTER, seconds);
            response
        }
        Fault::Delay(delay) => {
            let response = handle();
            tokio::time::sleep(delay).await;
            response
        }
        Fault::Stall => std::future::pending().await,
        Fault::StallBody(length) => cut(handle(), length, End::Stall),
        Fault::Disconnect => return None,
        Fault::DropResponse => {
            drop(handle());
            return None;
        }
        Fault::TruncateBody(length) => cut(handle(), length, End::Close),
        Fault::CorruptBody(offset) => corrupt(handle(), offset),
        Fault::Garbage => plain(200, "<html>"),
    })
}

/// What follows the part of a body that is sent.
#[derive(Clone, Copy)]
enum End {
    Stall,
    Close,
}

/// The response with the first bytes of its body only.
fn cut(response: Response<Body>, length: u64, end: End) -> Response<Body> {
    map_body(response, |body| {
        let chunks = body.scan(length, |left, chunk| {
            let mut chunk = chunk.unwrap_or_default();
            let keep = usize::try_from(*left).unwrap_or(usize::MAX);
            chunk.truncate(keep);
            *left = left.saturating_sub(chunk.len() as u64);
            std::future::ready((!chunk.is_empty()).then_some(Ok(chunk)))
        });
        let last = async move {
            match end {
                End::Stall => std::future::pending().await,
                End::Close => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            }
        };
        chunks.chain(futures_util::stream::once(last))
    })
}

/// The response with one byte of its body changed.
fn corrupt(response: Response<Body>, offset: u64) -> Response<Body> {
    map_body(response, |body| {
        body.scan(offset, |left, chunk| {
            let mut chunk = chunk.unwrap_or_default().to_vec();
            if let Some(byte) = usize::try_from(*left).ok().and_then(|at| chunk.get_mut(at)) {
                *byte ^= 1;
            }
            // Past the changed byte the offset must not match again.
            *left = left.checked_sub(chunk.len() as u64).unwrap_or(u64::MAX);
            std::future::ready(Some(Ok(Bytes::from(chunk))))
        })
    })
}

fn map_body<S>(
    response: Response<Body>,
    map: impl FnOnce(axum::body::BodyDataStream) -> S,
) -> Response<Body>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::from_stream(map(body.into_data_stream())))
}
