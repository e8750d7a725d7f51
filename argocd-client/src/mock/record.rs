//! The events of Kubernetes that Argo CD writes about its own objects.

use serde_json::{Value, json};

use super::policy::Caller;
use super::state::{MockServer, now};

/// Who writes an event.
pub(super) enum Component<'a> {
    /// The API server, for an account.
    Server(&'a Caller),
    Controller,
    SetController,
}

/// Writes an event about an object.
pub(super) fn record(
    server: &MockServer,
    object: &Value,
    component: Component<'_>,
    reason: &str,
    message: &str,
) {
    let kind = kind_of(object);
    let (name, mut annotations) = match &component {
        Component::Server(caller) => ("argocd-server", json!({"user": caller.name()})),
        Component::Controller => ("argocd-application-controller", json!({})),
        Component::SetController => ("applicationset-controller", json!({})),
    };
    let destination = &object["spec"]["destination"];
    if kind == "Application" {
        annotations["dest-namespace"] =
            json!(destination["namespace"].as_str().unwrap_or_default());
        annotations["dest-server"] = json!(destination["server"].as_str().unwrap_or_default());
    } else if kind == "AppProject" {
        annotations = json!({});
    }
    let metadata = &object["metadata"];
    let mut state = server.state();
    let mut event = json!({
        "metadata": {
            "name": format!("{}.{:016x}", metadata["name"].as_str().unwrap_or_default(), state.events.len()),
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "kind": kind, "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
            "apiVersion": "argoproj.io/v1alpha1", "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason, "message": message, "source": {"component": name},
        "firstTimestamp": now(), "lastTimestamp": now(), "count": 1, "type": "Normal", "eventTime": null,
    });
    if matches!(component, Component::SetController) {
        event["reportingComponent"] = json!(name);
    }
    state.born(&mut event);
    if let Some(metadata) = event["metadata"].as_object_mut() {
        metadata.remove("generation");
        if annotations
            .as_object()
            .is_some_and(|annotations| !annotations.is_empty())
        {
            metadata.insert("annotations".to_owned(), annotations);
        }
    }
    state.events.push(event);
}

fn kind_of(object: &Value) -> &'static str {
    if object["spec"]["generators"].is_array() {
        "ApplicationSet"
    } else if object["spec"]["destination"].is_object() {
        "Application"
    } else {
        "AppProject"
    }
}

/// The events about one object, as the API lists them.
pub(super) fn events_of(server: &MockServer, object: &Value) -> Value {
    let state = server.state();
    let items: Vec<&Value> = state
        .events
        .iter()
        .filter(|event| event["involvedObject"]["uid"] == object["metadata"]["uid"])
        .collect();
    json!({"metadata": {"resourceVersion": state.version()}, "items": items})
}
