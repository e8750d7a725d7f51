//! The requests about what an application has deployed.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::application::{Key, change};
use super::application_routes::{read, reference};
use super::controller::resources;
use super::git::{Resource, sorted};
use super::policy::Caller;
use super::record::events_of;
use super::request::{Query, Request};
use super::response::{Rejection, respond};
use super::state::{Live, MockServer, ServerState, now};

pub(super) fn tree(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    Ok(json!({"nodes": nodes(server, &application, &reference.0)}))
}

/// One node for every resource: deployed, or missing.
pub(super) fn nodes(server: &MockServer, application: &Value, wanted: &Key) -> Vec<Value> {
    let state = server.state();
    let nothing = Vec::new();
    let live = state.live.get(wanted).unwrap_or(&nothing);
    let rows = application["status"]["resources"].as_array();
    rows.into_iter()
        .flatten()
        .map(|row| node(row, live))
        .collect()
}

fn node(row: &Value, live: &[Live]) -> Value {
    let mut node = row.clone();
    if let Some(object) = node.as_object_mut() {
        object.remove("status");
    }
    let text = |field: &str| row[field].as_str().unwrap_or_default();
    let found = live.iter().find(|live| {
        live.resource
            .is(text("group"), text("kind"), text("namespace"), text("name"))
    });
    if let Some(live) = found {
        node["uid"] = json!(live.uid);
        node["resourceVersion"] = json!(live.resource_version);
        node["createdAt"] = json!(live.created_at);
        let selector = &live.resource.manifest["spec"]["selector"];
        if text("kind") == "Service" && selector.is_object() {
            node["networkingInfo"] = json!({"targetLabels": selector});
        }
        let images = live.resource.images();
        if !images.is_empty() {
            node["images"] = json!(images);
        }
    }
    node
}

pub(super) fn managed_resources(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    let wanted = resources(server, &application);
    let state = server.state();
    let fits = |resource: &&Resource| {
        let is = |field: &str, value: &str| query.first(field).is_none_or(|wanted| wanted == value);
        is("kind", &resource.kind)
            && is("group", &resource.group)
            && is("namespace", &resource.namespace)
            && is("name", &resource.name)
    };
    let items: Vec<Value> = wanted
        .iter()
        .filter(fits)
        .map(|resource| difference(&state, &reference.0, resource))
        .collect();
    Ok(json!({"items": items}))
}

fn difference(state: &ServerState, wanted: &Key, resource: &Resource) -> Value {
    let mut target = resource.tracked(&wanted.1);
    target["metadata"]["namespace"] = json!(resource.namespace);
    let target = sorted(&target);
    let mut item = json!({
        "kind": resource.kind, "namespace": resource.namespace, "name": resource.name, "targetState": target.to_string(),
    });
    if !resource.group.is_empty() {
        item["group"] = json!(resource.group);
    }
    match live_of(state, wanted, resource) {
        Some(live) => {
            let state = live_manifest(live, &target).to_string();
            for field in ["liveState", "normalizedLiveState", "predictedLiveState"] {
                item[field] = json!(state);
            }
            item["resourceVersion"] = json!(live.resource_version);
        }
        None => {
            item["liveState"] = json!("null");
            item["normalizedLiveState"] = json!("null");
            item["predictedLiveState"] = json!(target.to_string());
        }
    }
    item
}

fn live_of<'a>(state: &'a ServerState, wanted: &Key, resource: &Resource) -> Option<&'a Live> {
    state
        .live
        .get(wanted)?
        .iter()
        .find(|live| live.resource == *resource)
}

/// What the cluster shows of a resource; the mock adds only its identity.
fn live_manifest(live: &Live, target: &Value) -> Value {
    let mut manifest = target.clone();
    manifest["metadata"]["uid"] = json!(live.uid);
    manifest["metadata"]["resourceVersion"] = json!(live.resource_version);
    manifest["metadata"]["creationTimestamp"] = json!(live.created_at);
    sorted(&manifest)
}

