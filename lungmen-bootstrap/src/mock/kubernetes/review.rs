//! Questions to the API server: may I do this, and give me a token.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::{Attributes, User, allowed};
use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::resource::by_plural;
use super::status::{ApiResult, Rejection};
use super::store::Key;
use crate::mock::serve::{self, IncomingRequest};

/// `POST selfsubjectaccessreviews`
pub(super) fn access(cluster: &ClusterState, request: &IncomingRequest, user: &User) -> ApiResult {
    let mut review = document(request, "SelfSubjectAccessReview")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &review["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_null() == path.is_null() {
        return Err(Rejection::new(
            422,
            "Invalid",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    }
    let verb = text(if path.is_null() {
        &resource["verb"]
    } else {
        &path["verb"]
    });
    let (group, plural, path) = (
        text(&resource["group"]),
        text(&resource["resource"]),
        path["path"].as_str().map(str::to_owned),
    );
    let wanted = Attributes {
        verb: &verb,
        group: &group,
        resource: &plural,
        path: path.as_deref(),
    };
    review["status"] = json!({"allowed": allowed(user, &wanted, &cluster.store)});
    Ok(serve::json(201, &review))
}

/// `POST serviceaccounts/NAME/token`
pub(super) fn token(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (namespace, name): (&str, &str),
) -> ApiResult {
    let mut review = document(request, "TokenRequest")?;
    let accounts =
        by_plural("serviceaccounts").ok_or_else(|| Rejection::not_modelled("serviceaccounts"))?;
    if cluster
        .store
        .get(&Key::new(accounts, namespace, name))
        .is_none()
    {
        return Err(Rejection::not_found(accounts, name));
    }
    let seconds = review["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if seconds < 600 {
        return Err(Rejection::new(
            422,
            "Invalid",
            "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes",
        ));
    }
    let expires = Timestamp::from_second(Timestamp::now().as_second())
        .and_then(|now| now.checked_add(SignedDuration::from_secs(seconds)))
        .map_err(|error| Rejection::bad_request(error.to_string()))?;
    review["status"] = json!({
        "token": cluster.tokens.issue(namespace, name, None),
        "expirationTimestamp": expires.to_string(),
    });
    Ok(serve::json(201, &review))
}

fn document(request: &IncomingRequest, kind: &str) -> Result<Value, Rejection> {
    if request.method != http::Method::POST {
        return Err(Rejection::not_modelled(format!(
            "{} of a {kind}",
            request.method
        )));
    }
    parameters(request, &["fieldManager", "pretty"])?;
    serde_json::from_slice(&request.body)
        .ok()
        .filter(|document: &Value| document["kind"] == kind)
        .ok_or_else(|| Rejection::bad_request(format!("the body is no {kind}")))
}
