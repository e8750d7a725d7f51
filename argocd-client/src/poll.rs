//! How long and how often something is waited for.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Error, ErrorKind, Result};

/// A waiting plan: the pause between two looks, and the deadline of the whole wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a plan does nothing until it is given to a wait"]
pub struct Poll {
    interval: Duration,
    deadline: Duration,
}

impl Poll {
    /// Looks every `interval`, for 5 minutes unless [`within`](Self::within) says otherwise.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            deadline: Duration::from_secs(300),
        }
    }

    /// Gives up after `deadline`.
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn ends_at(&self) -> Instant {
        Instant::now() + self.deadline
    }

    /// Looks until `look` has a value, fails for good, or the deadline passes.
    ///
    /// `look` answers `Ok(Err(cause))` for "not yet, because". Failures of the way to the server
    /// count as "not yet" too; the last cause is the source of the deadline error.
    pub(crate) async fn until<T, F>(
        &self,
        operation: &'static str,
        target: &str,
        mut look: F,
    ) -> Result<T>
    where
        F: AsyncFnMut() -> Result<Result<T, String>>,
    {
        let end = self.ends_at();
        let mut last: Option<Error> = None;
        loop {
            let waiting = |cause| {
                Error::new(ErrorKind::FailedPrecondition, operation)
                    .with_target(target)
                    .with_message(cause)
            };
            match timeout_at(end, look()).await {
                Ok(Ok(Ok(value))) => return Ok(value),
                Ok(Ok(Err(cause))) => last = Some(waiting(cause)),
                Ok(Err(error)) if error.is_transient() => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.expired(operation, target, last)),
            }
            if Instant::now() + self.interval >= end {
                return Err(self.expired(operation, target, last));
            }
            sleep(self.interval).await;
        }
    }

    fn expired(&self, operation: &'static str, target: &str, last: Option<Error>) -> Error {
        let error = Error::new(ErrorKind::Deadline, operation).with_target(target);
        match last {
            Some(last) => error
                .with_message(format!(
                    "after {:?}, last seen: {}",
                    self.deadline,
                    cause_of(&last)
                ))
                .with_source(last),
            None => error.with_message(format!("no answer within {:?}", self.deadline)),
        }
    }
}

fn cause_of(error: &Error) -> String {
    if error.message().is_empty() {
        error.to_string()
    } else {
        error.message().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    const FAST: Poll = Poll::every(Duration::from_millis(1)).within(Duration::from_millis(40));

    #[tokio::test]
    async fn a_wait_ends_with_the_value() {
        let mut looks = 0;

        let value = FAST
            .until("wait", "x", async || {
                looks += 1;
                Ok(if looks == 3 {
                    Ok(looks)
                } else {
                    Err("soon".to_owned())
                })
            })
            .await;

        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_deadline_carries_the_last_cause() {
        let error = FAST
            .until::<(), _>("wait", "x", async || Ok(Err("disk is full".to_owned())))
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(error.message().contains("disk is full"));
        assert!(error.source().is_some());
    }

    #[tokio::test]
    async fn a_refusal_ends_the_wait_at_once_and_a_broken_connection_does_not() {
        let mut kinds = vec![ErrorKind::Forbidden, ErrorKind::Interrupted];

        let error = FAST
            .until::<(), _>("wait", "x", async || {
                Err(Error::new(kinds.pop().unwrap(), "look"))
            })
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(kinds.is_empty());
    }
}
