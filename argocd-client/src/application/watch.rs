//! Following applications over the stream of the server.
//!
//! The stream is a hint, not a record: the server drops events of slow readers, says nothing until
//! the first one (not even response headers), and in its newline-delimited form is cut by every
//! idle timeout on the way. So the client requests server-sent events, which have a keep-alive, and the
//! applications are listed again after every reconnection and from time to time.

use std::pin::Pin;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::stream::{self, Stream};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::model::Application;
use super::{ApplicationFilter, Applications, filtered, stream_error};
use crate::call::Call;
use crate::error::Result;
use crate::stream::{Lines, parse};
use crate::transport::interpret;

/// What is followed, and how often the list is compared.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is used"]
pub struct WatchRequest {
    filter: ApplicationFilter,
    relist: Duration,
    reconnect: (Duration, Duration),
}

impl Default for WatchRequest {
    fn default() -> Self {
        Self {
            filter: ApplicationFilter::all(),
            relist: Duration::from_secs(60),
            reconnect: (Duration::from_secs(1), Duration::from_secs(30)),
        }
    }
}

impl WatchRequest {
    /// All applications, listed again every minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these applications.
    pub fn filter(mut self, filter: ApplicationFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets how often the list is compared although the stream is open.
    pub fn relist_every(mut self, interval: Duration) -> Self {
        self.relist = interval;
        self
    }

    /// The first and the longest pause before a reconnection.
    pub fn reconnect_delays(mut self, base: Duration, cap: Duration) -> Self {
        self.reconnect = (base, cap);
        self
    }
}

/// What happened to applications.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ApplicationEvent {
    /// All applications there are: the start, and after every new list. What is missing is gone.
    Listed(Vec<Application>),
    /// An application appeared or changed.
    Applied(Box<Application>),
    /// An application was deleted, or the account may not see it any more; its last state.
    Deleted(Box<Application>),
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    application: Option<Application>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

enum Phase {
    List,
    Opening(Opening),
    Reading(Box<Response>, Lines),
    Ended,
}

struct Watcher {
    applications: Applications,
    request: WatchRequest,
    phase: Phase,
    relist_at: Instant,
    delays: ExponentialBackoff,
}

pub(super) fn watch(
    applications: Applications,
    request: WatchRequest,
) -> impl Stream<Item = Result<ApplicationEvent>> + Send + use<> {
    let watcher = Watcher {
        relist_at: Instant::now(),
        delays: delays(&request),
        phase: Phase::List,
        applications,
        request,
    };
    stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((event, watcher))
    })
}

fn delays(request: &WatchRequest) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(request.reconnect.0)
        .with_max_delay(request.reconnect.1)
        .without_max_times()
        .with_jitter()
        .build()
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<ApplicationEvent>> {
        loop {
            let step = match &mut self.phase {
                Phase::Ended => return None,
                Phase::List => self.list().await.map(Some),
                Phase::Opening(opening) => {
                    let opened = tokio::select! {
                        opened = opening => Some(opened),
                        () = sleep_until(self.relist_at) => None,
                    };
                    self.opened(opened)
                }
                Phase::Reading(response, lines) => {
                    let read = tokio::select! {
                        read = read(response, lines) => Some(read),
                        () = sleep_until(self.relist_at) => None,
                    };
                    self.received(read)
                }
            };
            match step {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) if error.is_retryable() => {
                    self.phase = Phase::List;
                    if let Some(delay) = self.delays.next() {
                        tracing::debug!(kind = ?error.kind(), ?delay, "watch interrupted");
                        sleep(delay).await;
                    }
                }
                Err(error) => {
                    self.phase = Phase::Ended;
                    return Some(Err(error));
                }
            }
        }
    }

    async fn list(&mut self) -> Result<ApplicationEvent> {
        let page = self.applications.page(&self.request.filter).await?;
        let call = Call::get("watch applications", "/api/v1/stream/applications", &[])
            .query_opt(
                "resourceVersion",
                Some(page.metadata.resource_version.as_str()).filter(|version| !version.is_empty()),
            )
            .endless();
        let call = filtered(call, &self.request.filter);
        let transport = self.applications.transport.clone();
        self.phase = Phase::Opening(Box::pin(async move { transport.open(&call).await }));
        self.relist_at = Instant::now() + self.request.relist;
        Ok(ApplicationEvent::Listed(page.items))
    }

    fn opened(&mut self, opened: Option<Result<Response>>) -> Result<Option<ApplicationEvent>> {
        self.phase = match opened {
            Some(response) => Phase::Reading(Box::new(response?), Lines::default()),
            None => Phase::List,
        };
        Ok(None)
    }

    fn received(
        &mut self,
        read: Option<Result<Option<ApplicationEvent>>>,
    ) -> Result<Option<ApplicationEvent>> {
        let Some(read) = read else {
            self.phase = Phase::List;
            return Ok(None);
        };
        let event = read?;
        if event.is_some() {
            self.delays = delays(&self.request);
        }
        Ok(event)
    }
}

/// Reads up to the next line and understands it. Cancelling loses nothing: what was read is kept.
async fn read(response: &mut Response, lines: &mut Lines) -> Result<Option<ApplicationEvent>> {
    loop {
        if let Some(line) = lines.next() {
            return event(&line);
        }
        let call = Call::get("watch applications", "/api/v1/stream/applications", &[]);
        match response
            .chunk()
            .await
            .map_err(|error| interpret(&call, error))?
        {
            Some(chunk) => lines.push(&chunk),
            None => return Err(stream_error("the server closed the stream")),
        }
    }
}

fn event(line: &[u8]) -> Result<Option<ApplicationEvent>> {
    let result: WatchEvent = parse("watch applications", line)?;
    Ok(match (result.kind.as_str(), result.application) {
        ("ADDED" | "MODIFIED", Some(application)) => {
            Some(ApplicationEvent::Applied(Box::new(application)))
        }
        ("DELETED", Some(application)) => Some(ApplicationEvent::Deleted(Box::new(application))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_errors_and_empty_objects_are_told_apart() {
        let deleted =
            event(br#"{"result":{"type":"DELETED","application":{"metadata":{"name":"a"}}}}"#)
                .unwrap();
        assert!(
            matches!(deleted, Some(ApplicationEvent::Deleted(app)) if app.metadata.name == "a")
        );
        assert!(
            event(br#"{"result":{"type":"BOOKMARK"}}"#)
                .unwrap()
                .is_none()
        );

        let lost = event(br#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is revoked, please re-login","http_status":"Unauthorized"}}"#).unwrap_err();
        assert_eq!(lost.kind(), crate::ErrorKind::Unauthenticated);
        assert!(!lost.is_retryable());

        let hidden = event(b"{}").unwrap_err();
        assert!(hidden.is_retryable());
    }
}
