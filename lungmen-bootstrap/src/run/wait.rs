//! Waiting for a server: short probes, a deadline, and always the last cause.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;

/// The result of one probe.
pub(crate) enum Probed<T> {
    /// What was waited for.
    Ready(T),
    /// Not yet, with the reason.
    Pending(String),
    /// Not yet, because a call failed with a retryable error.
    Retry(Error),
}

/// A wait: for what, at which interval, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) what: String,
    pub(crate) interval: Duration,
    pub(crate) deadline: Duration,
}

impl Wait {
    pub(crate) fn new(what: impl Into<String>, context: &Context, deadline: Duration) -> Self {
        Self {
            what: what.into(),
            interval: context.timing().interval,
            deadline,
        }
    }

    /// Probes until the result is ready. An error of the probe itself ends the wait at once.
    ///
    /// A single probe is cut off at the deadline, so a server that never answers cannot hold the run.
    pub(crate) async fn until<T, F, P>(self, context: &Context, mut probe: P) -> Result<T>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<Probed<T>>>,
    {
        let end = Instant::now() + self.deadline;
        let mut last = LastCause::default();
        for attempt in 1_u32.. {
            let remaining = end.saturating_duration_since(Instant::now());
            match tokio::time::timeout(remaining, probe()).await {
                Ok(result) => match result? {
                    Probed::Ready(value) => return Ok(value),
                    Probed::Pending(cause) => last = LastCause::text(cause),
                    Probed::Retry(error) => last = LastCause::error(error),
                },
                Err(_) if attempt == 1 => last = LastCause::text("no answer".into()),
                Err(_) => {}
            }
            context.emit(EventKind::Waiting {
                waiting_for: self.what.clone(),
                cause: last.text.clone(),
                attempt,
            });
            if Instant::now() + self.interval >= end {
                break;
            }
            tokio::time::sleep(self.interval).await;
        }
        Err(self.ended(last))
    }

    fn ended(&self, last: LastCause) -> Error {
        let error = Error::new(ErrorKind::Deadline, "wait")
            .with_target(self.what.clone())
            .with_message(format!(
                "not within {:?}; last seen: {}",
                self.deadline, last.text
            ));
        match last.error {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

#[derive(Default)]
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
