//! Server streams with a deadline.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use tokio::time::Sleep;

use crate::poll::DurationText;
use crate::{Error, ErrorKind, Result, api::status};

/// A sequence of messages from a node: events, log lines, changes of a resource.
///
/// Nothing is sent before the stream is polled, so an error of the call is its first item. The stream ends after
/// an error, and with [`ErrorKind::Deadline`] when its time is over (one hour unless set otherwise).
#[must_use = "nothing is sent before the stream is polled"]
pub struct ResponseStream<T> {
    operation: &'static str,
    target: String,
    items: BoxStream<'static, Result<T>>,
    timer: Option<Pin<Box<Sleep>>>,
    deadline: Duration,
    over: bool,
}

impl<T: Send + 'static> ResponseStream<T> {
    /// `items` takes one message of the wire apart.
    pub(crate) fn open<P, I>(
        operation: &'static str,
        target: String,
        opening: impl Future<Output = Result<tonic::Streaming<P>>> + Send + 'static,
        items: impl Fn(P) -> Result<I> + Send + 'static,
    ) -> Self
    where
        P: Send + 'static,
        I: IntoIterator<Item = T> + Send + 'static,
        I::IntoIter: Send,
    {
        let opening: BoxFuture<'static, _> = Box::pin(opening);
        let of = target.clone();
        let items = futures_util::stream::once(opening)
            .map_ok(move |stream| {
                let of = of.clone();
                stream.map_err(move |status| status::from_status(operation, &of, &status))
            })
            .try_flatten()
            .and_then(move |message| std::future::ready(items(message)))
            .map_ok(|items| futures_util::stream::iter(items.into_iter().map(Ok)))
            .try_flatten()
            .boxed();
        Self {
            operation,
            target,
            items,
            timer: None,
            deadline: Duration::MAX,
            over: false,
        }
    }

    /// Classifies errors of the stream further.
    pub(crate) fn map_errors(mut self, refine: fn(Error) -> Error) -> Self {
        self.items = self.items.map_err(refine).boxed();
        self
    }

    /// Ends the stream, without an error, when `duration` has passed since the first poll.
    pub(crate) fn ending_after(mut self, duration: Duration) -> Self {
        let end = Box::pin(async move { tokio::time::sleep(duration).await });
        self.items = self.items.take_until(end).boxed();
        // It ends by itself.
        self.deadline(Duration::MAX)
    }

    /// Ends the stream with an error when it has not ended by itself after `deadline`, counted from the first poll.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self.timer = None;
        self
    }
}

impl<T> Stream for ResponseStream<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(item) = this.items.poll_next_unpin(context) {
            this.over = !matches!(item, Some(Ok(_)));
            return Poll::Ready(item);
        }
        let deadline = this.deadline;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.over = true;
        Poll::Ready(Some(Err(Error::new(ErrorKind::Deadline, this.operation)
            .with_target(this.target.clone())
            .with_message(format!(
                "timed out after {} waiting for the stream to end",
                DurationText(deadline)
            )))))
    }
}

impl<T> fmt::Debug for ResponseStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("operation", &self.operation)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
