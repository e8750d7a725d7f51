//! How often to look and how long to wait.

use std::time::{Duration, Instant};

/// A plan for waiting: the pause between two looks, and the time after which waiting ends with an error.
///
/// ```
/// use std::time::Duration;
/// use talos_client::Poll;
///
/// let poll = Poll::every(Duration::from_secs(1)).within(Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    interval: Duration,
    deadline: Duration,
    attempt_timeout: Duration,
}

impl Poll {
    /// Looks every `interval`, for at most ten minutes, with at most two seconds for one connection attempt.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            deadline: Duration::from_mins(10),
            attempt_timeout: Duration::from_secs(2),
        }
    }

    /// Gives up after `deadline`.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Time for one connection attempt; a host that is down answers nothing at all.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    pub(crate) fn start(self) -> Clock {
        Clock {
            poll: self,
            started: Instant::now(),
        }
    }
}

/// A [`Poll`] that is running.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    poll: Poll,
    started: Instant,
}

impl Clock {
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.poll.deadline.saturating_sub(self.started.elapsed())
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.poll.attempt_timeout.min(self.remaining())
    }

    /// Pauses until the next look, but not beyond the deadline.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.poll.interval.min(self.remaining())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_never_outlives_the_deadline() {
        let clock = Poll::every(Duration::from_secs(1))
            .within(Duration::ZERO)
            .start();

        assert_eq!(clock.remaining(), Duration::ZERO);
        assert_eq!(clock.attempt_timeout(), Duration::ZERO);
    }
}
