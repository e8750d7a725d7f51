//! When and how often a request is repeated.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::{Error, ErrorKind};

/// How failed attempts are repeated: exponential delays with jitter under a deadline.
///
/// Whether a failure is repeated at all is decided by the operation: reads and idempotent writes
/// after any failure of the way to the server, other writes only when the request certainly had no
/// effect. Certificate failures and refusals are never repeated.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    attempts: usize,
    base: Duration,
    cap: Duration,
    deadline: Duration,
}

impl Default for RetryPolicy {
    /// Four attempts, 200 ms growing to 5 s, all within 5 minutes.
    ///
    /// The deadline must hold one slow cluster check (90 s) and its repetition.
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// No repetition: every failure is reported at once.
    #[must_use]
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// How many attempts are made in all, at least one.
    #[must_use]
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first delay and the longest one.
    #[must_use]
    pub fn delays(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap;
        self
    }

    /// The time budget of all attempts and delays together.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn budget(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn schedule(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.base)
            .with_max_delay(self.cap)
            .with_factor(2.0)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// Sending it twice has the effect of sending it once.
    Safe,
    /// A second request would act again, or be refused because the first one acted.
    Unsafe,
}

impl Idempotency {
    /// Whether an operation of this sort is repeated after `error`.
    pub(crate) fn allows_retry(self, error: &Error) -> bool {
        match self {
            Self::Safe => error.is_transient(),
            Self::Unsafe => matches!(error.kind(), ErrorKind::Connect | ErrorKind::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsafe_operation_is_repeated_only_when_nothing_can_have_happened() {
        let error = |kind| Error::new(kind, "sync application");

        assert!(Idempotency::Unsafe.allows_retry(&error(ErrorKind::Connect)));
        assert!(!Idempotency::Unsafe.allows_retry(&error(ErrorKind::Timeout)));
        assert!(Idempotency::Safe.allows_retry(&error(ErrorKind::Timeout)));
        for kind in [
            ErrorKind::Certificate,
            ErrorKind::Decode,
            ErrorKind::Forbidden,
        ] {
            assert!(!Idempotency::Safe.allows_retry(&error(kind)), "{kind:?}");
        }
    }

    #[test]
    fn the_schedule_has_one_delay_less_than_attempts() {
        assert_eq!(RetryPolicy::default().schedule().count(), 3);
        assert_eq!(RetryPolicy::never().schedule().count(), 0);
    }
}
