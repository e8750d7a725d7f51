//! What the mock remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::accounts::Accounts;
use super::application::{ApplicationSeed, Key};
use super::call::Call;
use super::event::Journal;
use super::fault::FaultQueue;
use super::git::{GitRepository, Resource};
use super::policy::Policy;
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

/// Makes the next token of a cluster when its credentials are rotated.
#[derive(Clone)]
pub(super) struct TokenRotation(pub(super) Arc<dyn Fn(TargetProbe) -> Checked + Send + Sync>);

/// What does not change while the mock runs.
pub(super) struct Settings {
    pub(super) version: String,
    pub(super) number: (u64, u64, u64),
    pub(super) root_path: String,
    pub(super) url: String,
    pub(super) anonymous: bool,
    pub(super) monitor_delay: Duration,
    pub(super) controller_delay: Duration,
    /// After this time an application set meets a new cluster, unless a label wakes it up.
    pub(super) set_retry: Duration,
    pub(super) target_check: TargetCheck,
    pub(super) rotation: TokenRotation,
    /// Applications that appear for a registered cluster, by the labels that it must have.
    pub(super) templates: Vec<(BTreeMap<String, String>, ApplicationSeed)>,
    pub(super) repositories: Vec<GitRepository>,
    /// Namespaces outside Argo CD's own that may hold applications, as patterns.
    pub(super) application_namespaces: Vec<String>,
    pub(super) oidc: Option<Value>,
}

impl Settings {
    pub(super) fn repository(&self, url: &str) -> Option<&GitRepository> {
        self.repositories
            .iter()
            .find(|repository| repository.url == url)
    }
}

/// The state of the mock that requests change.
#[derive(Default)]
pub(super) struct ServerState {
    pub(super) accounts: Accounts,
    pub(super) policy: Policy,
    pub(super) clusters: Vec<StoredCluster>,
    pub(super) applications: Vec<Value>,
    /// What applications of known repositories have deployed.
    pub(super) live: HashMap<Key, Vec<Live>>,
    pub(super) namespaces: BTreeSet<String>,
    pub(super) sets: Vec<Value>,
    pub(super) projects: Vec<Value>,
    pub(super) repositories: Vec<Value>,
    pub(super) credential_templates: Vec<Value>,
    pub(super) certificates: Vec<Value>,
    pub(super) keys: Vec<Value>,
    /// Log lines: application, pod, text.
    pub(super) logs: Vec<(String, String, String)>,
    /// Events of Kubernetes about Argo CD's objects.
    pub(super) events: Vec<Value>,
    pub(super) calls: Vec<Call>,
    resource_version: u64,
    identities: u64,
}

/// A resource that is deployed.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) resource: Resource,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) created_at: String,
}

impl ServerState {
    pub(super) fn next_version(&mut self) -> String {
        self.resource_version += 1;
        self.version()
    }

    pub(super) fn version(&self) -> String {
        (100_000 + self.resource_version).to_string()
    }

    pub(super) fn next_uid(&mut self) -> String {
        self.identities += 1;
        format!("00000000-0000-0000-0000-{:012}", self.identities)
    }

    /// Gives a new object what the API server adds: namespace, uid, version, time.
    pub(super) fn born(&mut self, object: &mut Value) {
        let uid = self.next_uid();
        let version = self.next_version();
        let metadata = &mut object["metadata"];
        if metadata["namespace"].as_str().is_none_or(str::is_empty) {
            metadata["namespace"] = json!("argocd");
        }
        metadata["uid"] = json!(uid);
        metadata["resourceVersion"] = json!(version);
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = json!(now());
    }

    /// Counts a change of an object.
    pub(super) fn touched(&mut self, object: &mut Value) {
        let version = self.next_version();
        let generation = object["metadata"]["generation"]
            .as_u64()
            .unwrap_or_default()
            + 1;
        object["metadata"]["resourceVersion"] = json!(version);
        object["metadata"]["generation"] = json!(generation);
    }
}

/// The whole of the mock, shared by its handle and its connections.
pub(super) struct MockServer {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    pub(super) faults: FaultQueue<Route>,
    /// Changes of applications, `(type, application)`, for the open watches.
    pub(super) changes: broadcast::Sender<(&'static str, Value)>,
    /// Changes of application sets.
    pub(super) set_changes: broadcast::Sender<(&'static str, Value)>,
    pub(super) tasks: Mutex<JoinSet<()>>,
    controller_stopped: AtomicBool,
    state: Mutex<ServerState>,
}

impl MockServer {
    pub(super) fn new(settings: Settings, state: ServerState) -> Self {
        Self {
            settings,
            journal: Journal::default(),
            faults: FaultQueue::default(),
            changes: broadcast::Sender::new(WATCH_BUFFER),
            set_changes: broadcast::Sender::new(WATCH_BUFFER),
            tasks: Mutex::new(JoinSet::new()),
            controller_stopped: AtomicBool::new(false),
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

    pub(super) fn stop_controller(&self, stopped: bool) {
        self.controller_stopped.store(stopped, Ordering::SeqCst);
    }

    pub(super) fn controller_is_stopped(&self) -> bool {
        self.controller_stopped.load(Ordering::SeqCst)
    }

    /// Waits for the next turn of the controller; a stopped one takes it when it runs again.
    pub(super) async fn controller_turn(&self) {
        tokio::time::sleep(self.settings.controller_delay).await;
        while self.controller_is_stopped() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The time as the server writes it: RFC 3339 with seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
