//! The requests about one resource of an application.

use serde_json::{Value, json};

use super::application::{Key, change};
use super::asked::Asked;
use super::controller::resources;
use super::details::{live_manifest, live_of};
use super::git::Resource;
use super::request::{Query, Request};
use super::response::Rejection;
use super::state::now;

/// A resource of an application that the query of a request names.
struct Found {
    key: Key,
    application: Value,
    resource: Resource,
}

/// Reads the application of a request, for a caller that may do `action` on it, and the resource that the query names.
fn find(asked: &Asked<'_>, action: &str) -> Result<Found, Rejection> {
    let (key, application) = asked.read(action)?;
    let text = |field: &str| asked.query.first(field).unwrap_or_default();
    let (kind, group, name) = (text("kind"), text("group"), text("resourceName"));
    let rows = application["status"]["resources"].as_array();
    let is_named = |row: &Value| {
        let is = |field: &str, value: &str| row[field].as_str().unwrap_or_default() == value;
        is("kind", kind)
            && is("group", group)
            && is("name", name)
            && is("namespace", text("namespace"))
    };
    if !rows.into_iter().flatten().any(is_named) {
        return Err(Rejection::invalid(format!(
            "{kind} {group} {name} not found as part of application {}",
            asked.name
        )));
    }
    let mut own = resources(asked.server, &application).into_iter();
    let own = own.find(|resource| resource.is(group, kind, text("namespace"), name));
    let fallback = json!({
        "apiVersion": if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }, "kind": kind,
        "metadata": {"name": name, "namespace": text("namespace")},
    });
    let resource = own.unwrap_or_else(|| Resource::of(&fallback, text("namespace")));
    Ok(Found {
        key,
        application,
        resource,
    })
}

pub(super) fn resource(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let Found { key, resource, .. } = find(asked, "get")?;
    let mut target = resource.tracked(asked.name);
    target["metadata"]["namespace"] = json!(resource.namespace);
    let state = asked.server.state();
    let manifest = match live_of(&state, &key, &resource) {
        Some(live) => live_manifest(live, &target),
        None => target,
    };
    Ok(json!({"manifest": manifest.to_string()}))
}

pub(super) fn patch_resource(asked: &Asked<'_>, request: &Request) -> Result<Value, Rejection> {
    let Found { resource, .. } = find(asked, "update")?;
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
    let mut manifest = resource.tracked(asked.name);
    super::object::merge_patch(&mut manifest, &patch);
    Ok(json!({"manifest": manifest.to_string()}))
}

pub(super) fn delete_resource(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let Found { key, resource, .. } = find(asked, "delete")?;
    let mut state = asked.server.state();
    if let Some(live) = state.live.get_mut(&key) {
        live.retain(|live| live.resource != resource);
    }
    drop(state);
    super::controller::compare(asked.server, &key);
    Ok(json!({}))
}

/// The actions of Deployments, as the server's Lua scripts offer them.
pub(super) fn actions(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let Found { resource, .. } = find(asked, "get")?;
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
pub(super) fn run_action(asked: &Asked<'_>, request: &Request) -> Result<Value, Rejection> {
    let body = request.json().unwrap_or_default();
    let (action, query) = match &body {
        Value::String(action) => (action.clone(), asked.query.clone()),
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
    let found = Asked {
        query: &query,
        ..*asked
    };
    let Found {
        key,
        application,
        resource,
    } = find(&found, "get")?;
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    let right = format!("action/{}/{}/{action}", resource.group, resource.kind);
    let object = super::application::rbac_name(project, &key);
    let state = asked.server.state();
    state.enforce(asked.caller, "applications", &right, &object)?;
    drop(state);
    let known = ["pause", "restart", "resume", "scale"];
    if resource.kind != "Deployment" || !known.contains(&action.as_str()) {
        return Err(Rejection::new(2, format!("action {action} not found")));
    }
    change(asked.server, &key, |application| {
        application["status"]["reconciledAt"] = json!(now());
    });
    Ok(json!({}))
}
