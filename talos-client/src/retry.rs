//! How often a failed call is repeated, and which calls may be.

use std::time::{Duration, Instant};

use backon::ExponentialBuilder;

use crate::{Error, ErrorKind};

/// Repetition of single calls: attempts, pauses and the time for all of them together.
///
/// It applies to reads, and to any call that failed before anything was sent. Certificate failures and refusals
/// are never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: usize,
    first_pause: Duration,
    longest_pause: Duration,
    deadline: Duration,
}

impl RetryPolicy {
    /// At most `attempts` attempts within 30 seconds; the pauses begin at 200 ms, double, and carry jitter.
    #[must_use]
    pub const fn new(attempts: usize) -> Self {
        Self {
            attempts,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }

    /// Every call is made once.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(1)
    }

    /// The first and the longest pause.
    #[must_use]
    pub const fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// No new attempt is started after this time.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn schedule(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(self.longest_pause)
            .with_factor(2.0)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
    }

    pub(crate) fn allows(&self, error: &Error, effect: Effect, started: Instant) -> bool {
        started.elapsed() < self.deadline && effect.may_repeat(error.kind())
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(4)
    }
}

/// What a call does to the node, and so whether it may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reads only.
    None,
    /// Changes something.
    Change,
}

impl Effect {
    fn may_repeat(self, kind: ErrorKind) -> bool {
        match kind {
            ErrorKind::Connect | ErrorKind::Busy => true,
            ErrorKind::Timeout | ErrorKind::Interrupted => self == Self::None,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_repeated_only_when_nothing_was_sent() {
        assert!(Effect::Change.may_repeat(ErrorKind::Connect));
        assert!(!Effect::Change.may_repeat(ErrorKind::Interrupted));
        assert!(Effect::None.may_repeat(ErrorKind::Interrupted));
    }

    #[test]
    fn a_certificate_failure_is_never_repeated() {
        assert!(!Effect::None.may_repeat(ErrorKind::Certificate));
        assert!(!Effect::None.may_repeat(ErrorKind::Unauthenticated));
        assert!(!Effect::None.may_repeat(ErrorKind::NotReady));
    }
}
