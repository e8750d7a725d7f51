//! When an application counts as ready: the rules of `argocd app wait`, without I/O.

use super::model::Application;
use super::reference::AppRef;
use super::report::ReadinessRow;
use super::selected::{ResourceSelector, is_selected};
use super::status::{ApplicationStatus, HealthStatus, SyncStatus};
use super::wait::final_failure;

/// What must hold. The default is that of `argocd app wait` without flags: synced, healthy, and no
/// operation pending.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "conditions do nothing until something is waited for"]
pub struct WaitFor {
    sync: bool,
    operation: bool,
    hydrated: bool,
    health: Vec<HealthStatus>,
    resources: Vec<ResourceSelector>,
}

impl Default for WaitFor {
    fn default() -> Self {
        Self {
            sync: true,
            operation: true,
            hydrated: false,
            health: vec![HealthStatus::Healthy],
            resources: Vec::new(),
        }
    }
}

impl WaitFor {
    /// Nothing yet; add what must hold.
    pub fn nothing() -> Self {
        Self {
            sync: false,
            operation: false,
            hydrated: false,
            health: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// The cluster holds what the source says.
    pub fn synced(mut self) -> Self {
        self.sync = true;
        self
    }

    /// No operation is requested or running, and the status was computed after the last one.
    pub fn operation_finished(mut self) -> Self {
        self.operation = true;
        self
    }

    /// The source hydrator is done with its last operation. An application without one never is.
    pub fn hydrated(mut self) -> Self {
        self.hydrated = true;
        self
    }

    /// Healthy is good enough. With the other health conditions, any of them is.
    pub fn healthy(self) -> Self {
        self.or_health(HealthStatus::Healthy)
    }

    /// Suspended is good enough too.
    pub fn suspended(self) -> Self {
        self.or_health(HealthStatus::Suspended)
    }

    /// Degraded is good enough too.
    pub fn degraded(self) -> Self {
        self.or_health(HealthStatus::Degraded)
    }

    /// Looks at these resources instead of the whole application; with several calls at all that they select. Lists do not
    /// have the health of resources (3.0 and later), so this is for waits for one application.
    ///
    /// A resource without a notion of health counts as healthy; `argocd` 3.5.1 waits for it for ever.
    pub fn resource(mut self, selector: ResourceSelector) -> Self {
        self.resources.push(selector);
        self
    }

    /// Sync and health of the selected resources: whether both hold, and why not.
    fn judge_resources(&self, status: &ApplicationStatus) -> Result<(), String> {
        let mut selected = status
            .resources
            .iter()
            .filter(|resource| is_selected(&self.resources, resource))
            .peekable();
        if selected.peek().is_none() {
            return Err("none of its resources is selected".to_owned());
        }
        for resource in selected {
            if self.sync && resource.status != SyncStatus::Synced {
                return Err(format!("{resource} is {}", resource.status.as_str()));
            }
            let health = resource.health.as_ref().map(|health| &health.status);
            if let Some(health) = health
                && !self.health.is_empty()
                && !self.health.contains(health)
            {
                return Err(format!("{resource} is {}", health.as_str()));
            }
        }
        Ok(())
    }

    fn or_health(mut self, status: HealthStatus) -> Self {
        if !self.health.contains(&status) {
            self.health.push(status);
        }
        self
    }

    pub(super) fn wants_health(&self) -> bool {
        self.health.contains(&HealthStatus::Healthy)
    }

    /// Judges an application as the server shows it.
    #[must_use]
    pub fn judge(&self, application: &Application) -> ReadinessRow {
        let status = &application.status;
        let whole = self.resources.is_empty();
        let of_resources = if whole {
            Ok(())
        } else {
            self.judge_resources(status)
        };
        let health_holds =
            !whole || self.health.is_empty() || self.health.contains(&status.health.status);
        let sync_holds = !whole || !self.sync || status.sync.status == SyncStatus::Synced;
        let operation_holds =
            !self.operation || (application.operation.is_none() && !in_progress(application));
        let hydrated = !self.hydrated || status.source_hydrator.is_finished();
        // A deleted application keeps its last status until its finalizers are done.
        let deleting = application.metadata.deletion_timestamp.is_some();
        let reference = AppRef::from(application);
        let operation = status.operation_state.as_ref();
        ReadinessRow {
            name: reference.name,
            namespace: reference.namespace.unwrap_or_default(),
            project: reference.project.unwrap_or_default(),
            sync: status.sync.status.clone(),
            health: status.health.status.clone(),
            operation: operation
                .map(|state| state.phase.clone())
                .unwrap_or_default(),
            ready: health_holds
                && sync_holds
                && of_resources.is_ok()
                && operation_holds
                && hydrated
                && !deleting,
            message: match of_resources {
                _ if deleting => "the application is being deleted".to_owned(),
                Err(why) => why,
                Ok(()) if !hydrated => hydration(status),
                Ok(()) => reason(application),
            },
            failed: final_failure(application).is_some(),
        }
    }
}

/// Whether an operation runs, or the status is older than its end.
pub(super) fn in_progress(application: &Application) -> bool {
    if application.operation.is_some() {
        return true;
    }
    let Some(state) = &application.status.operation_state else {
        return false;
    };
    let Some(finished) = state.finished_at else {
        return true;
    };
    !state.is_dry_run()
        && application
            .status
            .reconciled_at
            .is_none_or(|reconciled| reconciled < finished)
}

/// Why the source hydrator is not done.
fn hydration(status: &ApplicationStatus) -> String {
    match &status.source_hydrator.current_operation {
        None => "the source hydrator has done nothing yet".to_owned(),
        Some(current) if current.message.is_empty() => {
            format!("the source hydrator is {}", current.phase)
        }
        Some(current) => format!(
            "the source hydrator is {}: {}",
            current.phase, current.message
        ),
    }
}

/// The most important message: a blocking condition, then the last failure, then a degraded resource.
fn reason(application: &Application) -> String {
    let status = &application.status;
    if let Some(condition) = status
        .conditions
        .iter()
        .find(|condition| condition.is_error())
    {
        return format!("{}: {}", condition.kind, condition.message);
    }
    if let Some(state) = &status.operation_state
        && (state.phase.is_failure() || state.finished_at.is_none())
        && !state.message.is_empty()
    {
        return state.message.clone();
    }
    if !status.health.message.is_empty() {
        return status.health.message.clone();
    }
    let unwell = status.resources.iter().find_map(|resource| {
        let health = resource.health.as_ref()?;
        (health.status == HealthStatus::Degraded).then(|| format!("{resource}: {}", health.message))
    });
    let differing = || {
        let resource = status
            .resources
            .iter()
            .find(|resource| resource.status == SyncStatus::OutOfSync)?;
        Some(format!("{resource} is out of sync"))
    };
    unwell.or_else(differing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn application(status: Value) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "cilium", "namespace": "argocd"},
            "spec": {"project": "default", "destination": {"name": "lungmen"}},
            "status": status,
        }))
        .unwrap()
    }

    fn healthy(operation: Value, reconciled: &str) -> Application {
        application(json!({
            "sync": {"status": "Synced"}, "health": {"status": "Healthy"},
            "operationState": operation, "reconciledAt": reconciled,
        }))
    }

    #[test]
    fn synced_healthy_and_reconciled_after_the_operation_is_ready() {
        let operation = json!({"phase": "Succeeded", "startedAt": "2025-08-20T10:01:10Z", "finishedAt": "2025-08-20T10:01:20Z"});

        assert!(
            WaitFor::default()
                .judge(&healthy(operation.clone(), "2025-08-20T10:03:05Z"))
                .ready
        );
        assert!(
            !WaitFor::default()
                .judge(&healthy(operation.clone(), "2025-08-20T10:01:15Z"))
                .ready
        );
        let without_operation = WaitFor::nothing().synced().healthy();
        assert!(
            without_operation
                .judge(&healthy(operation, "2025-08-20T10:01:15Z"))
                .ready
        );
    }

    #[test]
    fn an_application_that_is_being_deleted_is_never_ready() {
        let mut application = healthy(Value::Null, "2025-08-20T10:03:05Z");
        assert!(WaitFor::default().judge(&application).ready);

        application.metadata.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH);

        let row = WaitFor::default().judge(&application);
        assert!(!row.ready);
        assert_eq!(row.message, "the application is being deleted");
    }

    #[test]
    fn a_stale_status_after_a_dry_run_does_not_matter() {
        let operation = json!({"phase": "Succeeded", "finishedAt": "2025-08-20T10:01:20Z", "operation": {"sync": {"dryRun": true}}});

        assert!(
            WaitFor::default()
                .judge(&healthy(operation, "2025-08-20T10:00:00Z"))
                .ready
        );
    }

    #[test]
    fn a_requested_or_running_operation_is_waited_for() {
        let running = json!({"phase": "Running", "startedAt": "2025-08-20T10:01:10Z", "message": "waiting for hooks"});
        let row = WaitFor::default().judge(&healthy(running, "2025-08-20T10:03:05Z"));
        assert!(!row.ready);
        assert_eq!(row.message, "waiting for hooks");

        let mut requested = healthy(Value::Null, "2025-08-20T10:03:05Z");
        assert!(WaitFor::default().judge(&requested).ready);
        requested.operation = Some(json!({"sync": {}}));
        assert!(!WaitFor::default().judge(&requested).ready);
    }

    #[test]
    fn a_hydration_is_waited_for_where_it_is_asked_for() {
        let status = |phase: &str| {
            json!({
                "sync": {"status": "Synced"}, "health": {"status": "Healthy"},
                "sourceHydrator": {
                    "currentOperation": {"phase": phase, "message": "m", "drySHA": "a"},
                    "lastSuccessfulOperation": {"drySHA": "a"},
                },
            })
        };
        let wait = WaitFor::default().hydrated();

        assert!(wait.judge(&application(status("Hydrated"))).ready);
        let row = wait.judge(&application(status("Hydrating")));
        assert!(!row.ready);
        assert_eq!(row.message, "the source hydrator is Hydrating: m");
        assert!(
            WaitFor::default()
                .judge(&application(status("Hydrating")))
                .ready
        );
    }

    #[test]
    fn any_of_the_wanted_health_states_is_enough() {
        let suspended =
            application(json!({"sync": {"status": "Synced"}, "health": {"status": "Suspended"}}));

        assert!(!WaitFor::default().judge(&suspended).ready);
        assert!(WaitFor::default().suspended().judge(&suspended).ready);
    }

    #[test]
    fn selected_resources_are_judged_instead_of_the_whole() {
        let resource = |name: &str, sync: &str, health: Value| json!({"group": "apps", "kind": "Deployment", "namespace": "a", "name": name, "status": sync, "health": health});
        let application = application(json!({
            "sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"},
            "resources": [
                resource("web", "Synced", json!({"status": "Healthy"})),
                resource("plain", "Synced", Value::Null),
                resource("db", "Synced", json!({"status": "Progressing"})),
            ],
        }));
        let wait = |selector: &str| WaitFor::default().resource(selector.parse().unwrap());

        assert!(wait("apps:Deployment:web").judge(&application).ready);
        assert!(wait("apps:Deployment:plain").judge(&application).ready);
        let db = wait("apps:Deployment:*").judge(&application);
        assert!(!db.ready);
        assert_eq!(db.message, "Deployment/db is Progressing");
        let nothing = wait("apps:Deployment:nope").judge(&application);
        assert!(!nothing.ready);
        assert_eq!(nothing.message, "none of its resources is selected");
    }

    #[test]
    fn the_message_prefers_what_stops_the_application() {
        let row = WaitFor::default().judge(&application(json!({
            "sync": {"status": "Unknown"}, "health": {"status": "Healthy", "message": "x"},
            "conditions": [
                {"type": "OrphanedResourceWarning", "message": "w"},
                {"type": "InvalidSpecError", "message": "there are no clusters with this name: lungmen"},
            ],
        })));

        assert_eq!(
            row.message,
            "InvalidSpecError: there are no clusters with this name: lungmen"
        );
        assert_eq!(
            row.to_string(),
            "cilium is Unknown, Healthy: InvalidSpecError: there are no clusters with this name: lungmen"
        );
    }
}
