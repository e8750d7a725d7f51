//! Differences that a dry run of a server-side apply would make.

use serde_json::{Value, json};

use super::application_routes::{read, reference};
use super::controller::resources;
use super::git::sorted;
use super::object::merge_patch;
use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::MockServer;

/// The live resources and the manifests of the request are pairs, by their order; either can be missing.
pub(super) fn diff(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let application = read(server, caller, &reference(name, query), "get")?;
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let live: Vec<Value> = query.all("liveResources").map(read).collect();
    let targets: Vec<Value> = query.all("targetManifests").map(read).collect();
    let managed = resources(server, &application);
    for given in &live {
        let state = read(text(given, "liveState"));
        if state.is_null() {
            continue;
        }
        matches(given, &state)?;
        let known = managed.iter().any(|resource| {
            resource.is(
                text(given, "group"),
                text(given, "kind"),
                text(given, "namespace"),
                text(given, "name"),
            )
        });
        if !known {
            let (group, kind, named) = (
                text(given, "group"),
                text(given, "kind"),
                text(given, "name"),
            );
            let message = format!("{group}/{kind} {named} not found as part of application {name}");
            return Err(Rejection::new(7, message));
        }
    }
    let pairs = live.len().max(targets.len());
    let items: Vec<Value> = (0..pairs)
        .map(|index| item(live.get(index), targets.get(index)))
        .collect();
    let modified = items.iter().any(|item| item["modified"] == true);
    Ok(json!({"items": items, "modified": modified}))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Refuses a live state that is another object than the request says.
fn matches(given: &Value, state: &Value) -> Result<(), Rejection> {
    let api_version = text(state, "apiVersion");
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let metadata = &state["metadata"];
    let found = [
        ("name", text(metadata, "name")),
        ("namespace", text(metadata, "namespace")),
        ("group", group),
        ("kind", text(state, "kind")),
    ];
    for (field, found) in found {
        let expected = text(given, field);
        if expected != found {
            let (group, kind, name) = (
                text(given, "group"),
                text(given, "kind"),
                text(given, "name"),
            );
            return Err(Rejection::invalid(format!(
                "{field} mismatch: expected {expected}, got {found} for live resource {group}/{kind}/{name}"
            )));
        }
    }
    Ok(())
}

fn item(live: Option<&Value>, target: Option<&Value>) -> Value {
    let state = live.map(|live| text(live, "liveState"));
    let state: Value = state
        .and_then(|state| serde_json::from_str(state).ok())
        .unwrap_or_default();
    let target = target.filter(|target| !target.is_null());
    // An apply changes the fields that the manifest names, and no others.
    let mut predicted = state.clone();
    match target {
        Some(target) if predicted.is_null() => predicted = target.clone(),
        Some(target) => merge_patch(&mut predicted, target),
        None => predicted = Value::Null,
    }
    let written = |value: &Value| sorted(value).to_string();
    let mut item = match live {
        Some(live) => json!({
            "group": live["group"], "kind": live["kind"], "namespace": live["namespace"], "name": live["name"],
            "hook": live["hook"], "resourceVersion": live["resourceVersion"],
        }),
        None => identity(target.unwrap_or(&Value::Null)),
    };
    item["targetState"] = json!(written(&predicted));
    item["liveState"] = json!(written(&state));
    if predicted != state {
        item["modified"] = json!(true);
    }
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    item
}

fn identity(target: &Value) -> Value {
    let api_version = text(target, "apiVersion");
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let metadata = &target["metadata"];
    json!({"group": group, "kind": target["kind"], "namespace": metadata["namespace"], "name": metadata["name"]})
}
