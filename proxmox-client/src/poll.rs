//! How often and how long to ask while the server works in the background.

use std::time::Duration;

/// An interval that grows by half each time up to six times its first value, and a deadline.
///
/// The default asks after 0.5 s, then ever more rarely down to every 3 s, for ten minutes: each
/// question occupies one of the few workers of the server, and there is no long poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    interval: Duration,
    deadline: Duration,
}

impl Poll {
    /// Starts with this interval; the deadline is ten minutes until [`within`](Self::within) sets it.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            deadline: Duration::from_secs(600),
        }
    }

    /// Gives up after this time.
    #[must_use]
    pub const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The time after which waiting ends.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The pause before question number `asked` (counted from 0).
    #[must_use]
    pub fn pause(&self, asked: u32) -> Duration {
        let factor = 1.5_f64
            .powi(i32::try_from(asked.min(10)).unwrap_or(10))
            .min(6.0);
        self.interval.mul_f64(factor)
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self::every(Duration::from_millis(500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_grows_from_half_a_second_to_three() {
        let poll = Poll::default();

        assert_eq!(poll.pause(0), Duration::from_millis(500));
        assert_eq!(poll.pause(1), Duration::from_millis(750));
        assert_eq!(poll.pause(50), Duration::from_secs(3));
        assert_eq!(poll.deadline(), Duration::from_secs(600));
    }

    #[test]
    fn a_test_plan_stays_in_milliseconds() {
        let poll = Poll::every(Duration::from_millis(2)).within(Duration::from_secs(1));

        assert!(poll.pause(u32::MAX) <= Duration::from_millis(12));
    }
}
