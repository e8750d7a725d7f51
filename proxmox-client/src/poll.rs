//! Waiting for a server: how often it is asked, for how long, and what an observer receives.
//!
//! Mirrored: the same text stands in every crate of the workspace, and a policy test compares the copies.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Error, ErrorKind, Result}; // mirror: own path

/// How often a wait asks the server, and when it gives up.
///
/// The first interval grows by half each time, up to [`up_to`](Self::up_to). The default asks after 0.5 s, then ever
/// more rarely down to every 3 s, for ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    interval: Duration,
    longest: Duration,
    deadline: Duration,
}

impl Poll {
    /// Starts with this interval. It grows to six times its length; the deadline is ten minutes.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            longest: interval.saturating_mul(6),
            deadline: Duration::from_secs(600),
        }
    }

    /// Sets the longest interval; an interval below the first one means that the interval does not grow.
    #[must_use]
    pub const fn up_to(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Sets the time for the whole wait. The wait ends within it whatever the server does.
    #[must_use]
    pub const fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The interval before attempt number `attempt` (from 1) is repeated.
    #[must_use]
    pub fn interval(&self, attempt: u32) -> Duration {
        let growth = 1.5_f64.powi(i32::try_from(attempt.saturating_sub(1).min(64)).unwrap_or(64));
        let grown = self.interval.as_secs_f64() * growth;
        Duration::try_from_secs_f64(grown)
            .unwrap_or(Duration::MAX)
            .min(self.longest.max(self.interval))
    }

    /// The time for the whole wait.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.deadline
    }

    /// The moment at which a wait that starts now ends.
    pub(crate) fn ends_at(&self) -> Instant {
        let now = Instant::now();
        // A century is as good as for ever, and does not overflow the clock.
        let longest = Duration::from_secs(100 * 365 * 24 * 3600);
        now + self.deadline.min(longest)
    }

    /// Probes until the probe is ready, fails for good, or the deadline passes.
    ///
    /// A retryable error of a probe counts as "pending"; the last one becomes the source of the deadline error.
    #[allow(
        dead_code,
        reason = "the copies of this file do not all use every function"
    )]
    pub(crate) async fn wait<T, F>(
        self,
        operation: &'static str,
        target: &str,
        waiting_for: impl Into<Cow<'static, str>>,
        mut observer: impl FnMut(&WaitState),
        mut probe: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Probed<T>>>,
    {
        let end = self.ends_at();
        let started = Instant::now();
        let mut last_error = None;
        let mut state = WaitState {
            waiting_for: waiting_for.into(),
            cause: String::new(),
            attempt: 0,
            elapsed: Duration::ZERO,
            deadline: self.deadline,
        };
        loop {
            state.attempt = state.attempt.saturating_add(1);
            match timeout_at(end, probe()).await {
                Ok(Ok(Probed::Ready(value))) => return Ok(value),
                Ok(Ok(Probed::Pending(cause))) => {
                    state.cause = cause;
                    last_error = None;
                }
                Ok(Err(error)) if error.is_retryable() => {
                    state.cause = error.to_string();
                    last_error = Some(error);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(state.timed_out(operation, target, last_error)),
            }
            state.elapsed = started.elapsed();
            observer(&state);
            let interval = self.interval(state.attempt);
            if Instant::now() + interval >= end {
                // One last probe at the deadline would be cut off; waiting for it helps nobody.
                return Err(state.timed_out(operation, target, last_error));
            }
            sleep(interval).await;
        }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self::every(Duration::from_millis(500))
    }
}

/// The result of one probe of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probed<T> {
    /// What was waited for.
    Ready(T),
    /// Not yet, with the reason.
    Pending(String),
}

/// The state of a wait, as its observer sees it after every probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitState {
    /// What the wait waits for: `VM 5 to be created`.
    pub waiting_for: Cow<'static, str>,
    /// Why it is not over: the server's last status, or the last error.
    pub cause: String,
    /// How many probes were made, from 1.
    pub attempt: u32,
    /// How long the wait has lasted.
    pub elapsed: Duration,
    /// The time for the whole wait.
    pub deadline: Duration,
}

impl WaitState {
    /// The error of a wait whose deadline passed.
    pub(crate) fn timed_out(
        &self,
        operation: &'static str,
        target: &str,
        last: Option<Error>,
    ) -> Error {
        let error = Error::new(ErrorKind::Deadline, operation)
            .with_target(target)
            .with_message(self.timeout_text());
        match last {
            Some(last) => error.with_source(last),
            None => error,
        }
    }

