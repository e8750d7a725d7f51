//! Noticing that nothing moves any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The moment at which the last piece of a body was handed over.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, or gives up with `None` when nothing was marked for `limit`.
    pub(crate) async fn watch<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            let silent_until = self.last() + limit;
            tokio::select! {
                result = &mut work => return Some(result),
                () = tokio::time::sleep_until(silent_until.into()) => {
                    if self.last() + limit <= Instant::now() {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_stands_still_is_given_up() {
        let progress = Progress::new();

        let result = progress
            .watch(Duration::from_millis(5), std::future::pending::<()>())
            .await;

        assert!(result.is_none());
    }

    #[tokio::test]
    async fn work_that_moves_may_take_longer_than_the_limit() {
        let progress = Progress::new();
        let moving = progress.clone();

        let result = progress
            .watch(Duration::from_millis(200), async move {
                for _ in 0..30 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    moving.mark();
                }
            })
            .await;

        assert!(result.is_some());
    }
}
