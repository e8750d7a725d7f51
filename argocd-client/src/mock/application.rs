//! Applications that make their way to health by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::event::MockEvent;
use super::lifecycle::progress;
use super::state::{MockServer, ServerState};
use crate::application::HealthStatus;

/// How an application ends up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Healthy,
    Unhealthy(HealthStatus, String),
    SyncFailed(String),
    Condition(String, String),
}

/// An application to add, or a template for one that appears with a cluster.
///
/// It starts without a status, is synchronised after the first delay and reaches its final health
/// after the second. In a template, `{{name}}` and `{{server}}` stand for the cluster, as in the
/// cluster generator of an application set.
#[derive(Debug, Clone)]
#[must_use = "a seed does nothing until it is added"]
pub struct ApplicationSeed {
    name: String,
    namespace: String,
    project: String,
    labels: BTreeMap<String, String>,
    destination: (&'static str, String),
    pub(super) outcome: Outcome,
    pub(super) sync_delay: Duration,
    pub(super) health_delay: Duration,
}

impl ApplicationSeed {
    /// An application that targets the cluster named `{{name}}` and becomes healthy soon.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: "argocd".to_owned(),
            project: "default".to_owned(),
            labels: BTreeMap::new(),
            destination: ("name", "{{name}}".to_owned()),
            outcome: Outcome::Healthy,
            sync_delay: Duration::from_millis(10),
            health_delay: Duration::from_millis(10),
        }
    }

    /// Namespace of the application object; `argocd` by default.
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Project; `default` by default.
    pub fn in_project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Targets a cluster by its name.
    pub fn on_cluster(mut self, name: impl Into<String>) -> Self {
        self.destination = ("name", name.into());
        self
    }

    /// Targets a cluster by its address.
    pub fn on_server(mut self, server: impl Into<String>) -> Self {
        self.destination = ("server", server.into());
        self
    }

    /// How long it takes to be synchronised, and then to become healthy.
    pub fn delays(mut self, sync: Duration, health: Duration) -> Self {
        self.sync_delay = sync;
        self.health_delay = health;
        self
    }

    /// Ends with another health than `Healthy`.
    pub fn ends_as(mut self, health: HealthStatus, message: impl Into<String>) -> Self {
        self.outcome = Outcome::Unhealthy(health, message.into());
        self
    }

    /// Its operation fails and leaves it out of sync.
    pub fn fails_to_sync(mut self, message: impl Into<String>) -> Self {
        self.outcome = Outcome::SyncFailed(message.into());
        self
    }

    /// It cannot be compared: a condition such as `ComparisonError` says why.
    pub fn has_condition(mut self, kind: impl Into<String>, message: impl Into<String>) -> Self {
        self.outcome = Outcome::Condition(kind.into(), message.into());
        self
    }

    /// The specification of the application, for the template of an application set.
    pub(super) fn template(&self) -> Value {
        let mut manifest = self.manifest();
        json!({
            "metadata": {"name": manifest["metadata"]["name"].take(), "labels": manifest["metadata"]["labels"].take()},
            "spec": manifest["spec"].take(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn for_cluster(&self, name: &str, server: &str) -> Self {
        let fill = |text: &str| text.replace("{{name}}", name).replace("{{server}}", server);
        Self {
            name: fill(&self.name),
            labels: self
                .labels
                .iter()
                .map(|(key, value)| (key.clone(), fill(value)))
                .collect(),
            destination: (self.destination.0, fill(&self.destination.1)),
            ..self.clone()
        }
    }

    /// The application as it is before its first reconciliation.
    pub(super) fn manifest(&self) -> Value {
        json!({
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": self.labels,
            },
            "spec": {
                "source": {"repoURL": "https://git.example.com/r.git", "path": self.name, "targetRevision": "HEAD"},
                "destination": {self.destination.0: self.destination.1, "namespace": "default"},
                "project": self.project,
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
            },
            "status": fresh_status(),
        })
    }
}

/// What the API shows of an application that the controller has not seen yet.
pub(super) fn fresh_status() -> Value {
    json!({
        "sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}},
        "health": {}, "summary": {}, "sourceHydrator": {},
    })
}

/// Which application: namespace and name.
pub(super) type Key = (String, String);

pub(super) fn key(application: &Value) -> Key {
    let text = |field: &str| {
        application["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

/// The object of RBAC: `project/name`, with the namespace between them outside Argo CD's own.
pub(super) fn rbac_name(project: &str, (namespace, name): &Key) -> String {
    if namespace == CONTROL_PLANE {
        format!("{project}/{name}")
    } else {
        format!("{project}/{namespace}/{name}")
    }
}

/// The namespace of Argo CD itself.
pub(super) const CONTROL_PLANE: &str = "argocd";

impl ServerState {
    pub(super) fn application(&mut self, wanted: &Key) -> Option<&mut Value> {
        self.applications
            .iter_mut()
            .find(|application| key(application) == *wanted)
    }

    /// How many applications target a cluster.
    pub(super) fn applications_of(&self, server: &str, name: &str) -> usize {
        self.applications
            .iter()
            .filter(|application| targets(application, server, name))
            .count()
    }
}

pub(super) fn targets(application: &Value, server: &str, name: &str) -> bool {
    let destination = &application["spec"]["destination"];
    match destination["server"].as_str() {
        Some(given) => given.trim_end_matches('/') == server,
        None => destination["name"] == name,
    }
}

/// Adds an application and starts its life cycle.
pub(super) fn add(server: &Arc<MockServer>, seed: &ApplicationSeed) {
    let manifest = seed.manifest();
    insert(server, manifest.clone());
    progress(server, key(&manifest), seed);
}

/// Stores an application and tells the watches.
pub(super) fn insert(server: &MockServer, mut application: Value) -> Value {
    let mut state = server.state();
    state.born(&mut application);
    state.applications.push(application.clone());
    let name = key(&application).1;
    drop(state);
    server
        .journal
        .record(MockEvent::ApplicationCreated { name });
    // Nobody may be watching.
    let _ = server.changes.send(("ADDED", application.clone()));
    application
}

/// Changes an application, if it is still there, and tells the watches.
pub(super) fn change(
    server: &MockServer,
    wanted: &Key,
    edit: impl FnOnce(&mut Value),
) -> Option<Value> {
    let mut state = server.state();
    let mut application = state.application(wanted)?.clone();
    edit(&mut application);
    state.touched(&mut application);
    *state.application(wanted)? = application.clone();
    drop(state);
    let _ = server.changes.send(("MODIFIED", application.clone()));
    Some(application)
}

/// Removes an application and tells the watches.
pub(super) fn remove(server: &MockServer, wanted: &Key) {
    let mut state = server.state();
    let Some(index) = state
        .applications
        .iter()
        .position(|application| key(application) == *wanted)
    else {
        return;
    };
    let removed = state.applications.remove(index);
    state.live.remove(wanted);
    drop(state);
    server.journal.record(MockEvent::ApplicationDeleted {
        name: wanted.1.clone(),
    });
    let _ = server.changes.send(("DELETED", removed));
}
