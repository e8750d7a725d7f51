//! How an application gets from its creation to its final state.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::application::{ApplicationSeed, Key, Outcome, change, key};
use super::event::MockEvent;
use super::state::{MockServer, now};
use crate::application::{HealthStatus, SyncStatus};

/// Synchronises an application and brings it to its final state, in the background.
pub(super) fn progress(server: &Arc<MockServer>, wanted: Key, seed: &ApplicationSeed) {
    let (server, seed) = (Arc::clone(server), seed.clone());
    let weak = Arc::downgrade(&server);
    server.spawn(async move {
        sleep(seed.sync_delay / 2).await;
        let Some(server) = weak.upgrade() else { return };
        change(&server, &wanted, |application| {
            begin(application, &seed.outcome)
        });
        drop(server);
        sleep(seed.sync_delay / 2).await;
        let Some(server) = weak.upgrade() else { return };
        change(&server, &wanted, |application| {
            finish_operation(application, &seed.outcome)
        });
        server.journal.record(MockEvent::ApplicationSynced {
            name: wanted.1.clone(),
        });
        drop(server);
        sleep(seed.health_delay).await;
        let Some(server) = weak.upgrade() else { return };
        change(&server, &wanted, |application| {
            stable_for(application, &seed.outcome)
        });
        if seed.outcome == Outcome::Healthy {
            server
                .journal
                .record(MockEvent::ApplicationHealthy { name: wanted.1 });
        }
    });
}

fn begin(application: &mut Value, outcome: &Outcome) {
    if let Some(object) = application.as_object_mut() {
        object.remove("operation");
    }
    let status = &mut application["status"];
    if let Outcome::Condition(kind, message) = outcome {
        status["sync"]["status"] = json!(SyncStatus::Unknown);
        status["health"] = json!({"status": "Healthy", "lastTransitionTime": now()});
        status["conditions"] =
            json!([{"type": kind, "message": message, "lastTransitionTime": now()}]);
        status["reconciledAt"] = json!(now());
        return;
    }
    status["sync"]["status"] = json!(SyncStatus::OutOfSync);
    status["health"] = json!({"status": "Missing", "lastTransitionTime": now()});
    status["reconciledAt"] = json!(now());
    status["operationState"] = json!({
        "operation": {"sync": {"revision": "3f2c"}, "initiatedBy": {"automated": true}, "retry": {"limit": 5}},
        "phase": "Running", "message": "waiting for completion of sync", "startedAt": now(),
    });
}

fn finish_operation(application: &mut Value, outcome: &Outcome) {
    let name = key(application).1;
    let status = &mut application["status"];
    if status.get("operationState").is_none() {
        return;
    }
    let failed = match outcome {
        Outcome::SyncFailed(message) => Some(message.as_str()),
        _ => None,
    };
    let operation = &mut status["operationState"];
    operation["phase"] = json!(if failed.is_some() {
        "Failed"
    } else {
        "Succeeded"
    });
    operation["message"] = json!(failed.unwrap_or("successfully synced (all tasks run)"));
    operation["finishedAt"] = json!(now());
    let sync = if failed.is_some() {
        SyncStatus::OutOfSync
    } else {
        SyncStatus::Synced
    };
    let health = if failed.is_some() {
        "Missing"
    } else {
        "Progressing"
    };
    status["sync"]["status"] = json!(sync);
    status["sync"]["revision"] = json!("3f2c");
    status["health"] = json!({"status": health, "lastTransitionTime": now()});
    status["reconciledAt"] = json!(now());
    status["resources"] = json!([{
        "version": "v1", "group": "apps", "kind": "Deployment", "namespace": "default", "name": name,
        "status": sync, "health": {"status": health},
    }]);
}

fn stable_for(application: &mut Value, outcome: &Outcome) {
    let (health, message) = match outcome {
        Outcome::Healthy => (HealthStatus::Healthy, ""),
        Outcome::Unhealthy(health, message) => (health.clone(), message.as_str()),
        Outcome::SyncFailed(_) | Outcome::Condition(..) => return,
    };
    let status = &mut application["status"];
    let mut state = json!({"status": health, "lastTransitionTime": now()});
    if !message.is_empty() {
        state["message"] = json!(message);
    }
    status["resources"][0]["health"] = state.clone();
    status["health"] = state;
    status["reconciledAt"] = json!(now());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{Application, WaitFor};

    #[test]
    fn an_application_goes_through_the_states_of_the_real_one() {
        let seed = ApplicationSeed::new("{{name}}").for_cluster("lungmen", "https://h:6443");
        let mut application = seed.manifest();
        let read = |application: &Value| -> Application {
            serde_json::from_value(application.clone()).unwrap()
        };
        assert_eq!(read(&application).status.sync.status, SyncStatus::Unset);

        begin(&mut application, &seed.outcome);
        assert_eq!(read(&application).status.sync.status, SyncStatus::OutOfSync);

        finish_operation(&mut application, &seed.outcome);
        assert_eq!(
            read(&application).status.health.status,
            HealthStatus::Progressing
        );
        assert!(!WaitFor::default().judge(&read(&application)).ready);

        stable_for(&mut application, &seed.outcome);
        assert!(WaitFor::default().judge(&read(&application)).ready);
        assert_eq!(read(&application).spec.destination.name, "lungmen");
    }
}
