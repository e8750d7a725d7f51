//! What happened inside the mock, for those that wire it to other services.

use futures_util::stream::{self, Stream};
use tokio::sync::watch;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MockEvent {
    /// A cluster was registered.
    ClusterRegistered {
        /// Its address.
        server: String,
        /// Its name.
        name: String,
    },
    /// A registered cluster was changed.
    ClusterUpdated {
        /// Its address.
        server: String,
        /// The fields that the request listed; empty for a complete replacement.
        fields: Vec<String>,
    },
    /// A cluster was removed.
    ClusterDeleted {
        /// Its address.
        server: String,
    },
    /// An application came into being.
    ApplicationCreated {
        /// Its name.
        name: String,
    },
    /// The operation of an application ended.
    ApplicationSynced {
        /// Its name.
        name: String,
    },
    /// An application became healthy.
    ApplicationHealthy {
        /// Its name.
        name: String,
    },
    /// An application is gone.
    ApplicationDeleted {
        /// Its name.
        name: String,
    },
}

/// All events so far; streams read it from the start.
#[derive(Debug)]
pub(super) struct Journal {
    events: watch::Sender<Vec<MockEvent>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            events: watch::Sender::new(Vec::new()),
        }
    }
}

impl Journal {
    pub(super) fn record(&self, event: MockEvent) {
        self.events.send_modify(|events| events.push(event));
    }

    pub(super) fn stream(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        stream::unfold(
            (self.events.subscribe(), 0),
            |(mut events, next)| async move {
                let event = events
                    .wait_for(|events| events.len() > next)
                    .await
                    .ok()?
                    .get(next)
                    .cloned()?;
                Some((event, (events, next + 1)))
            },
        )
    }
}
