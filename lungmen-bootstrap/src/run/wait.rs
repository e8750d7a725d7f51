//! Waiting for something outside: short looks, a deadline, and always the last cause.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::event::EventKind;

/// What one look said.
pub(crate) enum Look<T> {
    /// It is there.
    There(T),
    /// Not yet, because of this.
    NotYet(String),
    /// Not yet, because a call failed in a way that can pass.
    Failing(Error),
}

/// A wait: for what, how often it looks, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) what: String,
    pub(crate) interval: Duration,
    pub(crate) deadline: Duration,
}

impl Wait {
    pub(crate) fn new(what: impl Into<String>, world: &World, deadline: Duration) -> Self {
        Self {
            what: what.into(),
            interval: world.timing().interval,
            deadline,
        }
    }

    /// Looks until it is there. An error of `look` itself ends the wait at once.
    ///
    /// A single look is cut off at the deadline, so a server that never answers cannot hold the run.
    pub(crate) async fn until<T, F, L>(self, world: &World, mut look: L) -> Result<T>
    where
        L: FnMut() -> F,
        F: Future<Output = Result<Look<T>>>,
    {
        let end = Instant::now() + self.deadline;
        let mut last = LastCause::default();
        for attempt in 1_u32.. {
            let remaining = end.saturating_duration_since(Instant::now());
            match tokio::time::timeout(remaining, look()).await {
                Ok(result) => match result? {
                    Look::There(value) => return Ok(value),
                    Look::NotYet(cause) => last = LastCause::text(cause),
                    Look::Failing(error) => last = LastCause::error(error),
                },
                Err(_) if attempt == 1 => last = LastCause::text("no answer".into()),
                Err(_) => {}
            }
            world.emit(EventKind::Waiting {
                waiting_for: self.what.clone(),
                because: last.text.clone(),
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