pub(super) fn manifests(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    let source = &application["spec"]["source"];
    let url = source["repoURL"].as_str().unwrap_or_default();
    if let Some(repository) = server.settings.repository(url) {
        let revision = query
            .first("revision")
            .or(source["targetRevision"].as_str())
            .unwrap_or_default();
        repository
            .resolve(revision)
            .map_err(|why| Rejection::new(2, why))?;
    }
    let manifests: Vec<String> = resources(server, &application)
        .iter()
        .map(|resource| resource.tracked(name).to_string())
        .collect();
    Ok(json!({"manifests": manifests}))
}

pub(super) fn events(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let application = read(server, caller, &reference(name, query), "get")?;
    Ok(events_of(server, &application))
}

pub(super) fn sync_windows(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    read(server, caller, &reference(name, query), "get")?;
    Ok(json!({"canSync": true}))
}

pub(super) fn links(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    read(server, caller, &reference(name, query), "get")?;
    Ok(json!({"items": []}))
}

pub(super) fn revision_metadata(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    revision: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    read(server, caller, &reference(name, query), "get")?;
    if revision.len() != 40 {
        return Err(Rejection::new(
            2,
            format!("revision {revision} must be resolved"),
        ));
    }
    Ok(
        json!({"author": "author <author@example.test>", "date": now(), "message": "initial commit"}),
    )
}

/// A log stream: lines, and an entry that marks the end.
pub(super) fn logs(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let query = &request.query;
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    let state = server.state();
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    state.enforce(
        caller,
        "logs",
        "get",
        &super::application::rbac_name(project, &reference.0),
    )?;
    let pod = query.first("podName");
    let filter = query.first("filter").unwrap_or_default();
    let lines: Vec<&(String, String, String)> = state
        .logs
        .iter()
        .filter(|(application, of, text)| {
            application == name && pod.is_none_or(|pod| pod == of) && text.contains(filter)
        })
        .collect();
    let tail = query
        .first("tailLines")
        .and_then(|lines| lines.parse().ok());
    let skipped = lines.len().saturating_sub(tail.unwrap_or(usize::MAX));
    let mut body = String::new();
    let mut entry = |content: &str, pod: &str, last: bool| {
        let time = now();
        let mut result =
            json!({"content": content, "timeStamp": time, "timeStampStr": time, "podName": pod});
        if last {
            result["last"] = json!(true);
        }
        let separator = if is_event_stream(request) {
            ("data: ", "\n\n")
        } else {
            ("", "\n")
        };
        body.push_str(&format!(
            "{}{}{}",
            separator.0,
            json!({"result": result}),
            separator.1
        ));
    };
    for (_, pod, text) in lines.iter().skip(skipped) {
        entry(text, pod, false);
    }
    // A real server without pods ends the stream without an entry.
    if let Some((_, pod, _)) = lines.last() {
        entry("", pod, true);
    }
    let media_type = if is_event_stream(request) {
        "text/event-stream"
    } else {
        "application/json"
    };
    Ok(respond(http::StatusCode::OK, media_type, body))
}

pub(super) fn is_event_stream(request: &Request) -> bool {
    request
        .header("accept")
        .is_some_and(|accept| accept.contains("text/event-stream"))
}

/// The resource of an application that the query names.
fn resource_of(
    server: &MockServer,
    application: &Value,
    query: &Query,
) -> Result<(Resource, String), Rejection> {
    let text = |field: &str| query.first(field).unwrap_or_default();
    let (kind, group, name) = (text("kind"), text("group"), text("resourceName"));
    let rows = application["status"]["resources"].as_array();
    let found = rows.into_iter().flatten().find(|row| {
        let is = |field: &str, value: &str| row[field].as_str().unwrap_or_default() == value;
        is("kind", kind)
            && is("group", group)
            && is("name", name)
            && is("namespace", text("namespace"))
    });
    let application_name = application["metadata"]["name"].as_str().unwrap_or_default();
    let Some(row) = found else {
        return Err(Rejection::invalid(format!(
            "{kind} {group} {name} not found as part of application {application_name}"
        )));
    };
    let health = row["health"]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let own = resources(server, application)
        .into_iter()
        .find(|resource| resource.is(group, kind, text("namespace"), name));
    let fallback = json!({
        "apiVersion": if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }, "kind": kind,
        "metadata": {"name": name, "namespace": text("namespace")},
    });
    Ok((
        own.unwrap_or_else(|| Resource::of(&fallback, text("namespace"))),
        health,
    ))
}

