//! Following applications over the stream of the server.
//!
//! The stream is a hint, not a record: the server drops events of slow readers, says nothing until
//! the first one (not even response headers), and in its newline-delimited form is cut by every
//! idle timeout on the way. So the client requests server-sent events, which have a keep-alive, and the
//! applications are listed again after every reconnection and from time to time, while the stream
//! stays open.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream};
use reqwest::Response;
use tokio::time::{Instant, sleep, sleep_until};

use super::feed::Feed;
use super::model::Application;
use super::{ApplicationFilter, stream_error};
use crate::answer::interpret;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::stream::Lines;

/// A stream that has been silent for this long may be dead: the server sends a keep-alive every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// What is followed, and how often the list is compared.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is used"]
pub struct WatchRequest {
    pub(super) filter: ApplicationFilter,
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

    /// The label selector of the filter.
    pub(crate) fn selector(&self) -> Option<&str> {
        self.filter.selector_text()
    }

    fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.reconnect.0)
            .with_max_delay(self.reconnect.1)
            .without_max_times()
            .with_jitter()
            .build()
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

pub(crate) fn watch(
    feed: Arc<dyn Feed>,
    request: WatchRequest,
) -> impl Stream<Item = Result<ApplicationEvent>> + Send + use<> {
    let watching = Watching {
        follower: Follower::new(feed, request.relist),
        delays: request.delays(),
        request,
        ended: false,
    };
    stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((event, watching))
    })
}

struct Watching {
    follower: Follower,
    request: WatchRequest,
    delays: ExponentialBackoff,
    ended: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<ApplicationEvent>> {
        while !self.ended {
            let error = match self.follower.step().await {
                Ok(Some(event)) => {
                    if !matches!(event, ApplicationEvent::Listed(_)) {
                        self.delays = self.request.delays();
                    }
                    return Some(Ok(event));
                }
                Ok(None) => continue,
                Err(Failure::List(error) | Failure::Stream(error)) => error,
            };
            if !error.is_retryable() {
                self.ended = true;
                return Some(Err(error));
            }
            if let Some(delay) = self.delays.next() {
                tracing::debug!(kind = ?error.kind(), ?delay, "watch interrupted");
                sleep(delay).await;
            }
        }
        None
    }
}

/// Which of the two requests failed. The next step begins with a list in either case.
pub(super) enum Failure {
    List(Error),
    Stream(Error),
}

enum Link {
    Opening(BoxFuture<'static, Result<Response>>),
    Reading(Box<Response>, Lines),
}

/// A list, then the changes since, and the list again at intervals. It does not wait between failures.
pub(super) struct Follower {
    feed: Arc<dyn Feed>,
    relist: Duration,
    relist_at: Instant,
    /// The version of the last list.
    version: String,
    link: Option<Link>,
    /// When the stream was opened, or last said anything.
    heard: Instant,
}

impl Follower {
    pub(super) fn new(feed: Arc<dyn Feed>, relist: Duration) -> Self {
        let now = Instant::now();
        Self {
            feed,
            relist,
            relist_at: now,
            version: String::new(),
            link: None,
            heard: now,
        }
    }

    /// The next event, or nothing when only the connection went on. Cancelling loses nothing that was read.
    pub(super) async fn step(&mut self) -> Result<Option<ApplicationEvent>, Failure> {
        let step = if Instant::now() >= self.relist_at {
            self.list().await.map(Some).map_err(Failure::List)
        } else {
            self.read().await.map_err(Failure::Stream)
        };
        if step.is_err() {
            self.link = None;
            self.relist_at = Instant::now();
        }
        step
    }

    /// The next event of those that have been received already.
    pub(super) fn buffered(&mut self) -> Option<ApplicationEvent> {
        while let Some(Link::Reading(_, lines)) = &mut self.link {
            match self.feed.event(&lines.next()?) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(_) => {
                    self.link = None;
                    self.relist_at = Instant::now();
                }
            }
        }
        None
    }

    /// Makes the next list happen at this moment, if it would be later.
    pub(super) fn relist_by(&mut self, moment: Instant) {
        self.relist_at = self.relist_at.min(moment);
    }

    async fn list(&mut self) -> Result<ApplicationEvent> {
        let page = self.feed.list().await?;
        self.version = page.metadata.resource_version;
        if self.heard.elapsed() >= SILENCE {
            self.link = None;
        }
        self.relist_at = Instant::now() + self.relist;
        Ok(ApplicationEvent::Listed(page.items))
    }

    async fn read(&mut self) -> Result<Option<ApplicationEvent>> {
        let (feed, version) = (&self.feed, &self.version);
        let link = self.link.get_or_insert_with(|| {
            self.heard = Instant::now();
            Link::Opening(feed.open(version))
        });
        tokio::select! {
            read = advance(link, &mut self.heard, self.feed.as_ref()) => read,
            () = sleep_until(self.relist_at) => Ok(None),
        }
    }
}

/// Opens the stream, or reads it up to the next line and understands that.
async fn advance(
    link: &mut Link,
    heard: &mut Instant,
    feed: &dyn Feed,
) -> Result<Option<ApplicationEvent>> {
    match link {
        Link::Opening(opening) => {
            let response = opening.await?;
            *link = Link::Reading(Box::new(response), Lines::default());
            Ok(None)
        }
        Link::Reading(response, lines) => loop {
            if let Some(line) = lines.next() {
                return feed.event(&line);
            }
            let call = Call::get("watch applications", "", &[]);
            let chunk = response
                .chunk()
                .await
                .map_err(|error| interpret(&call, error))?;
            *heard = Instant::now();
            match chunk {
                Some(chunk) => lines.push(&chunk),
                None => return Err(stream_error("the server closed the stream")),
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::feed::ServerFeed;
    use crate::{Client, Credentials};

    fn feed() -> ServerFeed {
        let endpoint = "http://argocd.example.test".parse().unwrap();
        let client = Client::builder(endpoint, Credentials::anonymous())
            .build()
            .unwrap();
        ServerFeed {
            applications: client.applications(),
            filter: ApplicationFilter::all(),
        }
    }

    #[test]
    fn events_errors_and_empty_objects_are_told_apart() {
        let feed = feed();
        let deleted = feed
            .event(br#"{"result":{"type":"DELETED","application":{"metadata":{"name":"a"}}}}"#)
            .unwrap();
        assert!(
            matches!(deleted, Some(ApplicationEvent::Deleted(app)) if app.metadata.name == "a")
        );
        assert!(
            feed.event(br#"{"result":{"type":"BOOKMARK"}}"#)
                .unwrap()
                .is_none()
        );

        let lost = feed.event(br#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is revoked, please re-login","http_status":"Unauthorized"}}"#).unwrap_err();
        assert_eq!(lost.kind(), crate::ErrorKind::Unauthenticated);
        assert!(!lost.is_retryable());

        let hidden = feed.event(b"{}").unwrap_err();
        assert!(hidden.is_retryable());
    }
}
