//! The application controller: it compares applications of known repositories with what is deployed,
//! and starts automatic synchronisations.

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::{ApplicationSeed, Key, change};
use super::git::Resource;
use super::lifecycle::progress;
use super::operation;
use super::record::{Component, record};
use super::state::{Live, MockServer, ServerState, now};

/// Lets the controller see a new or changed application.
pub(super) fn start(server: &Arc<MockServer>, wanted: Key) {
    let weak = Arc::downgrade(server);
    let known = is_known(server, &wanted);
    if !known {
        take_refresh(server, &wanted);
        let automated = server
            .state()
            .application(&wanted)
            .is_some_and(|application| application["spec"]["syncPolicy"]["automated"].is_object());
        if automated {
            progress(server, wanted, &ApplicationSeed::new(""));
        }
        return;
    }
    server.spawn(async move {
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        take_refresh(&server, &wanted);
        compare(&server, &wanted);
        if wants_automatic_sync(&server, &wanted) {
            operation::run_automatic(&server, &wanted).await;
        }
    });
}

/// A refresh by annotation is taken by the controller, which removes it and leaves its own.
fn take_refresh(server: &MockServer, wanted: &Key) {
    const REFRESH: &str = "/metadata/annotations/argocd.argoproj.io~1refresh";
    let asked = server
        .state()
        .application(wanted)
        .is_some_and(|application| application.pointer(REFRESH).is_some());
    if !asked {
        return;
    }
    change(server, wanted, |application| {
        let annotations = &mut application["metadata"]["annotations"];
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove("argocd.argoproj.io/refresh");
        }
        annotations["argocd.argoproj.io/hydrate"] = json!("normal");
    });
}

/// Whether the mock knows the repository of an application.
pub(super) fn is_known(server: &MockServer, wanted: &Key) -> bool {
    let mut state = server.state();
    state.application(wanted).is_some_and(|application| {
        let url = application["spec"]["source"]["repoURL"]
            .as_str()
            .unwrap_or_default();
        server.settings.repository(url).is_some()
    })
}

fn wants_automatic_sync(server: &MockServer, wanted: &Key) -> bool {
    let mut state = server.state();
    let Some(application) = state.application(wanted) else {
        return false;
    };
    application["spec"]["syncPolicy"]["automated"].is_object()
        && application["status"]["sync"]["status"] == "OutOfSync"
        && application["status"]["operationState"].is_null()
}

/// The resources that an application wants, in the order of the repository.
pub(super) fn resources(server: &MockServer, application: &Value) -> Vec<Resource> {
    let source = &application["spec"]["source"];
    let text = |field: &str| source[field].as_str().unwrap_or_default();
    let namespace = application["spec"]["destination"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let manifests = server
        .settings
        .repository(text("repoURL"))
        .and_then(|repository| repository.manifests(text("path")).ok());
    manifests
        .into_iter()
        .flatten()
        .map(|manifest| Resource::of(manifest, namespace))
        .collect()
}

/// Computes the status of an application and stores it.
pub(super) fn compare(server: &MockServer, wanted: &Key) {
    let mut state = server.state();
    let Some(application) = state.application(wanted).cloned() else {
        return;
    };
    let source = &application["spec"]["source"];
    let url = source["repoURL"].as_str().unwrap_or_default();
    if server.settings.repository(url).is_none() {
        drop(state);
        change(server, wanted, |application| {
            application["status"]["reconciledAt"] = json!(now());
        });
        return;
    }
    let before = application["status"]["sync"]["status"].clone();
    let status = status(server, &state, &application, wanted);
    drop(state);
    let after = status["sync"]["status"].clone();
    let changed = change(server, wanted, |application| {
        for (field, value) in status.as_object().into_iter().flatten() {
            application["status"][field] = value.clone();
        }
    });
    if let Some(changed) = changed
        && before != after
    {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message = format!("Updated sync status: {} -> {}", text(&before), text(&after));
        record(
            server,
            &changed,
            Component::Controller,
            "ResourceUpdated",
            &message,
        );
    }
}

fn status(server: &MockServer, state: &ServerState, application: &Value, wanted: &Key) -> Value {
    let source = &application["spec"]["source"];
    let url = source["repoURL"].as_str().unwrap_or_default();
    let repository = server.settings.repository(url);
    let revision = repository
        .and_then(|repository| {
            let name = source["targetRevision"].as_str().unwrap_or_default();
            repository.resolve(name).ok()
        })
        .unwrap_or_default();
    let nothing = Vec::new();
    let live = state.live.get(wanted).unwrap_or(&nothing);
    let resources = resources(server, application);
    let mut shown = Vec::new();
    let mut healths = Vec::new();
    let mut images = Vec::new();
    for resource in &resources {
        let deployed = is_deployed(live, resource);
        let health = if deployed {
            repository.and_then(|repository| repository.health_of(resource))
        } else {
            Some(json!({"status": "Missing"}))
        };
        if deployed {
            images.extend(resource.images());
        }
        if let Some(health) = &health {
            healths.push(health["status"].as_str().unwrap_or_default().to_owned());
        }
        shown.push(row(resource, deployed, health));
    }
    let in_sync = resources.iter().all(|resource| is_deployed(live, resource));
    let mut status = json!({
        "resources": shown,
        "sync": {
            "status": if in_sync { "Synced" } else { "OutOfSync" },
            "comparedTo": {"source": source, "destination": application["spec"]["destination"]},
            "revision": revision,
        },
        "health": {"status": worst(&healths), "lastTransitionTime": now()},
        "reconciledAt": now(),
        "sourceType": "Directory",
        "summary": {},
        "controllerNamespace": "argocd",
        "sourceHydrator": {},
    });
    if server.is_at_least((3, 0, 0)) {
        status["resourceHealthSource"] = json!("appTree");
    }
    if !images.is_empty() {
        status["summary"]["images"] = json!(images);
    }
    status
}

pub(super) fn is_deployed(live: &[Live], resource: &Resource) -> bool {
    live.iter().any(|live| {
        live.resource.is(
            &resource.group,
            &resource.kind,
            &resource.namespace,
            &resource.name,
        )
    })
}

fn row(resource: &Resource, deployed: bool, health: Option<Value>) -> Value {
    let mut row = json!({
        "version": resource.version, "kind": resource.kind, "namespace": resource.namespace, "name": resource.name,
        "status": if deployed { "Synced" } else { "OutOfSync" },
    });
    if !resource.group.is_empty() {
        row["group"] = json!(resource.group);
    }
    if let Some(health) = health {
        row["health"] = health;
    }
    row
}

/// The health of the whole: the worst of its resources, in the order of `controller/health.go`.
fn worst(healths: &[String]) -> &str {
    const ORDER: [&str; 6] = [
        "Healthy",
        "Suspended",
        "Progressing",
        "Missing",
        "Degraded",
        "Unknown",
    ];
    let rank = |health: &str| ORDER.iter().position(|known| *known == health).unwrap_or(5);
    let worst = healths.iter().map(|health| rank(health)).max();
    ORDER[worst.unwrap_or_default()]
}
