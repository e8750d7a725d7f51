//! How much work a node and a storage get at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::id::{NodeName, StorageName};

/// Limits the requests that a node gets at the same time, and the large writes that a storage gets.
///
/// Clones share their limits. Give the same limiter to all clients of one process that talk to the same cluster; a client
/// without one has its own. Clusters with nodes of the same names need a limiter each.
///
/// A node has three workers, and each request occupies one until its response is complete (pve-http-server 6.0.5 and
/// 5.2.2). A call for another node than the contacted one occupies a worker of both, and counts for both. A storage has one
/// lock for all that allocates on it, for which a task waits 60 s at most and then fails.
///
/// ```
/// use proxmox_client::{Limiter, id::StorageName};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let limiter = Limiter::new().writes_per_storage(2);
/// let turn = limiter.storage_turn(&"pve-01".parse()?, &StorageName::new("nvme-lvm")?).await;
/// // Clone a VM, and wait for its task.
/// drop(turn);
/// # Ok::<(), proxmox_client::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Limiter {
    requests: Arc<Turns<String>>,
    uploads: Arc<Turns<String>>,
    writes: Arc<Turns<(String, String)>>,
}

/// The right to write to a storage, until it is dropped.
#[must_use = "the turn ends when this value is dropped"]
#[derive(Debug)]
pub struct StorageTurn {
    _permit: Permit,
}

/// Nothing is granted by a semaphore that was closed; none here ever is.
type Permit = Option<OwnedSemaphorePermit>;

/// The permits of one request: that of the node that does the work, and that of the node that was contacted.
pub(crate) struct RequestTurn {
    _node: Permit,
    _contacted: Permit,
}

/// The permits of one upload.
pub(crate) struct UploadTurn {
    _storage: Permit,
    _contacted: Permit,
}

impl Limiter {
    /// Four requests for each node, one write for each storage.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Turns::new(4),
            uploads: Turns::new(1),
            writes: Turns::new(1),
        }
    }

    /// Sets how many requests each node gets at the same time; 0 counts as 1. Set it before the limiter is cloned: the
    /// clones made so far keep their own limit.
    #[must_use]
    pub fn requests_per_node(self, limit: usize) -> Self {
        Self {
            requests: Turns::new(limit),
            ..self
        }
    }

    /// Sets how many writes each storage gets at the same time; 0 counts as 1. Set it before the limiter is cloned: the
    /// clones made so far keep their own limit.
    #[must_use]
    pub fn writes_per_storage(self, limit: usize) -> Self {
        Self {
            writes: Turns::new(limit),
            ..self
        }
    }

    /// Waits for a turn to write to the storage as this node sees it; the turn ends when the value is dropped.
    ///
    /// Uploads wait for their turn themselves, so an upload must not be called with a turn in hand. What works in a task
    /// (creating, cloning and moving disks) goes on after its response: hold a turn until the task has ended. Turns are
    /// given in the order in which they were asked for. Nothing is sent.
    pub async fn storage_turn(&self, node: &NodeName, storage: &StorageName) -> StorageTurn {
        StorageTurn {
            _permit: self.write(node.as_str(), storage.as_str()).await,
        }
    }

    /// A turn for a request to the server at `contacted` that `node` answers. What is waited for last is what every
    /// request needs, so that nobody holds it while they wait.
    pub(crate) async fn request_turn(&self, node: Option<&str>, contacted: &str) -> RequestTurn {
        RequestTurn {
            _node: match node {
                Some(node) => self.requests.next(node.to_owned()).await,
                None => None,
            },
            _contacted: self.requests.next(contacted.to_owned()).await,
        }
    }

    /// A turn for an upload. The contacted node writes it inside the event loop of a worker: one at a time.
    pub(crate) async fn upload_turn(
        &self,
        node: &str,
        storage: &str,
        contacted: &str,
    ) -> UploadTurn {
        UploadTurn {
            _storage: self.write(node, storage).await,
            _contacted: self.uploads.next(contacted.to_owned()).await,
        }
    }

    async fn write(&self, node: &str, storage: &str) -> Permit {
        self.writes
            .next((node.to_owned(), storage.to_owned()))
            .await
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

/// A semaphore for each key, made when the key is first asked for.
#[derive(Debug)]
struct Turns<K> {
    limit: usize,
    known: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: std::hash::Hash + Eq> Turns<K> {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.clamp(1, Semaphore::MAX_PERMITS),
            known: Mutex::default(),
        })
    }

    async fn next(&self, key: K) -> Permit {
        self.semaphore(key).acquire_owned().await.ok()
    }

    fn semaphore(&self, key: K) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with(|| Arc::new(Semaphore::new(self.limit)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const A: &str = "https://a:8006";
    const B: &str = "https://b:8006";

    #[test]
    fn clones_share_the_limit_of_a_node() {
        let limiter = Limiter::new().requests_per_node(2);
        let clone = limiter.clone();
        let first = limiter.request_turn(Some("pve-01"), A).now_or_never();
        let second = clone.request_turn(Some("pve-01"), B).now_or_never();

        assert!(first.is_some() && second.is_some());
        assert!(
            limiter
                .request_turn(Some("pve-01"), A)
                .now_or_never()
                .is_none()
        );
        assert!(
            limiter
                .request_turn(Some("pve-02"), A)
                .now_or_never()
                .is_some()
        );
        drop(second);
        assert!(
            limiter
                .request_turn(Some("pve-01"), A)
                .now_or_never()
                .is_some()
        );
    }

    #[test]
    fn the_contacted_node_has_the_same_limit() {
        let limiter = Limiter::new().requests_per_node(1);
        let held = limiter.request_turn(None, A).now_or_never();

        assert!(
            limiter
                .request_turn(Some("pve-02"), A)
                .now_or_never()
                .is_none()
        );
        assert!(
            limiter
                .request_turn(Some("pve-02"), B)
                .now_or_never()
                .is_some()
        );
        drop(held);
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let limiter = Limiter::new().requests_per_node(1);
        let held = limiter.request_turn(None, A).now_or_never();
        for _ in 0..100 {
            let given_up = limiter.request_turn(Some("pve-02"), A).now_or_never();
            assert!(given_up.is_none());
        }
        drop(held);

        assert!(
            limiter
                .request_turn(Some("pve-02"), A)
                .now_or_never()
                .is_some()
        );
    }

    #[test]
    fn an_upload_has_the_storage_and_the_contacted_node_for_itself() {
        let limiter = Limiter::new();
        let held = limiter.upload_turn("pve-01", "local", A).now_or_never();
        let may = |node, storage, contacted| {
            let turn = limiter.upload_turn(node, storage, contacted);
            turn.now_or_never().is_some()
        };

        assert!(held.is_some());
        assert!(!may("pve-01", "local", B));
        assert!(!may("pve-02", "local", A));
        assert!(may("pve-02", "local", B));
        assert!(may("pve-01", "other", B));
    }

    #[test]
    fn a_limit_of_nothing_is_a_limit_of_one() {
        let limiter = Limiter::new().requests_per_node(0);

        assert!(limiter.request_turn(None, A).now_or_never().is_some());
    }
}
