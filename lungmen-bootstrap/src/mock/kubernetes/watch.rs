//! Watches: one JSON event per line, until the client goes or its time is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Response;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::resource::Resource;
use super::selector::Selector;
use super::status::Rejection;
use super::store::{Change, Store};

/// What a watch follows.
pub(super) struct WatchSpec {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
    /// Everything after this version is reported; `None` starts with the objects that exist.
    pub(super) from: Option<u64>,
    pub(super) timeout: Duration,
    /// How often a bookmark is sent; `None` when the client did not ask for bookmarks.
    pub(super) bookmarks: Option<Duration>,
}

struct Watch {
    store: Arc<Store>,
    changed: watch::Receiver<u64>,
    spec: WatchSpec,
    seen: u64,
    queue: VecDeque<Value>,
    end: Instant,
    bookmark: Instant,
    over: bool,
}

/// The streaming answer to a watch.
pub(super) fn response(store: &Arc<Store>, spec: WatchSpec) -> Response<Body> {
    let changed = store.subscribe();
    let now = Instant::now();
    let mut watch = Watch {
        store: Arc::clone(store),
        changed,
        seen: spec.from.unwrap_or_default(),
        queue: VecDeque::new(),
        end: now + spec.timeout,
        bookmark: now + spec.bookmarks.unwrap_or(spec.timeout),
        over: false,
        spec,
    };
    if watch.spec.from.is_none() {
        watch.start_with_existing();
    }
    let lines = futures_util::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((
            Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))),
            watch,
        ))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

impl Watch {
    fn start_with_existing(&mut self) {
        let (version, objects) = self
            .store
            .list(self.spec.resource, self.spec.namespace.as_deref());
        self.seen = version;
        let matching = objects
            .into_iter()
            .filter(|object| self.spec.selector.matches(object));
        self.queue
            .extend(matching.map(|object| event("ADDED", object)));
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.catch_up();
            if !self.queue.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { return None; },
                () = sleep_until(self.bookmark), if self.spec.bookmarks.is_some() => self.bookmark(),
                () = sleep_until(self.end) => {
                    self.over = true;
                    // A real server sends a last bookmark before it closes, so that nothing has to be listed again.
                    if self.spec.bookmarks.is_some() {
                        self.bookmark();
                    }
                }
            }
        }
    }

    fn catch_up(&mut self) {
        let Some((version, changes)) = self.store.since(self.seen) else {
            let message = format!(
                "too old resource version: {} ({})",
                self.seen,
                self.store.compacted()
            );
            self.queue.push_back(event(
                "ERROR",
                Rejection::new(410, "Expired", message).document(),
            ));
            self.over = true;
            return;
        };
        self.seen = version;
        for change in changes {
            self.queue.extend(self.report(change));
        }
    }

    /// The event for a change. An object that leaves the selection is reported as deleted, as a real server does.
    fn report(&self, change: Change) -> Option<Value> {
        let spec = &self.spec;
        let elsewhere = spec
            .namespace
            .as_ref()
            .is_some_and(|namespace| change.key.namespace != *namespace);
        if change.key.resource != spec.resource || elsewhere {
            return None;
        }
        let matching = |object: &Value| spec.selector.matches(object);
        let was = change.before.filter(matching);
        let is = change.after.clone().filter(matching);
        match (was, is) {
            (None, Some(now)) => Some(event("ADDED", now)),
            (Some(_), Some(now)) => Some(event("MODIFIED", now)),
            (Some(before), None) => Some(event("DELETED", change.after.unwrap_or(before))),
            (None, None) => None,
        }
    }

    fn bookmark(&mut self) {
        let resource = self.spec.resource;
        self.bookmark = Instant::now() + self.spec.bookmarks.unwrap_or(self.spec.timeout);
        self.queue.push_back(event(
            "BOOKMARK",
            json!({
                "kind": resource.kind,
                "apiVersion": resource.api_version(),
                "metadata": {"resourceVersion": self.seen.to_string()},
            }),
        ));
    }
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}
