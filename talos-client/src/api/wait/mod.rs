//! Waiting for a node: for its API, its identity, its stages.
//!
//! Before the API exists there is nothing that could notify, so those waits look again and again; afterwards the
//! node tells, and the waits follow a watch. Each has a deadline, reports what it waits for and why, and ends with
//! [`ErrorKind::Deadline`] and the last cause as its source.

mod api;
mod identity;
mod machine;

use std::fmt;
use std::time::Duration;

use crate::poll::Clock;
use crate::{Error, ErrorKind, Poll, Result};

pub use self::api::{wait_for_api, wait_for_maintenance};
pub use self::machine::Bootstrapped;

/// What a wait is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitingFor {
    /// Something that answers at the endpoint.
    Api,
    /// A node that waits for a configuration.
    Maintenance,
    /// The node, to act on its configuration.
    Restart,
    /// The node, to come back from its installation.
    Installation,
    /// The node's certificate, to become valid.
    Clock,
    /// The node, to answer with its new identity.
    Identity,
    /// The node, to accept the bootstrap.
    Bootstrap,
    /// etcd, to become healthy.
    Etcd,
    /// A stage of the machine.
    Stage,
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "the machine API",
            Self::Maintenance => "maintenance mode",
            Self::Restart => "the node to leave maintenance mode",
            Self::Installation => "the installation",
            Self::Clock => "the certificate to become valid",
            Self::Identity => "the node's new identity",
            Self::Bootstrap => "the node to accept the bootstrap",
            Self::Etcd => "etcd",
            Self::Stage => "the machine's stage",
        })
    }
}

/// How a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitState {
    /// What for.
    pub waiting_for: WaitingFor,
    /// Why it is not over: the last error, or what the node says is missing.
    pub because: String,
    /// How often the wait has looked or has been told something, from one.
    pub attempt: u32,
    /// Since when it waits.
    pub elapsed: Duration,
}

/// A wait under way: its clock, its observer and the last cause.
struct Waiting<F> {
    clock: Clock,
    operation: &'static str,
    target: String,
    observer: F,
    state: WaitState,
    last: Option<Error>,
}

impl<F: FnMut(&WaitState)> Waiting<F> {
    fn new(operation: &'static str, target: String, poll: Poll, observer: F) -> Self {
        Self {
            clock: poll.start(),
            operation,
            target,
            observer,
            state: WaitState {
                waiting_for: WaitingFor::Api,
                because: "nothing was tried".to_owned(),
                attempt: 0,
                elapsed: Duration::ZERO,
            },
            last: None,
        }
    }

    /// Tells the observer why it is not over yet.
    fn report(&mut self, waiting_for: WaitingFor, because: impl Into<String>) {
        self.state = WaitState {
            waiting_for,
            because: because.into(),
            attempt: self.state.attempt.saturating_add(1),
            elapsed: self.clock.elapsed(),
        };
        self.last = None;
        (self.observer)(&self.state);
    }

    /// As [`Waiting::report`], for an attempt that failed.
    fn report_error(&mut self, waiting_for: WaitingFor, error: Error) {
        self.report(waiting_for, error.to_string());
        self.last = Some(error);
    }

    /// The next look.
    async fn pause(&self) {
        self.clock.pause().await;
    }

    fn deadline(self) -> Error {
        let WaitState {
            waiting_for,
            because,
            attempt,
            ..
        } = self.state;
        let elapsed = self.clock.elapsed();
        let error = Error::new(ErrorKind::Deadline, self.operation)
            .with_target(self.target)
            .with_message(format!(
                "still waiting for {waiting_for} after {elapsed:.1?} and {attempt} attempts"
            ));
        match self.last {
            Some(cause) => error.with_source(cause),
            None => error.with_source(because),
        }
    }

    fn failed(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.operation)
            .with_target(self.target.clone())
            .with_message(message)
    }
}

/// Runs a wait to its end or its deadline, whichever comes first.
async fn until_deadline<F, T, W>(mut waiting: Waiting<F>, work: W) -> Result<T>
where
    F: FnMut(&WaitState),
    W: AsyncFnOnce(&mut Waiting<F>) -> Result<T>,
{
    let limit = waiting.clock.remaining();
    let outcome: Result<Result<T>, _> = tokio::time::timeout(limit, work(&mut waiting)).await;
    match outcome {
        Ok(result) => result,
        Err(_) => Err(waiting.deadline()),
    }
}

/// Whether a failed look is worth another.
fn is_transient(error: &Error) -> bool {
    error.is_retryable()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn a_wait_that_runs_out_of_time_names_its_last_cause() {
        let poll = Poll::every(Duration::from_millis(1)).within(Duration::from_millis(20));
        let waiting = Waiting::new("wait for etcd", "10.0.2.10:50000".to_owned(), poll, |_| {});

        let error = until_deadline(waiting, async |waiting| -> Result<()> {
            loop {
                waiting.report(WaitingFor::Etcd, "etcd not running");
                waiting.pause().await;
            }
        })
        .await
        .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(error.message().starts_with("still waiting for etcd after"));
        assert_eq!(error.source().unwrap().to_string(), "etcd not running");
    }
}
