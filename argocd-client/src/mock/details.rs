//! The requests about what an application has deployed.

use serde_json::{Value, json};

use super::application::Key;
use super::asked::Asked;
use super::controller::resources;
use super::git::{Resource, sorted};
use super::record::events_of;
use super::response::Rejection;
use super::state::{Live, MockServer, ServerState, now};

pub(super) fn tree(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let (key, application) = asked.read("get")?;
    Ok(json!({"nodes": nodes(asked.server, &application, &key)}))
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

pub(super) fn managed_resources(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let (key, application) = asked.read("get")?;
    let wanted = resources(asked.server, &application);
    let state = asked.server.state();
    let fits = |resource: &&Resource| {
        let is = |field: &str, value: &str| {
            asked
                .query
                .first(field)
                .is_none_or(|wanted| wanted == value)
        };
        is("kind", &resource.kind)
            && is("group", &resource.group)
            && is("namespace", &resource.namespace)
            && is("name", &resource.name)
    };
    let items: Vec<Value> = wanted
        .iter()
        .filter(fits)
        .map(|resource| difference(&state, &key, resource))
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

pub(super) fn live_of<'a>(
    state: &'a ServerState,
    wanted: &Key,
    resource: &Resource,
) -> Option<&'a Live> {
    state
        .live
        .get(wanted)?
        .iter()
        .find(|live| live.resource == *resource)
}

/// What the cluster shows of a resource; the mock adds only its identity.
pub(super) fn live_manifest(live: &Live, target: &Value) -> Value {
    let mut manifest = target.clone();
    manifest["metadata"]["uid"] = json!(live.uid);
    manifest["metadata"]["resourceVersion"] = json!(live.resource_version);
    manifest["metadata"]["creationTimestamp"] = json!(live.created_at);
    sorted(&manifest)
}

pub(super) fn manifests(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let (_, application) = asked.read("get")?;
    let source = &application["spec"]["source"];
    let url = source["repoURL"].as_str().unwrap_or_default();
    if let Some(repository) = asked.server.settings.repository(url) {
        let revision = asked
            .query
            .first("revision")
            .or(source["targetRevision"].as_str())
            .unwrap_or_default();
        repository
            .resolve(revision)
            .map_err(|why| Rejection::new(2, why))?;
    }
    let manifests: Vec<String> = resources(asked.server, &application)
        .iter()
        .map(|resource| resource.tracked(asked.name).to_string())
        .collect();
    Ok(json!({"manifests": manifests}))
}

pub(super) fn events(asked: &Asked<'_>) -> Result<Value, Rejection> {
    let (_, application) = asked.read("get")?;
    Ok(events_of(asked.server, &application))
}

pub(super) fn sync_windows(asked: &Asked<'_>) -> Result<Value, Rejection> {
    asked.read("get")?;
    Ok(json!({"canSync": true}))
}

pub(super) fn links(asked: &Asked<'_>) -> Result<Value, Rejection> {
    asked.read("get")?;
    Ok(json!({"items": []}))
}

pub(super) fn revision_metadata(asked: &Asked<'_>, revision: &str) -> Result<Value, Rejection> {
    asked.read("get")?;
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
