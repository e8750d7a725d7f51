//! Creating, applying, replacing and deleting objects.

use http::StatusCode;
use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::resource::Resource;
use super::status::{ApiResult, Rejection};
use super::store::Key;
use crate::mock::serve::{self, IncomingRequest};

const APPLY: &str = "application/apply-patch+yaml";

pub(super) fn create(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, namespace): (&Resource, Option<&str>),
) -> ApiResult {
    parameters(request, &["fieldManager", "fieldValidation", "pretty"])?;
    let object = body(request, resource)?;
    let Some(name) = object["metadata"]["name"].as_str() else {
        return Err(Rejection::invalid(
            resource,
            "",
            "metadata.name: Required value: name or generateName is required",
        ));
    };
    let key = Key::new(resource, namespace.unwrap_or_default(), name);
    check_namespace(cluster, &key)?;
    if cluster.store.get(&key).is_some() {
        return Err(Rejection::already_exists(resource, name));
    }
    validate(resource, &key, None, &object)?;
    Ok(serve::json(201, &cluster.store.put(&key, object)))
}

/// Server-side apply; the other kinds of patches are not modelled.
pub(super) fn apply(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, key): (&Resource, &Key),
) -> ApiResult {
    let query = parameters(
        request,
        &["fieldManager", "force", "fieldValidation", "pretty"],
    )?;
    let content_type = request.header("content-type").unwrap_or_default();
    if content_type != APPLY {
        return Err(Rejection::not_modelled(format!(
            "patches of type {content_type:?}"
        )));
    }
    let value = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let Some(manager) = value("fieldManager").filter(|manager| !manager.is_empty()) else {
        let problem = "fieldManager: Required value: is required for apply patch";
        let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: {problem}");
        return Err(Rejection::new(422, "Invalid", message));
    };
    let applied = body(request, resource)?;
    if applied["metadata"]["name"].as_str() != Some(key.name.as_str()) {
        return Err(Rejection::bad_request(
            "name in URL does not match name in the body",
        ));
    }
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(Rejection::bad_request("metadata.managedFields must be nil"));
    }
    check_namespace(cluster, key)?;
    let before = cluster.store.get(key);
    let current = before.clone().unwrap_or_else(|| json!({}));
    let force = value("force") == Some("true");
    let merged = cluster
        .ownership
        .apply(key, manager, (current, &applied), force)
        .map_err(|conflict| {
            let message = format!(
                "Apply failed with 1 conflict: conflict with \"{}\": {}",
                conflict.manager, conflict.field
            );
            Rejection::new(409, "Conflict", message)
        })?;
    validate(resource, key, before.as_ref(), &merged)?;
    let code = if before.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(serve::json(code.as_u16(), &cluster.store.put(key, merged)))
}

/// `PUT`: replaces an object in the version that it names. As recorded from Kubernetes 1.36.3: no version is 422, another
/// one is 409, one that is no number is 500.
pub(super) fn replace(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, key): (&Resource, &Key),
) -> ApiResult {
    parameters(request, &["fieldManager", "fieldValidation", "pretty"])?;
    let object = body(request, resource)?;
    if object["metadata"]["name"].as_str() != Some(key.name.as_str()) {
        return Err(Rejection::bad_request(
            "the name of the object does not match the name on the URL",
        ));
    }
    let Some(before) = cluster.store.get(key) else {
        return Err(Rejection::not_found(resource, &key.name));
    };
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or("0");
    if version.parse::<u64>().is_err() {
        let message = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        return Err(Rejection::of_status(500, &message));
    }
    if version == "0" {
        return Err(Rejection::invalid(
            resource,
            &key.name,
            "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
        ));
    }
    validate(resource, key, Some(&before), &object)?;
    let expected = version.to_owned();
    match cluster.store.replace(key, object, &expected) {
        Some(object) => Ok(serve::json(200, &object)),
        None => Err(Rejection::outdated(resource, &key.name)),
    }
}

pub(super) fn delete(cluster: &ClusterState, (resource, key): (&Resource, &Key)) -> ApiResult {
    let removed = cluster.store.delete(key);
    let removed = removed.ok_or_else(|| Rejection::not_found(resource, &key.name))?;
    cluster.ownership.forget(key);
    Ok(serve::json(
        200,
        &json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": key.name, "group": resource.group, "kind": resource.plural,
                "uid": removed["metadata"]["uid"]},
        }),
    ))
}

fn body(request: &IncomingRequest, resource: &Resource) -> Result<Value, Rejection> {
    let parsed: Option<Value> = serde_json::from_slice(&request.body)
        .ok()
        .or_else(|| serde_yaml::from_slice(&request.body).ok());
    let object = parsed.filter(Value::is_object).ok_or_else(|| {
        Rejection::bad_request("the body of the request was in an unknown format")
    })?;
    let version = resource.api_version();
    if object["kind"] != resource.kind || object["apiVersion"] != version.as_str() {
        return Err(Rejection::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {} {}",
            resource.kind, object["apiVersion"], object["kind"]
        )));
    }
    Ok(object)
}

fn check_namespace(cluster: &ClusterState, key: &Key) -> Result<(), Rejection> {
    let Some(namespaces) =
        super::resource::by_plural("namespaces").filter(|_| !key.namespace.is_empty())
    else {
        return Ok(());
    };
    match cluster.store.get(&Key::new(namespaces, "", &key.namespace)) {
        Some(_) => Ok(()),
        None => Err(Rejection::not_found(namespaces, &key.namespace)),
    }
}

/// The rules of the API server that the bootstrap can run into.
fn validate(
    resource: &Resource,
    key: &Key,
    before: Option<&Value>,
    object: &Value,
) -> Result<(), Rejection> {
    let invalid = |problem: &str| Err(Rejection::invalid(resource, &key.name, problem));
    let changed = |field: &str| before.is_some_and(|before| before[field] != object[field]);
    match resource.kind {
        "Secret" if changed("type") => invalid("type: Invalid value: field is immutable"),
        "Secret" if object["type"] == "kubernetes.io/service-account-token" => {
            let account = &object["metadata"]["annotations"]["kubernetes.io/service-account.name"];
            if account.as_str().unwrap_or_default().is_empty() {
                return invalid(
                    "metadata.annotations[kubernetes.io/service-account.name]: Required value",
                );
            }
            Ok(())
        }
        "ClusterRoleBinding" if changed("roleRef") => {
            invalid("roleRef: Invalid value: cannot change roleRef")
        }
        "ClusterRoleBinding" if object["roleRef"]["kind"] != "ClusterRole" => {
            invalid("roleRef.kind: Unsupported value: supported values: \"ClusterRole\"")
        }
        _ => Ok(()),
    }
}
