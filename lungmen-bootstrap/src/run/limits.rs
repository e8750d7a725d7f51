//! How much the bootstraps of one process do at a node, a storage and a factory at the same time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proxmox_client::id::{NodeName, StorageName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::services::DurationText;

/// Limits what the bootstraps of one process do at a Proxmox VE node, a storage and an Image Factory at the same time.
///
/// Clones share their limits. Give a clone of one value to the builders of all bootstraps; without one, each bootstrap has
/// limits of its own, which its clones share. Servers are distinguished by the URL of their client, so one value serves any
/// number of Proxmox VE clusters and factories; write the URL of a server in the same way for all of them.
///
/// What has no turn yet waits for it, in the order of asking, and at most as long as the work itself may take; the events
/// say so. The requests themselves are limited by the client: give all clients of one Proxmox VE the same
/// [`proxmox_client::Limiter`].
///
/// ```
/// use lungmen_bootstrap::{Limits, Spec};
///
/// # fn build(first: Spec, second: Spec) {
/// let limits = Limits::new().tasks_per_node(2);
/// let first = first.bootstrap().limits(limits.clone());
/// let second = second.bootstrap().limits(limits);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    tasks_per_node: usize,
    transfers_per_storage: usize,
    downloads_per_factory: usize,
    turns: Arc<Mutex<HashMap<Place, Arc<Semaphore>>>>,
}

/// Something that only so much happens at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// VMs that are created or started on a node.
    Node { proxmox: String, node: NodeName },
    /// Files that arrive on a storage.
    Storage {
        proxmox: String,
        /// `None` for a shared storage, which is one for all nodes.
        node: Option<NodeName>,
        storage: StorageName,
    },
    /// Files that pass through this process: the contacted node writes them in the event loop of a worker, one at a time.
    Uploads { proxmox: String },
    /// Images that come from a factory.
    Factory { factory: String },
}

/// The right to work at a place, until it is dropped.
#[must_use = "the turn ends when this value is dropped"]
#[derive(Debug)]
pub(crate) struct Turn {
    /// A semaphore that is closed grants nothing; none here ever is.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// Four VMs are created or started on each node, one file is stored on each storage, and four images come from each
    /// factory at the same time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks_per_node: 4,
            transfers_per_storage: 1,
            downloads_per_factory: 4,
            turns: Arc::default(),
        }
    }

    /// Sets how many VMs are created or started on each node at the same time; 0 counts as 1. Clones made so far keep their
    /// own limits.
    #[must_use]
    pub fn tasks_per_node(self, limit: usize) -> Self {
        Self {
            tasks_per_node: limit,
            turns: Arc::default(),
            ..self
        }
    }

    /// Sets how many files are stored on each storage at the same time, whether the node downloads them or this process
    /// uploads them; 0 counts as 1. Clones made so far keep their own limits.
    #[must_use]
    pub fn transfers_per_storage(self, limit: usize) -> Self {
        Self {
            transfers_per_storage: limit,
            turns: Arc::default(),
            ..self
        }
    }

    /// Sets how many images come from each factory at the same time, whether nodes or this process download them; 0 counts
    /// as 1. Clones made so far keep their own limits.
    #[must_use]
    pub fn downloads_per_factory(self, limit: usize) -> Self {
        Self {
            downloads_per_factory: limit,
            turns: Arc::default(),
            ..self
        }
    }

    fn limit(&self, place: &Place) -> usize {
        let limit = match place {
            Place::Node { .. } => self.tasks_per_node,
            Place::Storage { .. } => self.transfers_per_storage,
            Place::Uploads { .. } => 1,
            Place::Factory { .. } => self.downloads_per_factory,
        };
        limit.clamp(1, Semaphore::MAX_PERMITS)
    }

    fn semaphore(&self, place: &Place) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limit(place);
        turns
            .entry(place.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(limit)))
            .clone()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    pub(crate) fn node(context: &Context, node: &NodeName) -> Self {
        Self::Node {
            proxmox: proxmox(context),
            node: node.clone(),
        }
    }

    pub(crate) fn storage(
        context: &Context,
        node: Option<&NodeName>,
        storage: &StorageName,
    ) -> Self {
        Self::Storage {
            proxmox: proxmox(context),
            node: node.cloned(),
            storage: storage.clone(),
        }
    }

    pub(crate) fn uploads(context: &Context) -> Self {
        Self::Uploads {
            proxmox: proxmox(context),
        }
    }

    pub(crate) fn factory(context: &Context) -> Self {
        Self::Factory {
            factory: context.clients().factory.offline().endpoint().to_string(),
        }
    }
}

