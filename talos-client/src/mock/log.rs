//! A list that only grows, and that can be followed.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Log<T> {
    items: Mutex<Vec<T>>,
    length: watch::Sender<usize>,
}

impl<T: Clone + Send + 'static> Log<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            items: Mutex::new(Vec::new()),
            length: watch::Sender::new(0),
        })
    }

    pub(super) fn push(&self, item: T) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.push(item);
        self.length.send_replace(items.len());
    }

    pub(super) fn items(&self) -> Vec<T> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.clone()
    }

    pub(super) fn len(&self) -> usize {
        *self.length.borrow()
    }

    fn get(&self, index: usize) -> Option<T> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.get(index).cloned()
    }

    /// The index of the last but `count` item that is meant.
    pub(super) fn tail(&self, count: usize, is_meant: impl Fn(&T) -> bool) -> usize {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = items
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, item)| is_meant(item));
        meant
            .take(count)
            .last()
            .map_or(items.len(), |(index, _)| index)
    }

    /// Everything from an index on, past and future, until the log is dropped.
    pub(super) fn follow(self: &Arc<Self>, from: usize) -> BoxStream<'static, T> {
        let state = (Arc::downgrade(self), self.length.subscribe(), from);
        stream::unfold(state, |(log, mut length, index)| async move {
            loop {
                if let Some(item) = log.upgrade()?.get(index) {
                    return Some((item, (log, length, index.saturating_add(1))));
                }
                length.changed().await.ok()?;
            }
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_sees_past_and_future_and_the_end() {
        let log = Log::new();
        log.push(1);
        let mut follower = log.follow(0);

        assert_eq!(follower.next().await, Some(1));
        log.push(2);
        assert_eq!(follower.next().await, Some(2));
        drop(log);
        assert_eq!(follower.next().await, None);
    }
}
