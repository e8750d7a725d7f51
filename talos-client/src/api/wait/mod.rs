//! Waiting for a node: for its API, its identity, its stages.
//!
//! Before the API is up a node cannot notify anybody, and the waits probe at growing intervals; afterwards they follow
//! a watch. Each wait has a deadline, reports to an observer what it waits for and why, and fails with
//! [`ErrorKind::Deadline`], whose source is the last error. Each exists twice: with and without an observer.

mod api;
mod identity;
mod machine;

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Poll, Result, WaitState};

pub use self::api::{
    wait_for_api, wait_for_api_observed, wait_for_maintenance, wait_for_maintenance_observed,
};
pub use self::machine::Bootstrapped;
pub(crate) use self::machine::follow;

/// The time for one connection attempt: a host that is down answers nothing at all.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a wait of this module waits for; [`WaitState::waiting_for`] is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// Any response at the endpoint.
    Api,
    /// A node without a configuration.
    Maintenance,
    /// The node to act on its configuration.
    Restart,
    /// The node to come back from its installation.
    Installation,
    /// The node's certificate to become valid.
    Clock,
    /// The node to answer with its cluster identity.
    Identity,
    /// The node to accept the bootstrap.
    Bootstrap,
    /// etcd to become healthy.
    Etcd,
    /// A stage of the machine.
    Stage,
    /// A configuration to be where it was sent to.
    Configuration,
    /// A configuration that is being tried to be taken back.
    ConfigurationRollback,
    /// The node to boot again.
    Reboot,
    /// The node to write another release to its disk.
    Upgrade,
}

impl WaitingFor {
    /// The text of [`WaitState::waiting_for`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "the machine API to answer",
            Self::Maintenance => "the node to enter maintenance mode",
            Self::Restart => "the node to leave maintenance mode",
            Self::Installation => "the installation to complete",
            Self::Clock => "the node's certificate to become valid",
            Self::Identity => "the node to answer with its cluster identity",
            Self::Bootstrap => "the node to accept the bootstrap",
            Self::Etcd => "etcd to become healthy",
            Self::Stage => "the machine to reach the stage",
            Self::Configuration => "the configuration to take effect",
            Self::ConfigurationRollback => "the configuration to be taken back",
            Self::Reboot => "the node to boot again",
            Self::Upgrade => "the node to install the release",
        }
    }
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wait under way: its clock, its observer and the last cause.
pub(crate) struct Waiting<F> {
    poll: Poll,
    started: Instant,
    operation: &'static str,
    target: String,
    observer: F,
    state: WaitState,
    /// Attempts since the connection last answered; they decide the interval.
    failures: u32,
    last: Option<Error>,
}

impl<F: FnMut(&WaitState)> Waiting<F> {
    pub(crate) fn new(
        operation: &'static str,
        target: String,
        waiting_for: WaitingFor,
        poll: Poll,
        observer: F,
    ) -> Self {
        Self {
            poll,
            started: Instant::now(),
            operation,
            target,
            observer,
            state: WaitState {
                waiting_for: waiting_for.as_str().into(),
                cause: String::new(),
                attempt: 0,
                elapsed: Duration::ZERO,
                deadline: poll.total(),
            },
            failures: 0,
            last: None,
        }
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.poll.total().saturating_sub(self.started.elapsed())
    }

    /// The time for one connection attempt.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        ATTEMPT_TIMEOUT.min(self.remaining())
    }

    /// Reports to the observer why the wait is not over yet.
    pub(crate) fn report(&mut self, waiting_for: WaitingFor, cause: impl Into<String>) {
        self.state = WaitState {
            waiting_for: waiting_for.as_str().into(),
            cause: cause.into(),
            attempt: self.state.attempt.saturating_add(1),
            elapsed: self.started.elapsed(),
            deadline: self.poll.total(),
        };
        self.last = None;
        (self.observer)(&self.state);
    }

    /// As [`Waiting::report`], for an attempt that failed.
    pub(crate) fn report_error(&mut self, waiting_for: WaitingFor, error: Error) {
        self.report(waiting_for, error.to_string());
        self.last = Some(error);
    }

    /// Sleeps until the next attempt, but not beyond the deadline.
    pub(crate) async fn sleep(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let interval = self.poll.interval(self.failures).min(self.remaining());
        tokio::time::sleep(interval).await;
    }

    fn timed_out(self) -> Error {
        self.state
            .timed_out(self.operation, &self.target, self.last)
    }

    pub(crate) fn failed(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.operation)
            .with_target(self.target.clone())
            .with_message(message)
    }
}

/// Runs a wait to its end or its deadline, whichever comes first.
pub(crate) async fn until_deadline<F, T, W>(mut waiting: Waiting<F>, work: W) -> Result<T>
where
    F: FnMut(&WaitState),
    W: AsyncFnOnce(&mut Waiting<F>) -> Result<T>,
{
    let limit = waiting.remaining();
    let outcome: Result<Result<T>, _> = tokio::time::timeout(limit, work(&mut waiting)).await;
    match outcome {
        Ok(result) => result,
        Err(_) => Err(waiting.timed_out()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_runs_out_of_time_names_its_last_cause() {
        let poll = Poll::every(Duration::from_millis(1)).deadline(Duration::from_millis(20));
        let target = "10.0.2.10:50000".to_owned();
        let waiting = Waiting::new("wait for etcd", target, WaitingFor::Etcd, poll, |_| {});

        let error = until_deadline(waiting, async |waiting| -> Result<()> {
            loop {
                waiting.report(WaitingFor::Etcd, "etcd not running");
                waiting.sleep().await;
            }
        })
        .await
        .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(
            error.message(),
            "timed out after 20ms waiting for etcd to become healthy; last status: etcd not running"
        );
    }
}
