//! When a single request is sent again.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::{Error, ErrorKind, Result};

/// How often, how fast and how long one request is repeated.
///
/// The default is 4 attempts, 200 ms doubling up to 5 s with jitter, 30 s in all. Certificate
/// failures, refusals and undecodable answers are never repeated. What may have taken effect is
/// repeated only for operations that can safely be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: usize,
    base: Duration,
    cap: Duration,
    deadline: Duration,
}

impl RetryPolicy {
    /// One attempt, no repetition.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            attempts: 1,
            base: Duration::ZERO,
            cap: Duration::ZERO,
            deadline: Duration::ZERO,
        }
    }

    /// At most this many attempts; at least one is made.
    #[must_use]
    pub const fn attempts(self, attempts: usize) -> Self {
        Self { attempts, ..self }
    }

    /// The first pause and the longest one.
    #[must_use]
    pub const fn pauses(self, base: Duration, cap: Duration) -> Self {
        Self { base, cap, ..self }
    }

    /// No attempt begins later than this after the first.
    #[must_use]
    pub const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    fn delays(&self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(self.base)
            .with_max_delay(self.cap)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }
}

/// Whether doing an operation twice is the same as doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    Safe,
    Unsafe,
}

/// Whether `error` allows another attempt of an operation.
pub(crate) fn may_repeat(error: &Error, idempotency: Idempotency) -> bool {
    // The guest agent is polled by its own, slower plan: each miss costs a server worker 3 s.
    error.is_retryable()
        && error.kind() != ErrorKind::NotReady
        && (idempotency == Idempotency::Safe || !error.may_have_taken_effect())
}

/// Runs `attempt` (given its number, from 1) until it succeeds or must not be repeated; the last
/// error is returned as it is.
pub(crate) async fn run<T, F>(
    policy: &RetryPolicy,
    idempotency: Idempotency,
    mut attempt: impl FnMut(usize) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let started = Instant::now();
    let mut delays = policy.delays();
    let mut number = 1;
    loop {
        let error = match attempt(number).await {
            Ok(value) => return Ok(value),
            Err(error) if may_repeat(&error, idempotency) => error,
            Err(error) => return Err(error),
        };
        match delays.next() {
            Some(delay) if started.elapsed() + delay <= policy.deadline => {
                tokio::time::sleep(delay).await;
            }
            _ => return Err(error),
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> RetryPolicy {
        RetryPolicy::default().pauses(Duration::from_micros(10), Duration::from_micros(20))
    }

    async fn attempts_made(kind: ErrorKind, idempotency: Idempotency) -> usize {
        let mut made = 0;
        let result: Result<()> = run(&quick(), idempotency, |number| {
            made = number;
            async move { Err(Error::new(kind, "test")) }
        })
        .await;
        assert_eq!(result.unwrap_err().kind(), kind);
        made
    }

    #[tokio::test]
    async fn what_was_certainly_refused_is_repeated_for_every_operation() {
        assert_eq!(attempts_made(ErrorKind::Busy, Idempotency::Unsafe).await, 4);
        assert_eq!(
            attempts_made(ErrorKind::Connect, Idempotency::Unsafe).await,
            4
        );
    }

    #[tokio::test]
    async fn what_may_have_happened_is_repeated_only_when_safe() {
        assert_eq!(
            attempts_made(ErrorKind::Timeout, Idempotency::Unsafe).await,
            1
        );
        assert_eq!(
            attempts_made(ErrorKind::Timeout, Idempotency::Safe).await,
            4
        );
        assert_eq!(
            attempts_made(ErrorKind::Interrupted, Idempotency::Unsafe).await,
            1
        );
    }

    #[tokio::test]
    async fn a_wrong_certificate_is_never_tried_again() {
        assert_eq!(
            attempts_made(ErrorKind::Certificate, Idempotency::Safe).await,
            1
        );
    }

    #[test]
    fn no_policy_sleeps_longer_than_its_cap_and_jitter() {
        let policy = RetryPolicy::default().attempts(12);

        assert!(
            policy
                .delays()
                .all(|delay| delay <= Duration::from_secs(10))
        );
        assert_eq!(RetryPolicy::never().delays().count(), 0);
    }
}
