//! Waiting for a server: short probes that grow, a deadline that binds, and always the last cause.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::services::{DurationText, Poll};

/// The interval after the first probe; it grows by half up to `Timing::interval`.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);

/// The result of one probe.
pub(crate) enum Probed<T> {
    /// What was waited for.
    Ready(T),
    /// Not yet, with the reason.
    Pending(String),
    /// Not yet, because a call failed with a retryable error.
    Retry(Error),
}

/// The first interval of every wait, when no interval is longer than `longest`.
pub(crate) fn first_interval(longest: Duration) -> Duration {
    FIRST_INTERVAL.min(longest)
}

fn poll(longest: Duration) -> Poll {
    Poll::every(first_interval(longest)).up_to(longest)
}

/// The end of a step that waits more than once: each wait gets what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    end: Instant,
}

impl Budget {
    /// A budget that begins now.
    pub(crate) fn new(total: Duration) -> Self {
        Self {
            end: Poll::default().deadline(total).ends_at(),
        }
    }

    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// A wait: for what, at which intervals, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    what: String,
    poll: Poll,
}

impl Wait {
    pub(crate) fn new(what: impl Into<String>, context: &Context, deadline: Duration) -> Self {
        Self {
            what: what.into(),
            poll: poll(context.timing().interval).deadline(deadline),
        }
    }

    /// Probes until the result is ready. An error of the probe itself ends the wait at once.
    ///
    /// The probe is dropped at the deadline, so a server that never responds cannot hold the run.
    pub(crate) async fn until<T, F, P>(self, context: &Context, mut probe: P) -> Result<T>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<Probed<T>>>,
    {
        let started = Instant::now();
        let end = self.poll.ends_at();
        let mut last = LastCause::text("no response".into());
        for attempt in 1_u32.. {
            let span = tracing::debug_span!("attempt", attempt, waiting_for = %self.what);
            match timeout_at(end, probe().instrument(span)).await {
                Ok(result) => match result? {
                    Probed::Ready(value) => return Ok(value),
                    Probed::Pending(cause) => last = LastCause::text(cause),
                    Probed::Retry(error) => last = LastCause::error(error),
                },
                Err(_) => break,
            }
            context.emit(EventKind::Waiting {
                waiting_for: self.what.clone(),
                cause: last.text.clone(),
                attempt,
                elapsed: started.elapsed(),
                deadline: self.poll.total(),
            });
            let interval = self.poll.interval(attempt);
            if Instant::now() + interval >= end {
                break;
            }
            sleep(interval).await;
        }
        Err(self.timed_out(last))
    }

    fn timed_out(&self, last: LastCause) -> Error {
        let error = Error::new(ErrorKind::Deadline, "wait")
            .with_target(self.what.clone())
            .with_message(format!(
                "timed out after {}; last status: {}",
                DurationText(self.poll.total()),
                last.text
            ));
        match last.error {
            Some(cause) => error
                .of_origin(cause.origin(), cause.server())
                .with_source(cause),
            None => error,
        }
    }
}

/// Does `work` within `limit`, for a call whose client would wait longer than the step may.
///
/// # Errors
/// Those of the work; `Deadline` when it has not ended in time, and may have taken effect.
pub(crate) async fn within<T, E: Into<Error>>(
    limit: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Error::new(ErrorKind::Deadline, operation)
            .with_message(format!("no response within {}", DurationText(limit)))
            .uncertain(true)),
    }
}

struct LastCause {
    text: String,
    error: Option<Error>,
}

impl LastCause {
    fn text(text: String) -> Self {
        Self { text, error: None }
    }

    fn error(error: Error) -> Self {
        Self {
            text: error.cause_line(),
            error: Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow_from_50_ms_to_the_longest() {
        let poll = poll(Duration::from_secs(1));

        let all: Vec<u128> = (1..=10)
            .map(|attempt| poll.interval(attempt).as_millis())
            .collect();

        assert_eq!(all[..3], [50, 75, 112]);
        assert_eq!(all[9], 1000);
    }

    #[test]
    fn a_short_longest_interval_is_the_first_one() {
        let poll = poll(Duration::from_millis(10));

        assert_eq!(poll.interval(1), Duration::from_millis(10));
        assert_eq!(poll.interval(2), Duration::from_millis(10));
    }

    #[test]
    fn a_budget_without_an_end_is_not_an_empty_one() {
        assert!(Budget::new(Duration::MAX).left() > Duration::from_secs(3600));
        assert!(Budget::new(Duration::ZERO).left().is_zero());
    }
}