fn proxmox(context: &Context) -> String {
    context.clients().proxmox.endpoint().to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, .. } => write!(f, "node {node}"),
            Self::Storage { node, storage, .. } => match node {
                Some(node) => write!(f, "storage {storage} of node {node}"),
                None => write!(f, "storage {storage}"),
            },
            Self::Uploads { proxmox } => write!(f, "uploads to {proxmox}"),
            Self::Factory { factory } => write!(f, "Image Factory {factory}"),
        }
    }
}

/// Whether somebody in this process works at the place.
pub(crate) fn is_in_use(context: &Context, place: &Place) -> bool {
    let limits = context.limits();
    limits.semaphore(place).available_permits() < limits.limit(place)
}

/// Waits for a turn at the place. Whoever needs several takes them in the order of the variants of [`Place`], so that nobody
/// waits for somebody who waits for them.
///
/// # Errors
/// `Deadline` when others had all turns for the whole time. Nothing was sent.
pub(crate) async fn turn(context: &Context, place: &Place, deadline: Duration) -> Result<Turn> {
    let limits = context.limits();
    let semaphore = limits.semaphore(place);
    if let Ok(permit) = Arc::clone(&semaphore).try_acquire_owned() {
        return Ok(Turn {
            _permit: Some(permit),
        });
    }
    let started = Instant::now();
    let cause = format!("the limit is {} at a time", limits.limit(place));
    context.emit(EventKind::Waiting {
        waiting_for: format!("a turn at {place}"),
        cause: cause.clone(),
        attempt: 1,
        elapsed: Duration::ZERO,
        deadline,
    });
    match timeout(deadline, semaphore.acquire_owned()).await {
        Ok(permit) => {
            tracing::debug!(%place, waited = ?started.elapsed(), "turn");
            Ok(Turn {
                _permit: permit.ok(),
            })
        }
        Err(_) => Err(Error::new(ErrorKind::Deadline, "wait for a turn")
            .with_target(place.to_string())
            .with_message(format!(
                "no turn within {}: other bootstraps of this process work there, and {cause}",
                DurationText(deadline)
            ))
            .with_hint("Raise the limit, or the deadline of this work.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(proxmox: &str, node: &str) -> Place {
        Place::Node {
            proxmox: proxmox.to_owned(),
            node: node.parse().unwrap(),
        }
    }

    fn take(limits: &Limits, place: &Place) -> Option<OwnedSemaphorePermit> {
        limits.semaphore(place).try_acquire_owned().ok()
    }

    #[test]
    fn clones_share_the_turns_of_a_node_and_other_nodes_have_their_own() {
        let limits = Limits::new().tasks_per_node(1);
        let clone = limits.clone();
        let held = take(&limits, &node("https://a:8006", "pve-01"));

        assert!(held.is_some());
        assert!(take(&clone, &node("https://a:8006", "pve-01")).is_none());
        assert!(take(&clone, &node("https://a:8006", "pve-02")).is_some());
        assert!(take(&clone, &node("https://b:8006", "pve-01")).is_some());
        drop(held);
        assert!(take(&clone, &node("https://a:8006", "pve-01")).is_some());
    }

    #[test]
    fn a_limit_of_nothing_is_one() {
        let limits = Limits::new().tasks_per_node(0);

        assert!(take(&limits, &node("https://a:8006", "pve-01")).is_some());
    }
}
