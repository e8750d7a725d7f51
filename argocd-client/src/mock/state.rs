//! What the mock remembers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::application::ApplicationSeed;
use super::auth::Accounts;
use super::call::Call;
use super::event::Journal;
use super::fault::FaultQueue;
use super::route::Route;
use super::stored_cluster::StoredCluster;

/// The server drops events of a reader that is this far behind.
const WATCH_BUFFER: usize = 1000;

/// What Argo CD would send to a cluster before it stores it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TargetProbe {
    /// Address of the cluster.
    pub server: String,
    /// Name under which it is registered.
    pub name: String,
    /// Bearer token, if the registration has one.
    pub bearer_token: Option<SecretString>,
    /// CA in PEM, if the registration has one.
    pub ca_pem: Option<String>,
    /// Whether the certificate is not to be checked.
    pub insecure: bool,
    /// Name expected in the certificate, if it is not the host.
    pub tls_server_name: Option<String>,
    /// Whether a client certificate was given too.
    pub has_client_certificate: bool,
}

type Checked = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Answers for the target: its version, or the text of what went wrong.
#[derive(Clone)]
pub(super) struct TargetCheck(pub(super) Arc<dyn Fn(TargetProbe) -> Checked + Send + Sync>);

/// What does not change while the mock runs.
pub(super) struct Settings {
    pub(super) version: String,
    pub(super) number: (u64, u64, u64),
    pub(super) root_path: String,
    pub(super) anonymous: bool,
    pub(super) monitor_delay: Duration,
    pub(super) target_check: TargetCheck,
    /// Applications that appear for a registered cluster, by the labels that it must have.
    pub(super) templates: Vec<(BTreeMap<String, String>, ApplicationSeed)>,
}

#[derive(Default)]
pub(super) struct ServerState {
    pub(super) accounts: Accounts,
    pub(super) denied: HashSet<(String, String)>,
    pub(super) clusters: Vec<StoredCluster>,
    pub(super) applications: Vec<Value>,
    pub(super) documents: HashMap<&'static str, Vec<Value>>,
    pub(super) calls: Vec<Call>,
    resource_version: u64,
}

impl ServerState {
    pub(super) fn next_version(&mut self) -> String {
        self.resource_version += 1;
        (100_000 + self.resource_version).to_string()
    }

    pub(super) fn version(&self) -> String {
        (100_000 + self.resource_version).to_string()
    }
}

/// The whole of the mock, shared by its handle and its connections.
pub(super) struct MockServer {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    pub(super) faults: FaultQueue<Route>,
    /// Changes of applications, `(type, application)`, for the open watches.
    pub(super) changes: broadcast::Sender<(&'static str, Value)>,
    pub(super) tasks: Mutex<JoinSet<()>>,
    state: Mutex<ServerState>,
}

impl MockServer {
    pub(super) fn new(settings: Settings, state: ServerState) -> Self {
        Self {
            settings,
            journal: Journal::default(),
            faults: FaultQueue::default(),
            changes: broadcast::Sender::new(WATCH_BUFFER),
            tasks: Mutex::new(JoinSet::new()),
            state: Mutex::new(state),
        }
    }

    /// A panic of another test thread must not hide the real failure behind a poisoned lock.
    pub(super) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `task` until it ends or the mock is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }

    pub(super) fn is_at_least(&self, version: (u64, u64, u64)) -> bool {
        self.settings.number >= version
    }
}

/// The time as the server writes it: RFC 3339 with seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
