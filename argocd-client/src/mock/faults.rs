//! Faults in the words of Argo CD, and how the mock carries any fault out.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, Response};
use serde_json::json;
use tokio::time::sleep;

use super::fault::Fault;
use super::response::{Closed, MockResponse, Rejection, json, rejection, respond, status_of, text};

/// A rejection of Argo CD: a gRPC code and its text, in the JSON object of the gateway.
#[must_use]
pub fn rejected(code: i64, message: impl Into<String>) -> Fault {
    let message = message.into();
    let body = json!({"error": message, "code": code, "message": message});
    Fault::Status(status_of(code).as_u16(), body.to_string())
}

/// RBAC denies an action on an object.
#[must_use]
pub fn forbidden(resource: &str, action: &str, object: &str) -> Fault {
    rejected(
        7,
        format!(
            "permission denied: {resource}, {action}, {object}, sub: ci, iat: 2026-01-01T00:00:00Z"
        ),
    )
}

/// The session is not valid any more.
#[must_use]
pub fn session_expired() -> Fault {
    rejected(
        16,
        "invalid session: token has invalid claims: token is expired",
    )
}

/// The application is busy with another operation.
#[must_use]
pub fn operation_in_progress() -> Fault {
    rejected(9, "another operation is already in progress")
}

/// Argo CD cannot reach the cluster.
#[must_use]
pub fn target_unreachable(server: &str) -> Fault {
    rejected(
        2,
        format!(
            "error getting server version: failed to get server version: Get \"{server}/version?timeout=32s\": \
             dial tcp: connect: connection refused"
        ),
    )
}

/// Carries out a fault. `usual` answers the request as without a fault, with its effect.
pub(super) async fn afflicted(
    fault: Fault,
    usual: impl Future<Output = MockResponse>,
) -> MockResponse {
    match fault {
        Fault::Status(status, body) => Ok(status_response(status, body)),
        Fault::RetryAfter(delay) => {
            let mut response = rejection(&Rejection::new(14, "overloaded"));
            let seconds = HeaderValue::from(delay.as_secs());
            response.headers_mut().insert("retry-after", seconds);
            Ok(response)
        }
        Fault::Delay(delay) => {
            let response = usual.await;
            sleep(delay).await;
            response
        }
        Fault::Stall => std::future::pending().await,
        Fault::Disconnect => Err(Closed),
        Fault::DropResponse => {
            usual.await?;
            Err(Closed)
        }
        Fault::StallBody(length) => Ok(stalled(usual.await?, length)),
        Fault::TruncateBody(length) => Ok(truncated(usual.await?, length).await),
        Fault::CorruptBody(offset) => Ok(corrupted(usual.await?, offset).await),
        Fault::Garbage => Ok(json(&json!(["garbage"]))),
    }
}

/// A text that is a JSON object comes as such; the statuses of the gateway come in its object,
/// anything else as plain text, as the router or a proxy sends it.
fn status_response(status: u16, body: String) -> Response<Body> {
    let code = match status {
        _ if body.starts_with('{') => {
            let status = http::StatusCode::from_u16(status).unwrap_or_default();
            return respond(status, "application/json", body);
        }
        400 => 3,
        401 => 16,
        403 => 7,
        409 => 10,
        429 => 8,
        500 => 2,
        503 => 14,
        _ => return text(status, body),
    };
    rejection(&Rejection::new(code, body))
}

fn stalled(response: Response<Body>, length: u64) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    let cut = body.into_data_stream().map(move |chunk| {
        let chunk = chunk.unwrap_or_default();
        let chunk = chunk.slice(..chunk.len().min(left));
        left -= chunk.len();
        Ok::<_, Closed>(chunk)
    });
    let body = cut
        .take_while(|chunk| std::future::ready(chunk.as_ref().is_ok_and(|chunk| !chunk.is_empty())))
        .chain(stream::once(async {
            sleep(Duration::from_secs(24 * 3600)).await;
            Err(Closed)
        }));
    let mut parts = parts;
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from_stream(body))
}

async fn truncated(response: Response<Body>, length: u64) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(whole.len());
    // More is promised than sent, and then the connection ends.
    let pieces = [Ok(whole.slice(..length)), Err(Closed)];
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}

async fn corrupted(response: Response<Body>, offset: u64) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut bytes = BytesMut::from(whole.as_ref());
    if let Some(byte) = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get_mut(offset))
    {
        *byte ^= 0x80;
    }
    Response::from_parts(parts, Body::from(Bytes::from(bytes)))
}
