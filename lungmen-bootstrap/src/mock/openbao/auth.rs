//! Logins, and the requests of a token about itself.

use http::Method;
use serde_json::{Value, json};

use super::envelope::{self, ApiResult, Rejection};
use super::handler::ApiRequest;
use super::policy::capabilities;
use super::state::{OpenBaoState, Token};

/// Answers a login; `None` when the path is no login.
pub(super) fn login(state: &mut OpenBaoState, request: &ApiRequest) -> Option<ApiResult> {
    let is_login = request.path.starts_with("auth/") && request.path.contains("/login");
    if !is_login {
        return None;
    }
    if !matches!(request.method, Method::POST | Method::PUT) {
        return Some(Err(Rejection::not_modelled(format!(
            "{} of a login",
            request.method
        ))));
    }
    let candidates: Vec<_> = state
        .accounts
        .iter()
        .filter(|account| account.path == request.path)
        .cloned()
        .collect();
    // An unknown path answers an unknown caller like a missing permission.
    let Some(first) = candidates.first() else {
        return Some(Err(Rejection::permission_denied()));
    };
    let fits = candidates.iter().find(|account| {
        let mut fields = account.fields.iter();
        fields.all(|(name, value)| request.body[*name] == value.as_str())
    });
    Some(match fits {
        Some(account) => {
            let token = state.issue(&account.owner, &account.policies);
            Ok(envelope::auth(describe(
                &token,
                &account.policies,
                &account.owner,
            )))
        }
        None => Err(Rejection::new(first.rejection.0, first.rejection.1)),
    })
}

fn describe(token: &str, policies: &[String], owner: &str) -> Value {
    let policies: Vec<&str> = ["default"]
        .into_iter()
        .chain(policies.iter().map(String::as_str))
        .collect();
    json!({
        "client_token": token,
        "accessor": "00000000-0000-4000-8000-00000000acce",
        "policies": policies,
        "token_policies": policies,
        "metadata": {"username": owner},
        "lease_duration": 600,
        "renewable": true,
        "entity_id": "",
        "token_type": "service",
        "orphan": true,
        "mfa_requirement": null,
        "num_uses": 0,
    })
}

/// `auth/token/…-self`
pub(super) fn token(
    state: &mut OpenBaoState,
    request: &ApiRequest,
    (text, token): (&str, &Token),
) -> ApiResult {
    match (&request.method, request.path.as_str()) {
        (&Method::GET, "auth/token/lookup-self") => Ok(envelope::data(lookup(text, token))),
        (&Method::POST | &Method::PUT, "auth/token/renew-self") if token.session => Ok(
            envelope::auth(describe(text, &token.policies, &token.owner)),
        ),
        (&Method::POST | &Method::PUT, "auth/token/renew-self") => {
            Err(Rejection::new(400, "lease is not renewable"))
        }
        (&Method::POST | &Method::PUT, "auth/token/revoke-self") => {
            state.tokens.remove(text);
            Ok(envelope::done())
        }
        _ => Err(request.not_modelled()),
    }
}

fn lookup(text: &str, token: &Token) -> Value {
    let policies: Vec<String> = if token.root {
        vec!["root".to_owned()]
    } else {
        ["default".to_owned()]
            .into_iter()
            .chain(token.policies.clone())
            .collect()
    };
    json!({
        "accessor": "00000000-0000-4000-8000-00000000acce",
        "creation_time": 1_795_334_421,
        "creation_ttl": if token.root { 0 } else { 600 },
        "display_name": token.owner,
        "entity_id": "",
        "expire_time": if token.root { Value::Null } else { "2030-01-01T00:00:00Z".into() },
        "explicit_max_ttl": 0,
        "id": text,
        "issue_time": "2026-01-01T00:00:00Z",
        "meta": null,
        "num_uses": 0,
        "orphan": true,
        "path": "auth/token/create",
        "policies": policies,
        "renewable": token.session,
        "ttl": if token.root { 0 } else { 600 },
        "type": "service",
    })
}

/// `sys/capabilities-self`
pub(super) fn own_capabilities(
    state: &OpenBaoState,
    request: &ApiRequest,
    token: &Token,
) -> ApiResult {
    let rules = state.rules(token);
    let mut found = serde_json::Map::new();
    for path in request.body["paths"].as_array().into_iter().flatten() {
        let Some(path) = path.as_str() else {
            return Err(Rejection::new(400, "paths must be strings"));
        };
        let mut granted: Vec<String> = capabilities(&rules, path).into_iter().collect();
        if token.root {
            granted = vec!["root".to_owned()];
        } else if granted.is_empty() {
            granted = vec!["deny".to_owned()];
        }
        found.insert(path.to_owned(), granted.into());
    }
    Ok(envelope::system(found))
}
