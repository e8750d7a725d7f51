//! Events of a mock, as a stream.

use futures_util::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Sends events to every stream that exists at the time.
#[derive(Debug)]
pub(in crate::mock) struct Events<T> {
    sender: broadcast::Sender<T>,
}

impl<T: Clone> Default for Events<T> {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(1024),
        }
    }
}

impl<T: Clone + Send + 'static> Events<T> {
    pub(in crate::mock) fn emit(&self, event: T) {
        // An error means that there is no stream.
        drop(self.sender.send(event));
    }

    /// The events from now on. A stream that is not read for a long time loses the oldest ones.
    pub(in crate::mock) fn stream(&self) -> impl Stream<Item = T> + Send + use<T> {
        futures_util::stream::unfold(self.sender.subscribe(), |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }
}
