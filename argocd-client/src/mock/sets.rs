//! Application sets: what they generate, and when they notice a cluster.

mod reconcile;

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::{
    ApplicationSeed, CONTROL_PLANE, Key, fresh_status, key, rbac_name, remove,
};
use super::object::{blank, name_is_valid, pruned};
use super::policy::Caller;
use super::record::{Component, events_of, record};
use super::request::Query;
use super::response::Rejection;
use super::selector;
use super::state::{MockServer, ServerState};

pub(super) use reconcile::{Trigger, clusters_changed};
use reconcile::{generated, reconcile_soon};

/// Marks an application with the template that it came from.
const GENERATED: &str = "mock.argocd-client/template";
/// In every Secret of a registered cluster; the local cluster has none.
const CLUSTER_SECRET: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");

/// The application sets that the templates of the builder stand for.
pub(super) fn of_templates(
    templates: &[(std::collections::BTreeMap<String, String>, ApplicationSeed)],
    state: &mut ServerState,
) {
    for (index, (labels, seed)) in templates.iter().enumerate() {
        let mut labels = json!(labels);
        labels[CLUSTER_SECRET.0] = json!(CLUSTER_SECRET.1);
        let mut set = json!({
            "metadata": {"name": format!("clusters-{index}")},
            "spec": {
                "generators": [{"clusters": {
                    "selector": {"matchLabels": labels}, "template": empty_template(),
                }}],
                "template": seed.template(),
            },
            "status": {"health": {}},
        });
        state.born(&mut set);
        state.sets.push(set);
    }
}

fn empty_template() -> Value {
    json!({"metadata": {}, "spec": {"destination": {}, "project": ""}})
}

pub(super) fn list(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
) -> Result<Value, Rejection> {
    let state = server.state();
    let selector = query.first("selector").unwrap_or_default();
    selector::matches(&Value::Null, selector)?;
    let mut items = Vec::new();
    for set in &state.sets {
        let visible = state.allows(caller, "applicationsets", "get", &set_object(set));
        if visible && selector::matches(&set["metadata"]["labels"], selector)? {
            items.push(set.clone());
        }
    }
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    Ok(json!({"metadata": {"resourceVersion": state.version()}, "items": items}))
}

/// The object of RBAC: the project of the template and the name.
pub(super) fn set_object(set: &Value) -> String {
    let project = set["spec"]["template"]["spec"]["project"]
        .as_str()
        .unwrap_or_default();
    rbac_name(project, &reference(set))
}

fn reference(set: &Value) -> Key {
    let (namespace, name) = key(set);
    if namespace.is_empty() {
        (CONTROL_PLANE.to_owned(), name)
    } else {
        (namespace, name)
    }
}

fn find(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
    action: &str,
) -> Result<Value, Rejection> {
    let state = server.state();
    let namespace = query
        .first("appsetNamespace")
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(CONTROL_PLANE);
    let wanted = (namespace.to_owned(), name.to_owned());
    let Some(set) = state.sets.iter().find(|set| key(set) == wanted) else {
        return Err(Rejection::new(
            5,
            format!(
                "error getting ApplicationSet: applicationset.argoproj.io \"{name}\" not found"
            ),
        ));
    };
    state.enforce(caller, "applicationsets", action, &set_object(set))?;
    Ok(set.clone())
}

pub(super) fn get(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    find(server, caller, name, query, "get")
}

pub(super) fn events(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let set = find(server, caller, name, query, "get")?;
    Ok(events_of(server, &set))
}

pub(super) fn tree(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let set = find(server, caller, name, query, "get")?;
    let (namespace, _) = reference(&set);
    let state = server.state();
    let nodes: Vec<Value> = state
        .applications
        .iter()
        .filter(|application| is_owned(application, &set))
        .map(|application| {
            json!({
                "group": "argoproj.io", "version": "v1alpha1", "kind": "Application", "namespace": namespace,
                "name": application["metadata"]["name"], "health": {},
                "parentRefs": [{
                    "group": "argoproj.io", "version": "v1alpha1", "kind": "ApplicationSet", "namespace": namespace,
                    "name": name, "uid": set["metadata"]["uid"],
                }],
            })
        })
        .collect();
    Ok(json!({"nodes": nodes}))
}

