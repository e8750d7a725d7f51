//! The streams of changes.

use std::sync::Arc;
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

use super::application::key;
use super::application_routes::{is_visible, matches, read, reference};
use super::details::nodes;
use super::pod_logs::is_event_stream;
use super::policy::Caller;
use super::request::{Query, Request};
use super::response::Rejection;
use super::selector;
use super::sets::set_object;
use super::state::MockServer;

/// Server-sent events carry a comment this often, so that idle connections survive proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one watch lets through, as the chunk that is sent.
type Filter = Arc<dyn Fn(&'static str, &Value) -> Option<Value> + Send + Sync>;

/// Streams changes of applications: first those that exist, unless the client knows a version.
pub(super) async fn applications(
    server: &Arc<MockServer>,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let query = request.query.clone();
    selector::matches(&Value::Null, query.first("selector").unwrap_or_default())?;
    let changes = server.changes.subscribe();
    let mut waiting: Vec<Value> = Vec::new();
    if query.first("resourceVersion").is_none() || query.first("name").is_some() {
        let state = server.state();
        let mut visible: Vec<&Value> = state
            .applications
            .iter()
            .filter(|application| is_visible(&state, caller, application))
            .collect();
        visible.sort_by_key(|application| key(application).1);
        for application in visible {
            if matches(application, &query)? {
                waiting.push(chunk("ADDED", "application", application));
            }
        }
    }
    let (weak, caller) = (Arc::downgrade(server), caller.clone());
    let filter: Filter = Arc::new(move |kind, application| {
        let server = weak.upgrade()?;
        let visible = is_visible(&server.state(), &caller, application);
        let fits = matches(application, &query).unwrap_or_default();
        (visible && fits).then(|| chunk(kind, "application", application))
    });
    stream_of(waiting, changes, filter, is_event_stream(request)).await
}

/// Streams changes of application sets; the existing ones only when one is named.
pub(super) async fn sets(
    server: &Arc<MockServer>,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let query = request.query.clone();
    let changes = server.set_changes.subscribe();
    let fits = move |set: &Value, query: &Query| {
        let name = set["metadata"]["name"].as_str().unwrap_or_default();
        query
            .first("name")
            .is_none_or(|wanted| wanted.is_empty() || wanted == name)
    };
    let mut waiting = Vec::new();
    if query.first("name").is_some_and(|name| !name.is_empty()) {
        let state = server.state();
        let visible = state.sets.iter().filter(|set| {
            fits(set, &query) && state.allows(caller, "applicationsets", "get", &set_object(set))
        });
        waiting.extend(visible.map(|set| chunk("ADDED", "applicationSet", set)));
    }
    let (weak, caller) = (Arc::downgrade(server), caller.clone());
    let filter: Filter = Arc::new(move |kind, set| {
        let server = weak.upgrade()?;
        let visible = server
            .state()
            .allows(&caller, "applicationsets", "get", &set_object(set));
        (visible && fits(set, &query)).then(|| chunk(kind, "applicationSet", set))
    });
    stream_of(waiting, changes, filter, is_event_stream(request)).await
}

/// Streams the tree of one application whenever it changes; nothing before that.
pub(super) async fn tree(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let reference = reference(name, &request.query);
    read(server, caller, &reference, "get")?;
    let changes = server.changes.subscribe();
    let weak = Arc::downgrade(server);
    let filter: Filter = Arc::new(move |_, application| {
        let server = weak.upgrade()?;
        (key(application) == reference.0)
            .then(|| json!({"result": {"nodes": nodes(&server, application, &reference.0)}}))
    });
    stream_of(Vec::new(), changes, filter, is_event_stream(request)).await
}

fn chunk(kind: &str, name: &str, object: &Value) -> Value {
    let event = [
        ("type".to_owned(), json!(kind)),
        (name.to_owned(), object.clone()),
    ];
    json!({"result": Map::from_iter(event)})
}

/// As on the server, not even the headers are sent before the first chunk.
async fn stream_of(
    mut waiting: Vec<Value>,
    mut changes: Receiver<(&'static str, Value)>,
    filter: Filter,
    events: bool,
) -> Result<Response<Body>, Rejection> {
    if waiting.is_empty() {
        waiting.extend(next_change(&mut changes, &filter).await);
    }
    let body = stream::unfold(
        (waiting.into_iter(), changes, filter),
        move |(mut waiting, mut changes, filter)| async move {
            let line = match waiting.next() {
                Some(line) => frame(&line, events),
                None if !events => frame(&next_change(&mut changes, &filter).await?, events),
                None => match timeout(KEEP_ALIVE, next_change(&mut changes, &filter)).await {
                    Ok(change) => frame(&change?, events),
                    Err(_) => Bytes::from_static(b":\n"),
                },
            };
            Some((
                Ok::<_, std::convert::Infallible>(line),
                (waiting, changes, filter),
            ))
        },
    );
    let mut response = Response::new(Body::from_stream(body));
    let media_type = if events {
        "text/event-stream"
    } else {
        "application/json"
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    headers.insert(
        "grpc-metadata-content-type",
        http::HeaderValue::from_static("application/grpc"),
    );
    Ok(response)
}

/// The next change that passes the filter; none when the mock ends.
async fn next_change(
    changes: &mut Receiver<(&'static str, Value)>,
    filter: &Filter,
) -> Option<Value> {
    loop {
        match changes.recv().await {
            Ok((kind, object)) => {
                if let Some(chunk) = filter(kind, &object) {
                    return Some(chunk);
                }
            }
            // The server, too, drops what a slow reader misses.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

fn frame(chunk: &Value, events: bool) -> Bytes {
    Bytes::from(if events {
        format!("data: {chunk}\n\n")
    } else {
        format!("{chunk}\n")
    })
}
