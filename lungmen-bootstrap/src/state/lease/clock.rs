//! The clock of a lease.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::transition::{Now, Tick};

/// Reads two clocks. The monotonic one stops while a host is suspended or a virtual machine is paused; the wall clock
/// shows afterwards that time has passed. A holder ends by the one that is ahead, a candidate waits by the monotonic one.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    wall_start: SystemTime,
    /// The latest reading: a wall clock that is set back must not prolong a lease.
    latest: Mutex<Tick>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            wall_start: SystemTime::now(),
            latest: Mutex::new(0),
        }
    }

    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(self.wall_start)
            .unwrap_or_default();
        self.reading(self.start.elapsed(), wall)
    }

    fn reading(&self, monotonic: Duration, wall: Duration) -> Now {
        let least = ticks(monotonic);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = least.max(ticks(wall)).max(*latest);
        Now {
            least,
            most: *latest,
        }
    }
}

pub(super) fn ticks(duration: Duration) -> Tick {
    Tick::try_from(duration.as_millis()).unwrap_or(Tick::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn suspended_time_counts_for_the_holder_and_not_for_a_candidate() {
        let clock = Clock::new();

        let resumed = clock.reading(SECOND, 60 * SECOND);

        assert_eq!(resumed.least, 1_000);
        assert_eq!(resumed.most, 60_000);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_prolongs_nothing() {
        let clock = Clock::new();
        clock.reading(SECOND, 60 * SECOND);

        let back = clock.reading(2 * SECOND, Duration::ZERO);

        assert_eq!(back.most, 60_000);
    }
}
