//! Logging in, and what a token can ask about itself.

use http::Method;
use serde_json::{Value, json};

use super::envelope::{self, Answer, Refusal};
use super::handler::Asked;
use super::policy::capabilities;
use super::state::{State, Token};

/// Answers a login; `None` when the path is no login.
pub(super) fn login(state: &mut State, asked: &Asked) -> Option<Answer> {
    let is_login = asked.path.starts_with("auth/") && asked.path.contains("/login");
    if !is_login {
        return None;
    }
    if !matches!(asked.method, Method::POST | Method::PUT) {
        return Some(Err(Refusal::not_modelled(format!(
            "{} of a login",
            asked.method
        ))));
    }
    let candidates: Vec<_> = state
        .accounts
        .iter()
        .filter(|account| account.path == asked.path)
        .cloned()
        .collect();
    // An unknown path answers an unknown caller like a missing permission.
    let Some(first) = candidates.first() else {
        return Some(Err(Refusal::permission_denied()));
    };
    let fits = candidates.iter().find(|account| {
        let mut fields = account.fields.iter();
        fields.all(|(name, value)| asked.body[*name] == value.as_str())
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
        None => Err(Refusal::new(first.refusal.0, first.refusal.1)),
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
pub(super) fn token(state: &mut State, asked: &Asked, (text, token): (&str, &Token)) -> Answer {
    match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "auth/token/lookup-self") => Ok(envelope::data(lookup(text, token))),
        (&Method::POST | &Method::PUT, "auth/token/renew-self") if token.session => Ok(
            envelope::auth(describe(text, &token.policies, &token.owner)),
        ),
        (&Method::POST | &Method::PUT, "auth/token/renew-self") => {
            Err(Refusal::new(400, "lease is not renewable"))
        }
        (&Method::POST | &Method::PUT, "auth/token/revoke-self") => {
            state.tokens.remove(text);
            Ok(envelope::done())
        }
        _ => Err(asked.not_modelled()),
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
pub(super) fn own_capabilities(state: &State, asked: &Asked, token: &Token) -> Answer {
    let rules = state.rules(token);
    let mut found = serde_json::Map::new();
    for path in asked.body["paths"].as_array().into_iter().flatten() {
        let Some(path) = path.as_str() else {
            return Err(Refusal::new(400, "paths must be strings"));
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
