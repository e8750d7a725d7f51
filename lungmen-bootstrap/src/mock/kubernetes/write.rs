//! Creates, replaces and patches objects.

use http::StatusCode;
use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::document::{self, has_finalizers, is_deleted, validate};
use super::handler::parameters;
use super::patch::{json_patch, merge};
use super::prepare::{
    complete, drop_status, encode_texts, separate_status, set_generation, without_empty_finalizers,
};
use super::resource::{Resource, by_plural};
use super::schema;
use super::status::{ApiResult, Cause, Rejection, details};
use super::store::Key;
use crate::mock::serve::{self, IncomingRequest};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";

/// The part of an object that a request writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Main,
    Status,
}

/// The parameters of a write.
pub(super) struct WriteOptions {
    query: Vec<(String, String)>,
    pub(super) is_dry_run: bool,
}

impl WriteOptions {
    pub(super) fn of(request: &IncomingRequest, kind: &str) -> Result<Self, Rejection> {
        const KNOWN: [&str; 8] = [
            "fieldManager",
            "force",
            "fieldValidation",
            "dryRun",
            "pretty",
            "propagationPolicy",
            "gracePeriodSeconds",
            "labelSelector",
        ];
        let options = Self {
            query: parameters(request, &KNOWN)?,
            is_dry_run: false,
        };
        let is_dry_run = match options.value("dryRun") {
            None => false,
            Some("All") => true,
            Some(other) => {
                let problem =
                    format!("Unsupported value: [\"{other}\"]: supported values: \"All\"");
                let cause = Cause::new("FieldValueNotSupported", "dryRun", problem);
                return Err(Rejection::invalid_kind((kind, "meta.k8s.io"), "", &[cause]));
            }
        };
        Ok(Self {
            is_dry_run,
            ..options
        })
    }