    fn timeout_text(&self) -> String {
        let time = DurationText(self.deadline);
        let cause = if self.cause.is_empty() {
            "no response"
        } else {
            &self.cause
        };
        let waiting_for = &self.waiting_for;
        format!("timed out after {time} waiting for {waiting_for}; last status: {cause}")
    }
}

impl fmt::Display for WaitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting for {}", self.waiting_for)?;
        if !self.cause.is_empty() {
            write!(f, ": {}", self.cause)?;
        }
        Ok(())
    }
}

/// A duration as people write it: `10m`, `1m30s`, `5s`, `300ms`.
pub(crate) struct DurationText(pub(crate) Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let millis = self.0.subsec_millis();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        match (seconds, millis) {
            (0, millis) => write!(f, "{millis}ms"),
            (1..10, 1..) => write!(f, "{seconds}.{}s", millis / 100),
            _ if rest > 0 => write!(f, "{rest}s"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod poll_tests {
    use super::*;

    const FAST: Poll = Poll::every(Duration::from_millis(1)).deadline(Duration::from_millis(40));

    #[test]
    fn the_default_grows_from_half_a_second_to_three() {
        let poll = Poll::default();

        assert_eq!(poll.interval(1), Duration::from_millis(500));
        assert_eq!(poll.interval(2), Duration::from_millis(750));
        assert_eq!(poll.interval(u32::MAX), Duration::from_secs(3));
        assert_eq!(poll.total(), Duration::from_secs(600));
    }

    #[test]
    fn an_interval_without_growth_stays_constant() {
        let poll = Poll::every(Duration::from_secs(2)).up_to(Duration::ZERO);

        assert_eq!(poll.interval(9), Duration::from_secs(2));
    }

    #[test]
    fn durations_of_any_length_do_not_overflow() {
        let poll = Poll::every(Duration::MAX).deadline(Duration::MAX);

        assert_eq!(poll.interval(3), Duration::MAX);
        assert!(poll.ends_at() > Instant::now());
    }

    #[test]
    fn durations_are_printed_as_people_write_them() {
        let text = |millis| DurationText(Duration::from_millis(millis)).to_string();

        assert_eq!(text(0), "0ms");
        assert_eq!(text(300), "300ms");
        assert_eq!(text(1_500), "1.5s");
        assert_eq!(text(5_000), "5s");
        assert_eq!(text(90_000), "1m30s");
        assert_eq!(text(600_000), "10m");
        assert_eq!(text(3_600_000), "1h");
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_value_and_reports_every_probe_before() {
        let mut probes = 0;
        let mut seen = Vec::new();

        let value = FAST
            .wait(
                "wait",
                "VM 5",
                "VM 5 to start",
                |state| seen.push(state.to_string()),
                || {
                    probes += 1;
                    let ready = probes == 3;
                    async move {
                        Ok(if ready {
                            Probed::Ready(7)
                        } else {
                            Probed::Pending("stopped".to_owned())
                        })
                    }
                },
            )
            .await;

        assert_eq!(value.unwrap(), 7);
        assert_eq!(seen, ["waiting for VM 5 to start: stopped"; 2]);
    }

    #[tokio::test]
    async fn the_deadline_error_names_what_was_waited_for_and_the_last_status() {
        let error = FAST
            .wait::<(), _>(
                "wait",
                "VM 5",
                "VM 5 to be created",
                |_| {},
                || async { Ok(Probed::Pending("VM is locked".to_owned())) },
            )
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(
            error.message(),
            "timed out after 40ms waiting for VM 5 to be created; last status: VM is locked"
        );
    }

    #[tokio::test]
    async fn a_probe_that_never_answers_does_not_outlive_the_deadline() {
        let error = FAST
            .wait::<(), _>("wait", "VM 5", "an answer", |_| {}, std::future::pending)
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(
            error.message().ends_with("last status: no response"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_error_that_passes_is_kept_as_the_source_and_another_one_ends_the_wait() {
        let passing = FAST
            .wait::<(), _>(
                "wait",
                "VM 5",
                "an answer",
                |_| {},
                || async { Err(Error::new(ErrorKind::Connect, "read")) },
            )
            .await
            .unwrap_err();
        let lasting = FAST
            .wait::<(), _>(
                "wait",
                "VM 5",
                "an answer",
                |_| {},
                || async { Err(Error::new(ErrorKind::Forbidden, "read")) },
            )
            .await
            .unwrap_err();

        assert!(std::error::Error::source(&passing).is_some());
        assert_eq!(lasting.kind(), ErrorKind::Forbidden);
    }
}
