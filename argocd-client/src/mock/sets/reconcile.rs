//! What the controller of application sets does: it generates applications, and notices clusters.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::super::application::{ApplicationSeed, Key, add, fresh_status, insert, key, remove};
use super::super::controller;
use super::super::record::{Component, record};
use super::super::state::{MockServer, ServerState};
use super::{CLUSTER_SECRET, GENERATED, is_owned, reference};

/// The applications that a set describes now.
pub(super) fn generated(state: &ServerState, set: &Value) -> Vec<Value> {
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
pub(super) fn reconcile_soon(server: &Arc<MockServer>, reference: Key) {
    let weak = Arc::downgrade(server);
    server.spawn(async move {
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        reconcile(&server, &reference);
    });
}

pub(super) fn reconcile(server: &Arc<MockServer>, reference: &Key) {
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
pub(in crate::mock) enum Trigger {
    /// A cluster is new: a set may meet it too early and come back after its retry interval.
    ClusterCreated,
    /// A cluster has changed or is gone.
    ClusterChanged,
}

/// Lets all sets read the clusters.
pub(in crate::mock) fn clusters_changed(server: &Arc<MockServer>, trigger: Trigger) {
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
pub(super) fn follow_templates(server: &Arc<MockServer>) {
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
