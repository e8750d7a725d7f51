//! The stream of changes of applications.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::application_routes::{list, matches};
use super::auth::Caller;
use super::request::{Query, Request};
use super::response::Rejection;
use super::state::MockServer;

/// Server-sent events carry a comment this often, so that idle connections survive proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams changes. As on the server, not even the headers are sent before the first one.
pub(super) async fn watch(
    world: &MockServer,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let events = request
        .header("accept")
        .is_some_and(|accept| accept.contains("text/event-stream"));
    let mut changes = world.changes.subscribe();
    let mut waiting: Vec<Value> = Vec::new();
    if request.query.first("resourceVersion").is_none() || request.query.first("name").is_some() {
        let page = list(world, caller, &request.query)?;
        waiting = page["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|application| chunk("ADDED", application))
            .collect();
    }
    if waiting.is_empty() {
        waiting.extend(next_change(&mut changes, &request.query).await?);
    }
    let query = request.query.clone();
    let body = stream::unfold(
        (waiting.into_iter(), changes, query),
        move |(mut waiting, mut changes, query)| async move {
            let line = match waiting.next() {
                Some(line) => frame(&line, events),
                None if !events => frame(&next_change(&mut changes, &query).await.ok()??, events),
                None => match timeout(KEEP_ALIVE, next_change(&mut changes, &query)).await {
                    Ok(change) => frame(&change.ok()??, events),
                    Err(_) => Bytes::from_static(b":\n"),
                },
            };
            Some((
                Ok::<_, std::convert::Infallible>(line),
                (waiting, changes, query),
            ))
        },
    );
    let mut response = Response::new(Body::from_stream(body));
    let media_type = if events {
        "text/event-stream"
    } else {
        "application/json"
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    Ok(response)
}

/// The next change that passes the filter; none when the mock ends.
async fn next_change(
    changes: &mut Receiver<(&'static str, Value)>,
    query: &Query,
) -> Result<Option<Value>, Rejection> {
    loop {
        match changes.recv().await {
            Ok((kind, application)) if matches(&application, query)? => {
                return Ok(Some(chunk(kind, &application)));
            }
            // The server, too, drops what a slow reader misses.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(None),
        }
    }
}

fn chunk(kind: &str, application: &Value) -> Value {
    json!({"result": Map::from_iter([("type".to_owned(), json!(kind)), ("application".to_owned(), application.clone())])})
}

fn frame(chunk: &Value, events: bool) -> Bytes {
    Bytes::from(if events {
        format!("data: {chunk}\n\n")
    } else {
        format!("{chunk}\n")
    })
}
