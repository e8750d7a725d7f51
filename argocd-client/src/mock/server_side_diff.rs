//! Differences that a dry run of a server-side apply would make. Not recorded: read in `ServerSideDiff`
//! (`server/application/application.go`, 3.5.1) and in what it calls.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::asked::Asked;
use super::controller::resources;
use super::git::sorted;
use super::object::merge_patch;
use super::response::Rejection;

/// The live resources and the manifests of the request are pairs, by their order; either can be missing.
pub(super) fn diff(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let (_, application) = asked.read("get").map_err(in_application)?;
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let live: Vec<Value> = asked.query.all("liveResources").map(read).collect();
    let targets: Vec<Value> = asked.query.all("targetManifests").map(read).collect();
    let managed = resources(asked.server, &application);
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
            let message = format!(
                "{group}/{kind} {named} not found as part of application {}",
                asked.name
            );
            return Err(Rejection::new(7, message));
        }
    }
    check_lengths(live.len(), targets.len())?;
    let pairs = live.iter().zip(&targets);
    let items: Vec<Value> = pairs.map(|(live, target)| item(live, target)).collect();
    let modified = items.iter().any(|item| item["modified"] == true);
    Ok(json!({"items": items, "modified": modified}))
}

/// The error of another function, as Go prints it inside of this one's.
fn in_application(error: Rejection) -> Rejection {
    let text = format!(
        "error getting application: rpc error: code = {} desc = {}",
        code_name(error.code),
        error.message
    );
    Rejection::new(error.code, text)
}

/// The codes that reading an application can end with.
fn code_name(code: i64) -> &'static str {
    match code {
        3 => "InvalidArgument",
        5 => "NotFound",
        7 => "PermissionDenied",
        _ => "Unknown",
    }
}

/// The command line sends a live state for each manifest. Without one the server runs out of its list, and with too many it
/// says so.
fn check_lengths(live: usize, targets: usize) -> Result<(), Rejection> {
    match live.cmp(&targets) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(Rejection::new(
            13,
            format!("runtime error: index out of range [{live}] with length {live}"),
        )),
        Ordering::Greater => Err(Rejection::new(
            2,
            "error performing state diffs: failed to calculate diff: left and right arrays have mismatched lengths",
        )),
    }
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

fn item(live: &Value, target: &Value) -> Value {
    let state: Value = serde_json::from_str(text(live, "liveState")).unwrap_or_default();
    let is_secret = [target, &state]
        .iter()
        .any(|object| object["kind"] == "Secret" && object["apiVersion"] == "v1");
    // An apply changes the fields that the manifest names, and no others. The version of the object is not compared.
    let state = compared(state);
    let mut predicted = state.clone();
    match (state.is_null(), target.is_null()) {
        (_, true) => predicted = Value::Null,
        (true, false) => predicted = target.clone(),
        (false, false) => merge_patch(&mut predicted, target),
    }
    let modified = predicted != state;
    let (predicted, state) = match is_secret {
        true => masked(predicted, state),
        false => (predicted, state),
    };
    let written = |value: &Value| sorted(value).to_string();
    let mut item = json!({
        "group": live["group"], "kind": live["kind"], "namespace": live["namespace"], "name": live["name"],
        "hook": live["hook"], "resourceVersion": live["resourceVersion"],
        "targetState": written(&predicted), "liveState": written(&state),
    });
    if modified {
        item["modified"] = json!(true);
    }
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    item
}

/// A live state without what the server leaves out of a comparison.
fn compared(mut state: Value) -> Value {
    let metadata = state.get_mut("metadata");
    if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
        let annotations = metadata.get_mut("annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    state
}

/// Replaces the values of a Secret: equal ones by the same text, others by a longer one.
fn masked(mut predicted: Value, mut state: Value) -> (Value, Value) {
    let before = (predicted["data"].clone(), state["data"].clone());
    let keys = [&before.0, &before.1]
        .into_iter()
        .filter_map(Value::as_object);
    let keys: BTreeSet<String> = keys.flat_map(|data| data.keys().cloned()).collect();
    for key in keys {
        let (wanted, found) = (before.0.get(&key), before.1.get(&key));
        if wanted.is_some() {
            predicted["data"][&key] = json!(HIDDEN);
        }
        if found.is_some() {
            let differs = wanted.is_some() && wanted != found;
            let more = if differs { "+" } else { "" };
            state["data"][&key] = json!(format!("{HIDDEN}{more}"));
        }
    }
    (predicted, state)
}

const HIDDEN: &str = "++++++++";