fn is_owned(application: &Value, set: &Value) -> bool {
    let owners = application["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .any(|owner| owner["uid"] == set["metadata"]["uid"])
}

pub(super) fn create(
    server: &Arc<MockServer>,
    caller: &Caller,
    query: &Query,
    body: Option<&Value>,
) -> Result<Value, Rejection> {
    let Some(body) = body else {
        return Err(Rejection::new(
            2,
            "error creating ApplicationSets: ApplicationSets is nil in request",
        ));
    };
    let wanted = stored(body);
    if wanted["spec"]["template"]["spec"]["project"]
        .as_str()
        .is_some_and(|project| project.contains("{{"))
    {
        return Err(Rejection::new(
            2,
            "error validating ApplicationSets: the Argo CD API does not currently support creating ApplicationSets with \
             templated `project` fields",
        ));
    }
    let reference = reference(&wanted);
    server
        .state()
        .enforce(caller, "applicationsets", "create", &set_object(&wanted))?;
    name_is_valid(
        "error creating ApplicationSet: ApplicationSet",
        &reference.1,
    )?;
    if query.first("dryRun") == Some("true") {
        return Ok(wanted);
    }
    let existing = server.state().sets.iter().any(|set| key(set) == reference);
    let set = if existing {
        // The server compares with what it stored, which has its defaults: nothing is identical.
        if query.first("upsert") != Some("true") {
            return Err(Rejection::invalid(
                "existing ApplicationSet spec is different, use upsert flag to force update",
            ));
        }
        replace(server, &reference, &wanted).ok_or_else(Rejection::hidden)?
    } else {
        let mut set = wanted;
        server.state().born(&mut set);
        server.state().sets.push(set.clone());
        let message = format!("{} created ApplicationSet", caller.name());
        record(
            server,
            &set,
            Component::Server(caller),
            "ResourceCreated",
            &message,
        );
        let _ = server.set_changes.send(("ADDED", set.clone()));
        set
    };
    reconcile_soon(server, reference);
    Ok(set)
}

fn replace(server: &MockServer, reference: &Key, wanted: &Value) -> Option<Value> {
    let mut state = server.state();
    let mut set = state
        .sets
        .iter()
        .find(|set| key(set) == *reference)?
        .clone();
    set["spec"] = wanted["spec"].clone();
    for field in ["labels", "annotations"] {
        for (name, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            set["metadata"][field][name] = value.clone();
        }
    }
    state.touched(&mut set);
    if let Some(stored) = state.sets.iter_mut().find(|set| key(set) == *reference) {
        *stored = set.clone();
    }
    drop(state);
    let _ = server.set_changes.send(("MODIFIED", set.clone()));
    Some(set)
}

/// A set as the API server stores it: generators get their defaults.
fn stored(body: &Value) -> Value {
    let mut spec = pruned(&body["spec"]);
    let generators = spec.get_mut("generators");
    let generators = generators.and_then(Value::as_array_mut);
    for generator in generators.into_iter().flatten() {
        for (kind, value) in generator.as_object_mut().into_iter().flatten() {
            if kind == "selector" {
                continue;
            }
            if blank(&value["template"]) {
                value["template"] = empty_template();
            }
            if kind == "clusters" && value["selector"].is_null() {
                value["selector"] = json!({});
            }
        }
    }
    let mut metadata = json!({"name": body["metadata"]["name"]});
    for field in ["namespace", "labels", "annotations", "finalizers"] {
        if !blank(&body["metadata"][field]) {
            metadata[field] = body["metadata"][field].clone();
        }
    }
    json!({"metadata": metadata, "spec": spec, "status": {"health": {}}})
}

pub(super) fn delete(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let set = find(server, caller, name, query, "delete")?;
    let reference = reference(&set);
    server.state().sets.retain(|set| key(set) != reference);
    let _ = server.set_changes.send(("DELETED", set.clone()));
    let owned: Vec<Key> = server
        .state()
        .applications
        .iter()
        .filter(|application| is_owned(application, &set))
        .map(key)
        .collect();
    let weak = Arc::downgrade(server);
    server.spawn(async move {
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        for application in owned {
            remove(&server, &application);
        }
    });
    Ok(json!({}))
}

pub(super) fn preview(
    server: &MockServer,
    caller: &Caller,
    body: &Value,
) -> Result<Value, Rejection> {
    let set = stored(&body["applicationSet"]);
    let state = server.state();
    state.enforce(caller, "applicationsets", "create", &set_object(&set))?;
    let applications: Vec<Value> = generated(&state, &set)
        .into_iter()
        .map(|mut application| {
            application["status"] = fresh_status();
            application
        })
        .collect();
    Ok(json!({"applications": applications}))
}