pub(super) fn resource(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    let (resource, _) = resource_of(server, &application, query)?;
    let mut target = resource.tracked(name);
    target["metadata"]["namespace"] = json!(resource.namespace);
    let state = server.state();
    let manifest = match live_of(&state, &reference.0, &resource) {
        Some(live) => live_manifest(live, &target),
        None => target,
    };
    Ok(json!({"manifest": manifest.to_string()}))
}

pub(super) fn patch_resource(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Value, Rejection> {
    let reference = reference(name, &request.query);
    let application = read(server, caller, &reference, "update")?;
    let (resource, _) = resource_of(server, &application, &request.query)?;
    // The body is a JSON string that holds the patch.
    let patch = request
        .json()
        .and_then(|body| {
            body.as_str()
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
        })
        .ok_or_else(|| {
            Rejection::invalid("json: cannot unmarshal object into Go value of type string")
        })?;
    let mut manifest = resource.tracked(name);
    super::object::merge_patch(&mut manifest, &patch);
    Ok(json!({"manifest": manifest.to_string()}))
}

pub(super) fn delete_resource(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "delete")?;
    let (resource, _) = resource_of(server, &application, query)?;
    let mut state = server.state();
    if let Some(live) = state.live.get_mut(&reference.0) {
        live.retain(|live| live.resource != resource);
    }
    drop(state);
    super::controller::compare(server, &reference.0);
    Ok(json!({}))
}

/// The actions of Deployments, as the server's Lua scripts offer them.
pub(super) fn actions(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let application = read(server, caller, &reference(name, query), "get")?;
    let (resource, _) = resource_of(server, &application, query)?;
    if resource.kind != "Deployment" {
        return Ok(json!({"actions": []}));
    }
    let icon = |name: &str| json!(format!("fa fa-fw fa-{name}"));
    Ok(json!({"actions": [
        {"name": "pause", "iconClass": icon("pause-circle")},
        {"name": "restart", "iconClass": icon("redo")},
        {"name": "resume", "disabled": true, "iconClass": icon("play-circle")},
        {"name": "scale", "params": [{"name": "replicas"}], "iconClass": icon("plus-circle")},
    ]}))
}

/// Runs an action: the name is the whole body, or a field of it in the second version.
pub(super) fn run_action(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Value, Rejection> {
    let body = request.json().unwrap_or_default();
    let (action, query) = match &body {
        Value::String(action) => (action.clone(), request.query.clone()),
        body => {
            let fields = [
                "namespace",
                "resourceName",
                "group",
                "kind",
                "version",
                "appNamespace",
                "project",
            ];
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            let pairs = fields.map(|field| (field.to_owned(), text(field)));
            (text("action"), Query(pairs.to_vec()))
        }
    };
    let reference = reference(name, &query);
    let application = read(server, caller, &reference, "get")?;
    let (resource, _) = resource_of(server, &application, &query)?;
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    let right = format!("action/{}/{}/{action}", resource.group, resource.kind);
    server.state().enforce(
        caller,
        "applications",
        &right,
        &super::application::rbac_name(project, &reference.0),
    )?;
    let known = ["pause", "restart", "resume", "scale"];
    if resource.kind != "Deployment" || !known.contains(&action.as_str()) {
        return Err(Rejection::new(2, format!("action {action} not found")));
    }
    change(server, &reference.0, |application| {
        application["status"]["reconciledAt"] = json!(now());
    });
    Ok(json!({}))
}
