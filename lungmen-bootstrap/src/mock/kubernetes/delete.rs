//! Deletes objects: at once, or marked until their last finalizer is gone.

use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::document::{has_finalizers, is_deleted};
use super::list;
use super::resource::{DEFINITIONS, Resource};
use super::startup;
use super::status::{ApiResult, Rejection, details};
use super::store::{Key, list_document, now};
use super::write::{WriteOptions, found};
use crate::mock::serve::{self, IncomingRequest};

const PROTECTED: [&str; 3] = ["default", "kube-public", "kube-system"];

/// `DELETE` of an object.
pub(super) fn delete(cluster: &ClusterState, request: &IncomingRequest, key: &Key) -> ApiResult {
    let options = WriteOptions::of(request, "DeleteOptions")?;
    let resource = key.resource;
    if resource.plural == "namespaces" && PROTECTED.contains(&key.name.as_str()) {
        let problem = "this namespace may not be deleted";
        return Err(Rejection::forbidden(resource, &key.name, problem));
    }
    let object = found(cluster, key)?;
    check_preconditions(request, key, &object)?;
    let removed = remove(cluster, key, object, &options);
    let shows_object = has_finalizers(&removed)
        || resource.is_custom && is_deleted(&removed)
        || matches!(
            resource.plural,
            "namespaces" | "serviceaccounts" | "pods" | DEFINITIONS
        );
    if shows_object {
        return Ok(serve::json(200, &removed));
    }
    let mut details = details(&key.name, resource.group, resource.plural);
    details["uid"] = removed["metadata"]["uid"].clone();
    Ok(serve::json(
        200,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
    ))
}

/// `DELETE` of a collection: the objects that a selector selects.
pub(super) fn delete_collection(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> ApiResult {
    let options = WriteOptions::of(request, "DeleteOptions")?;
    let items = list::selected(cluster, request, (resource, namespace))?;
    let removed: Vec<Value> = items
        .into_iter()
        .map(|object| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let key = Key::new(resource, text("namespace"), text("name"));
            remove(cluster, &key, object, &options)
        })
        .collect();
    let version = cluster.store.version();
    Ok(serve::json(
        200,
        &list_document(resource, version, &removed),
    ))
}

/// Removes an object, or marks it as deleted while it has finalizers.
fn remove(cluster: &ClusterState, key: &Key, object: Value, options: &WriteOptions) -> Value {
    let mut object = object;
    let is_namespace = key.resource.plural == "namespaces";
    if options.value("propagationPolicy") == Some("Foreground") {
        object["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    }
    let waits = has_finalizers(&object) || is_namespace;
    if waits && !is_deleted(&object) {
        object["metadata"]["deletionTimestamp"] = now().into();
        if is_namespace {
            object["status"]["phase"] = "Terminating".into();
        } else {
            object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        }
        if let Some(generation) = object["metadata"]["generation"].as_u64() {
            object["metadata"]["generation"] = (generation + 1).into();
        }
        if !options.is_dry_run {
            return cluster.store.put(key, object);
        }
    }
    if !waits && !options.is_dry_run {
        cluster.ownership.forget(key);
        if key.resource.plural == DEFINITIONS {
            return remove_definition(cluster, key, object);
        }
        let removed = cluster.store.delete(key).unwrap_or(object);
        if key.resource.plural == "nodes" {
            startup::node_left(cluster, &key.name);
        }
        return removed;
    }
    object
}

/// The server marks a definition as deleted; its controller removes the objects, then the definition.
fn remove_definition(cluster: &ClusterState, key: &Key, mut definition: Value) -> Value {
    definition["metadata"]["deletionTimestamp"] = now().into();
    definition["metadata"]["finalizers"] = json!(["customresourcecleanup.apiextensions.k8s.io"]);
    let marked = cluster.store.put(key, definition);
    forget_custom_objects(cluster, &marked);
    cluster.store.delete(key);
    marked
}

fn forget_custom_objects(cluster: &ClusterState, definition: &Value) {
    for resource in Resource::defined_by(definition) {
        for object in cluster.store.list(resource, None).1 {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let key = Key::new(resource, text("namespace"), text("name"));
            cluster.store.delete(&key);
        }
    }
}

fn check_preconditions(
    request: &IncomingRequest,
    key: &Key,
    object: &Value,
) -> Result<(), Rejection> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    for (field, label) in [("resourceVersion", "ResourceVersion"), ("uid", "UID")] {
        let expected = body["preconditions"][field].as_str();
        let present = object["metadata"][field].as_str().unwrap_or_default();
        if let Some(expected) = expected.filter(|expected| *expected != present) {
            let problem = format!(
                "the {label} in the precondition ({expected}) does not match the {label} in record ({present})"
            );
            return Err(Rejection::precondition(key.resource, &key.name, &problem));
        }
    }
    Ok(())
}
