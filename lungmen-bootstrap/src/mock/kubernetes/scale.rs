//! The number of replicas of a Deployment, ReplicaSet or StatefulSet, as an object of its own.

use http::Method;
use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::status::{ApiResult, Rejection};
use super::store::Key;
use crate::mock::serve::{self, IncomingRequest};

/// `GET`, `PUT` and `PATCH` (a merge patch) of `NAME/scale`.
pub(super) fn respond(cluster: &ClusterState, request: &IncomingRequest, key: &Key) -> ApiResult {
    parameters(request, &["fieldManager", "fieldValidation", "pretty"])?;
    let _one_at_a_time = cluster.store.exclusive();
    let found = cluster.store.get(key);
    let mut object = found.ok_or_else(|| Rejection::not_found(key.resource, &key.name))?;
    match request.method {
        Method::GET => {}
        Method::PUT | Method::PATCH => {
            let body: Value = serde_json::from_slice(&request.body)
                .map_err(|error| Rejection::bad_request(error.to_string()))?;
            if let Some(replicas) = body["spec"]["replicas"].as_u64()
                && object["spec"]["replicas"] != replicas
            {
                object["spec"]["replicas"] = replicas.into();
                let generation = object["metadata"]["generation"].as_u64().unwrap_or(1);
                object["metadata"]["generation"] = (generation + 1).into();
                object = cluster.store.put(key, object);
            }
        }
        _ => return Err(Rejection::method_not_allowed()),
    }
    Ok(serve::json(200, &document(&object)))
}

fn document(object: &Value) -> Value {
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        metadata[field] = object["metadata"][field].clone();
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {
            "replicas": object["status"]["replicas"].as_u64().unwrap_or_default(),
            "selector": selector.join(","),
        },
    })
}
