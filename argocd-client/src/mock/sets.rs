//! Application sets: what they generate, and when they notice a cluster.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::application::{
    ApplicationSeed, CONTROL_PLANE, Key, add, fresh_status, insert, key, rbac_name, remove,
};
use super::controller;
use super::object::{blank, name_is_valid, pruned};
use super::policy::Caller;
use super::record::{Component, events_of, record};
use super::request::Query;
use super::response::Rejection;
use super::selector;
use super::state::{MockServer, ServerState};

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
    for generator in spec["generators"].as_array_mut().into_iter().flatten() {
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

/// The applications that a set describes now.
fn generated(state: &ServerState, set: &Value) -> Vec<Value> {
    let template = set["spec"]["template"].to_string();
    let generators = set["spec"]["generators"].as_array();
    generators
        .into_iter()
        .flatten()
        .flat_map(|generator| parameters(state, generator))
        .filter_map(|parameters| {
            let text = parameters
                .iter()
                .fold(template.clone(), |text, (name, value)| {
                    let value = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    text.replace(&format!("{{{{{name}}}}}"), &value)
                        .replace(&format!("{{{{.{name}}}}}"), &value)
                });
            let mut application: Value = serde_json::from_str(&text).ok()?;
            application["metadata"]["finalizers"] =
                json!(["resources-finalizer.argocd.argoproj.io"]);
            Some(application)
        })
        .collect()
}

/// The parameter sets of one generator: lists, clusters, and the product of both.
fn parameters(state: &ServerState, generator: &Value) -> Vec<Map<String, Value>> {
    if let Some(elements) = generator["list"]["elements"].as_array() {
        return elements
            .iter()
            .filter_map(|element| element.as_object().cloned())
            .collect();
    }
    if let Some(parts) = generator["matrix"]["generators"].as_array() {
        return parts.iter().fold(vec![Map::new()], |sets, part| {
            let next = parameters(state, part);
            sets.iter()
                .flat_map(|set| {
                    next.iter().map(|more| {
                        let mut set = set.clone();
                        set.extend(more.clone());
                        set
                    })
                })
                .collect()
        });
    }
    if !generator["clusters"].is_object() {
        return Vec::new();
    }
    let labels = generator["clusters"]["selector"]["matchLabels"].as_object();
    let wanted = labels.cloned().unwrap_or_default();
    state
        .clusters
        .iter()
        .filter(|cluster| {
            let mut own = cluster.labels();
            if cluster.has_secret() {
                own.insert(CLUSTER_SECRET.0.to_owned(), CLUSTER_SECRET.1.to_owned());
            }
            (cluster.has_secret() || wanted.is_empty())
                && wanted
                    .iter()
                    .all(|(key, value)| own.get(key).map(String::as_str) == value.as_str())
        })
        .map(|cluster| {
            let mut set = Map::new();
            set.insert("name".to_owned(), json!(cluster.name()));
            set.insert(
                "nameNormalized".to_owned(),
                json!(cluster.name().to_lowercase()),
            );
            set.insert("server".to_owned(), json!(cluster.server()));
            for (key, value) in cluster.labels() {
                set.insert(format!("metadata.labels.{key}"), json!(value));
            }
            set
        })
        .collect()
}

/// Lets a set reconcile in the next turn of its controller.
fn reconcile_soon(server: &Arc<MockServer>, reference: Key) {
    let weak = Arc::downgrade(server);
    server.spawn(async move {
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        reconcile(&server, &reference);
    });
}

fn reconcile(server: &Arc<MockServer>, reference: &Key) {
    let state = server.state();
    let Some(set) = state
        .sets
        .iter()
        .find(|set| key(set) == *reference)
        .cloned()
    else {
        return;
    };
    let wanted = generated(&state, &set);
    let existing: Vec<Key> = state
        .applications
        .iter()
        .filter(|application| is_owned(application, &set))
        .map(key)
        .collect();
    drop(state);
    for mut application in wanted.iter().cloned() {
        let reference = (reference.0.clone(), key(&application).1);
        if server.state().application(&reference).is_some() {
            continue;
        }
        application["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": set["metadata"]["name"],
            "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
        }]);
        application["status"] = fresh_status();
        let name = reference.1.clone();
        insert(server, application);
        let message = format!("created Application \"{name}\"");
        record(server, &set, Component::SetController, "created", &message);
        controller::start(server, reference);
    }
    let is_stale = |(_, name): &&Key| !wanted.iter().any(|wanted| key(wanted).1 == *name);
    for stale in existing.iter().filter(is_stale) {
        remove(server, stale);
    }
}

/// Why the sets read the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A cluster is new: a set may meet it too early and come back after its retry interval.
    ClusterCreated,
    /// A cluster has changed or is gone.
    ClusterChanged,
}

/// Lets all sets read the clusters.
pub(super) fn clusters_changed(server: &Arc<MockServer>, trigger: Trigger) {
    let delay = match trigger {
        Trigger::ClusterCreated => server.settings.set_retry,
        Trigger::ClusterChanged => Duration::ZERO,
    };
    if delay.is_zero() && !server.controller_is_stopped() {
        return look_at_clusters(server);
    }
    let weak = Arc::downgrade(server);
    server.spawn(async move {
        sleep(delay).await;
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        look_at_clusters(&server);
    });
}

fn look_at_clusters(server: &Arc<MockServer>) {
    let sets: Vec<Value> = server.state().sets.clone();
    let templates = server.settings.templates.len();
    for set in sets.iter().skip(templates) {
        reconcile(server, &reference(set));
    }
    follow_templates(server);
}

/// The templates of the builder: their applications follow a seed.
fn follow_templates(server: &Arc<MockServer>) {
    for (labels, seed) in &server.settings.templates {
        let wanted: Vec<ApplicationSeed> = server
            .state()
            .clusters
            .iter()
            .filter(|cluster| {
                cluster.has_secret()
                    && labels
                        .iter()
                        .all(|(key, value)| cluster.labels().get(key) == Some(value))
            })
            .map(|cluster| seed.for_cluster(cluster.name(), cluster.server()))
            .collect();
        let existing: Vec<Key> = server
            .state()
            .applications
            .iter()
            .filter(|application| application["metadata"]["labels"][GENERATED] == seed.name())
            .map(key)
            .collect();
        let is_stale = |(_, name): &&Key| !wanted.iter().any(|seed| seed.name() == name);
        for stale in existing.iter().filter(is_stale) {
            remove(server, stale);
        }
        for missing in wanted
            .into_iter()
            .filter(|seed| !existing.iter().any(|(_, name)| name == seed.name()))
        {
            add(server, &missing.label(GENERATED, seed.name()));
        }
    }
}