    fn is_strict(&self) -> bool {
        self.value("fieldValidation") == Some("Strict")
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// `POST` to a collection.
pub(super) fn create(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> ApiResult {
    let options = WriteOptions::of(request, "CreateOptions")?;
    let mut object = document::decode(request, resource)?;
    schema::check_fields(cluster, resource, &mut object, options.is_strict())?;
    document::check_namespace(&object, namespace.unwrap_or_default())?;
    let metadata = &object["metadata"];
    let name = match (metadata["name"].as_str(), metadata["generateName"].as_str()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(prefix)) => format!("{prefix}{:05}", cluster.store.version()),
        (None, None) => {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(Rejection::invalid(resource, "", &[cause]));
        }
    };
    let key = Key::new(resource, namespace.unwrap_or_default(), &name);
    check_namespace(cluster, &key)?;
    if let Some(before) = cluster.store.get(&key) {
        return Err(Rejection::already_exists(
            resource,
            &name,
            is_deleted(&before),
        ));
    }
    drop_status(resource, &mut object);
    complete(resource, &name, &mut object);
    let written = write(cluster, &key, (None, object), Part::Main, &options)?;
    Ok(serve::json(201, &written))
}

/// `PUT` of an object.
pub(super) fn update(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (key, part): (&Key, Part),
) -> ApiResult {
    let options = WriteOptions::of(request, "UpdateOptions")?;
    let resource = key.resource;
    let mut object = document::decode(request, resource)?;
    schema::check_fields(cluster, resource, &mut object, options.is_strict())?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name != key.name {
        return Err(Rejection::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    document::check_namespace(&object, &key.namespace)?;
    let before = found(cluster, key)?;
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if matches!(version, "" | "0") && (resource.is_custom || resource.plural == "leases") {
        let field = "metadata.resourceVersion";
        let cause = Cause::invalid(field, &0.into(), "must be specified for an update");
        let kind = (resource.plural, resource.group);
        return Err(Rejection::invalid_kind(kind, &key.name, &[cause]));
    }
    let written = write(cluster, key, (Some(before), object), part, &options)?;
    Ok(serve::json(200, &written))
}

/// `PATCH` of an object, by the type of its body.
pub(super) fn patch(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (key, part): (&Key, Part),
) -> ApiResult {
    let options = WriteOptions::of(request, "PatchOptions")?;
    let content_type = request.header("content-type").unwrap_or_default();
    match content_type {
        APPLY => apply(cluster, request, (key, part), &options),
        MERGE | JSON => {
            if options.value("force").is_some() {
                let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
                let kind = ("PatchOptions", "meta.k8s.io");
                return Err(Rejection::invalid_kind(kind, "", &[cause]));
            }
            let before = found(cluster, key)?;
            let mut object = before.clone();
            if content_type == MERGE {
                let changes: Value = serde_json::from_slice(&request.body)
                    .map_err(|error| Rejection::bad_request(error.to_string()))?;
                merge(&mut object, &changes);
            } else {
                json_patch(&mut object, &request.body)?;
            }
            let written = write(cluster, key, (Some(before), object), part, &options)?;
            Ok(serve::json(200, &written))
        }
        "application/strategic-merge-patch+json" => {
            Err(Rejection::not_modelled("strategic merge patches"))
        }
        _ => {
            let message = "415: Unsupported Media Type";
            Err(Rejection::new(415, "UnsupportedMediaType", message).with_details(json!({})))
        }
    }
}

fn apply(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (key, part): (&Key, Part),
    options: &WriteOptions,
) -> ApiResult {
    let resource = key.resource;
    let Some(manager) = options.value("fieldManager") else {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        let kind = ("PatchOptions", "meta.k8s.io");
        return Err(Rejection::invalid_kind(kind, "", &[cause]));
    };
    let mut applied = document::decode_apply(request, resource)?;
    schema::check_applied(resource, &applied)?;
    schema::check_fields(cluster, resource, &mut applied, options.is_strict())?;
    document::check_namespace(&applied, &key.namespace)?;
    if applied["metadata"]["name"].as_str() != Some(key.name.as_str()) {
        return Err(Rejection::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            applied["metadata"]["name"].as_str().unwrap_or_default(),
            key.name
        )));
    }
    check_namespace(cluster, key)?;
    let before = cluster.store.get(key);
    if let Some(before) = &before {
        check_version(key, before, &applied)?;
    }
    if let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    if before.is_none() {
        drop_status(resource, &mut applied);
        complete(resource, &key.name, &mut applied);
    }
    // The status of an object has an owner of its own.
    let owner = match part {
        Part::Main => manager.to_owned(),
        Part::Status => format!("{manager}/status"),
    };
    let current = before.clone().unwrap_or_else(|| json!({}));
    let force = options.value("force") == Some("true");
    let merged = cluster
        .ownership
        .apply(key, &owner, (current, &applied), force)
        .map_err(|conflict| conflict_of(&conflict.manager, &conflict.field))?;
    let code = if before.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let written = write(cluster, key, (before, merged), part, options)?;
    Ok(serve::json(code.as_u16(), &written))
}

fn conflict_of(manager: &str, field: &str) -> Rejection {
    let conflict = format!("conflict with \"{manager}\"");
    let message = format!("Apply failed with 1 conflict: {conflict}: {field}");
    Rejection::new(409, "Conflict", message).with_details(json!({
        "causes": [{"reason": "FieldManagerConflict", "message": conflict, "field": field}],
    }))
}

/// Checks an object and stores it. The object is removed when it was waiting for its last finalizer.
fn write(
    cluster: &ClusterState,
    key: &Key,
    (before, object): (Option<Value>, Value),
    part: Part,
    options: &WriteOptions,
) -> Result<Value, Rejection> {
    let resource = key.resource;
    let mut object = object;
    if let Some(before) = &before {
        check_version(key, before, &object)?;
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            if !before["metadata"][field].is_null() {
                object["metadata"][field] = before["metadata"][field].clone();
            }
        }
    }
    encode_texts(resource, &mut object);
    separate_status(resource, before.as_ref(), &mut object, part);
    validate(resource, &key.name, (before.as_ref(), &object))?;
    let causes = schema::causes(cluster, resource, &object);
    if !causes.is_empty() {
        return Err(Rejection::invalid(resource, &key.name, &causes));
    }
    set_generation(resource, before.as_ref(), &mut object);
    if options.is_dry_run {
        return Ok(cluster.store.preview(key, object));
    }
    if before.as_ref().is_some_and(is_deleted) && !has_finalizers(&object) {
        let last = cluster.store.preview(key, object);
        cluster.ownership.forget(key);
        cluster.store.delete(key);
        return Ok(without_empty_finalizers(last));
    }
    Ok(cluster.store.put(key, object))
}

/// The version in the request, when there is one, must be the present one.
fn check_version(key: &Key, before: &Value, object: &Value) -> Result<(), Rejection> {
    match object["metadata"]["resourceVersion"].as_str() {
        None | Some("" | "0") => Ok(()),
        Some(version) if before["metadata"]["resourceVersion"] == version => Ok(()),
        Some(_) => Err(Rejection::modified(key.resource, &key.name)),
    }
}

pub(super) fn found(cluster: &ClusterState, key: &Key) -> Result<Value, Rejection> {
    cluster
        .store
        .get(key)
        .ok_or_else(|| Rejection::not_found(key.resource, &key.name))
}

/// The namespace of a new object must exist and not be terminating.
fn check_namespace(cluster: &ClusterState, key: &Key) -> Result<(), Rejection> {
    let Some(namespaces) = by_plural("namespaces").filter(|_| !key.namespace.is_empty()) else {
        return Ok(());
    };
    let namespace = cluster.store.get(&Key::new(namespaces, "", &key.namespace));
    let Some(namespace) = namespace else {
        return Err(Rejection::not_found(namespaces, &key.namespace));
    };
    if !is_deleted(&namespace) || cluster.store.get(key).is_some() {
        return Ok(());
    }
    let name = &key.namespace;
    let problem =
        format!("unable to create new content in namespace {name} because it is being terminated");
    let mut details = details(&key.name, key.resource.group, key.resource.plural);
    details["causes"] = json!([{"reason": "NamespaceTerminating",
        "message": format!("namespace {name} is being terminated"), "field": "metadata.namespace"}]);
    Err(Rejection::forbidden(key.resource, &key.name, &problem).with_details(details))
}
