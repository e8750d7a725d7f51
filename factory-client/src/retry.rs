//! When and how often a single request is sent again.
//!
//! Mirrored: the same text stands in every crate of the workspace, and a policy test compares the copies. What may be
//! repeated is decided by the operation ([`Idempotency`]) and by the error, never by the HTTP method.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Result}; // mirror: own path

/// How often, how fast and for how long a failed request is repeated.
///
/// The default is 4 attempts, with delays from 200 ms doubling up to 5 s, each with jitter, and 30 s in all. Certificate
/// failures, rejections and responses that cannot be decoded are never repeated. A request that may have taken effect
/// is repeated only when sending it twice has the effect of sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: usize,
    first: Duration,
    longest: Duration,
    deadline: Duration,
}

impl RetryPolicy {
    /// One attempt; every failure is reported at once.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            attempts: 1,
            first: Duration::ZERO,
            longest: Duration::ZERO,
            deadline: Duration::ZERO,
        }
    }

    /// Sets the number of attempts in all; at least one is made.
    #[must_use]
    pub const fn attempts(self, attempts: usize) -> Self {
        Self { attempts, ..self }
    }

    /// Sets the first and the longest delay between two attempts.
    #[must_use]
    pub const fn delays(self, first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            ..self
        }
    }

    /// Sets the time after which no further attempt starts.
    ///
    /// A longer `Retry-After` of the server ends the attempts as well: the error is returned at once.
    #[must_use]
    pub const fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) fn schedule(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }

    /// Runs `attempt` (given its number, from 1) until it succeeds or must not be repeated. The last error is returned.
    pub(crate) async fn run<T, F>(
        &self,
        idempotency: Idempotency,
        mut attempt: impl FnMut(usize) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let started = Instant::now();
        let mut schedule = self.schedule();
        let mut number = 1;
        loop {
            let error = match attempt(number).await {
                Ok(value) => return Ok(value),
                Err(error) if idempotency.allows_retry(&error) => error,
                Err(error) => return Err(error),
            };
            let Some(delay) = schedule.next() else {
                return Err(error);
            };
            let delay = delay.max(error.retry_after().unwrap_or_default());
            if started.elapsed().saturating_add(delay) > self.deadline {
                return Err(error);
            }
            sleep(delay).await;
            number += 1;
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }
}

/// The delay that a response asks for, in whole seconds. A date is not understood: it would compare two clocks.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Whether sending a request twice has the effect of sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// It has: a read, or a write that sets a value.
    Safe,
    /// A second request would act again, or be refused because the first one acted.
    Unsafe,
}

impl Idempotency {
    /// Whether an operation of this sort is repeated after `error`.
    pub(crate) fn allows_retry(self, error: &Error) -> bool {
        error.is_retryable() && (self == Self::Safe || !error.may_have_taken_effect())
    }
}

#[cfg(test)]
mod retry_tests {
    use super::*;
    use crate::error::ErrorKind; // mirror: own path

    async fn attempts_made(kind: ErrorKind, idempotency: Idempotency) -> usize {
        let policy =
            RetryPolicy::default().delays(Duration::from_micros(10), Duration::from_micros(20));
        let mut made = 0;
        let result: Result<()> = policy
            .run(idempotency, |number| {
                made = number;
                async move { Err(Error::new(kind, "test")) }
            })
            .await;
        assert_eq!(result.unwrap_err().kind(), kind);
        made
    }

    #[tokio::test]
    async fn a_request_that_certainly_had_no_effect_is_repeated_for_every_operation() {
        for kind in [ErrorKind::Busy, ErrorKind::Connect] {
            assert_eq!(
                attempts_made(kind, Idempotency::Unsafe).await,
                4,
                "{kind:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_request_that_may_have_had_an_effect_is_repeated_only_when_that_is_safe() {
        for kind in [ErrorKind::Timeout, ErrorKind::Interrupted] {
            assert_eq!(
                attempts_made(kind, Idempotency::Unsafe).await,
                1,
                "{kind:?}"
            );
            assert_eq!(attempts_made(kind, Idempotency::Safe).await, 4, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn certificate_failures_rejections_and_undecodable_responses_are_never_repeated() {
        for kind in [
            ErrorKind::Certificate,
            ErrorKind::Rejected,
            ErrorKind::Forbidden,
            ErrorKind::Decode,
        ] {
            assert_eq!(attempts_made(kind, Idempotency::Safe).await, 1, "{kind:?}");
        }
    }

    #[test]
    fn a_retry_after_is_read_in_seconds_and_a_date_is_not() {
        let of = |text: &'static str| {
            let value = http::HeaderValue::from_static(text);
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };

        assert_eq!(of("3600"), Some(Duration::from_secs(3600)));
        assert_eq!(of(" 2 "), Some(Duration::from_secs(2)));
        assert_eq!(of("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(of("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn the_schedule_has_one_delay_less_than_attempts() {
        assert_eq!(RetryPolicy::default().schedule().count(), 3);
        assert_eq!(RetryPolicy::default().attempts(0).schedule().count(), 0);
        assert_eq!(RetryPolicy::never().schedule().count(), 0);
    }

    #[test]
    fn no_delay_is_longer_than_the_longest_and_its_jitter() {
        let policy = RetryPolicy::default().attempts(12);

        assert!(
            policy
                .schedule()
                .all(|delay| delay <= Duration::from_secs(10))
        );
    }
}
