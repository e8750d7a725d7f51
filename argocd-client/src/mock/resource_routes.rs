//! The requests about one resource of an application.

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::change;
use super::application_routes::{read, reference};
use super::controller::resources;
use super::details::{live_manifest, live_of};
use super::git::Resource;
use super::policy::Caller;
use super::request::{Query, Request};
use super::response::Rejection;
use super::state::{MockServer, now};

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
