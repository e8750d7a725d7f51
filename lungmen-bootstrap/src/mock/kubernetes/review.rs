//! Questions to the API server: may I do this, and give me a token.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::access::{Attributes, User, allowed, grant, granted_rules, user_of_token};
use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::resource::by_plural;
use super::status::{ApiResult, Cause, Rejection};
use super::store::{Key, now};
use crate::mock::serve::{self, IncomingRequest};

/// `POST selfsubjectaccessreviews`
pub(super) fn access(cluster: &ClusterState, request: &IncomingRequest, user: &User) -> ApiResult {
    let mut review = document(request, "SelfSubjectAccessReview")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &review["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_null() == path.is_null() {
        let shown = json!({"Path": path["path"], "Verb": path["verb"]});
        let field = "spec.nonResourceAttributes";
        let problem = "cannot be specified in combination with resourceAttributes";
        let cause = Cause::invalid(field, &shown, problem);
        return Err(Rejection::invalid_kind(
            ("", "authorization.k8s.io"),
            "",
            &[cause],
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
    let mut status = json!({"allowed": allowed(user, &wanted, &cluster.store)});
    if let Some(reason) = grant(user, &wanted, &cluster.store).filter(|_| !user.is_master()) {
        status["reason"] = reason.into();
    }
    review["status"] = status;
    if review["metadata"].is_null() {
        review["metadata"] = json!({});
    }
    Ok(serve::json(201, &review))
}

/// `POST selfsubjectrulesreviews`: the rules of the roles that everybody has, then those of the bindings.
pub(super) fn rules(cluster: &ClusterState, request: &IncomingRequest, user: &User) -> ApiResult {
    const INFO: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    const DISCOVERY: [&str; 6] = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/openapi",
        "/openapi/*",
    ];
    let mut review = document(request, "SelfSubjectRulesReview")?;
    let mut discovery: Vec<&str> = DISCOVERY.into_iter().chain(INFO).collect();
    discovery.sort_unstable();
    let mut resources = vec![
        json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
        json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"]}),
    ];
    let mut paths = vec![
        json!({"verbs": ["get"], "nonResourceURLs": INFO}),
        json!({"verbs": ["get"], "nonResourceURLs": discovery}),
    ];
    for (_, rule) in granted_rules(user, &cluster.store) {
        if rule["nonResourceURLs"].is_null() {
            resources.push(rule);
        } else {
            paths.push(rule);
        }
    }
    review["metadata"] = json!({});
    review["spec"] = json!({});
    review["status"] =
        json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    Ok(serve::json(201, &review))
}

/// `POST selfsubjectreviews`
pub(super) fn own_user(
    cluster: &ClusterState,
    request: &IncomingRequest,
    user: &User,
) -> ApiResult {
    let mut review = document(request, "SelfSubjectReview")?;
    review["metadata"] = json!({"creationTimestamp": now()});
    let mut info = user_info(cluster, user);
    if let Some(certificate) = request.certificates.first() {
        let digest = Sha256::digest(certificate);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        info["extra"] =
            json!({"authentication.kubernetes.io/credential-id": [format!("X509SHA256={hex}")]});
    }
    review["status"] = json!({"userInfo": info});
    Ok(serve::json(201, &review))
}

/// `POST tokenreviews`
pub(super) fn review_token(cluster: &ClusterState, request: &IncomingRequest) -> ApiResult {
    let mut review = document(request, "TokenReview")?;
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let user = user_of_token(token, (&cluster.tokens, &cluster.store));
    review["status"] = match user {
        Some(user) => json!({"authenticated": true, "user": user_info(cluster, &user),
            "audiences": [audience(cluster)]}),
        None => json!({"user": {}, "error": "invalid bearer token"}),
    };
    review["metadata"] = json!({});
    Ok(serve::json(201, &review))
}

/// The audience of tokens: Talos sets the endpoint of the cluster.
fn audience(cluster: &ClusterState) -> String {
    match cluster.settings.names.first() {
        Some(name) => format!("https://{name}:6443"),
        None => format!("https://{}", cluster.public_address()),
    }
}

fn user_info(cluster: &ClusterState, user: &User) -> Value {
    let mut groups = user.groups.clone();
    if !groups.iter().any(|group| group == "system:authenticated") {
        groups.push("system:authenticated".to_owned());
    }
    let mut info = json!({"username": user.name, "groups": groups});
    let account = user
        .name
        .strip_prefix("system:serviceaccount:")
        .and_then(|name| name.split_once(':'));
    if let (Some((namespace, name)), Some(accounts)) = (account, by_plural("serviceaccounts")) {
        let account = cluster.store.get(&Key::new(accounts, namespace, name));
        info["uid"] = account.unwrap_or_default()["metadata"]["uid"].clone();
    }
    info
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
    let account = cluster.store.get(&Key::new(accounts, namespace, name));
    let account = account.ok_or_else(|| Rejection::not_found(accounts, name))?;
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
    review["metadata"] = json!({"name": name, "namespace": namespace,
        "uid": account["metadata"]["uid"], "creationTimestamp": now()});
    let audiences = review["spec"]["audiences"].as_array().cloned();
    review["spec"] = json!({
        "audiences": audiences.unwrap_or_else(|| vec![audience(cluster).into()]),
        "expirationSeconds": seconds,
        "boundObjectRef": review["spec"]["boundObjectRef"],
    });
    review["status"] = json!({
        "token": cluster.tokens.issue(namespace, name),
        "expirationTimestamp": expires.to_string(),
    });
    Ok(serve::json(201, &review))
}

fn document(request: &IncomingRequest, kind: &str) -> Result<Value, Rejection> {
    if request.method != http::Method::POST {
        return Err(Rejection::method_not_allowed());
    }
    parameters(request, &["fieldManager", "fieldValidation", "pretty"])?;
    serde_json::from_slice(&request.body)
        .ok()
        .filter(|document: &Value| document["kind"] == kind)
        .ok_or_else(|| Rejection::bad_request(format!("the body is no {kind}")))
}
