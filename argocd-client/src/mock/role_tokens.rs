//! The tokens of roles, which a project lists in its status and in its roles.

use serde_json::{Map, Value, json};

use super::policy::Caller;
use super::projects::{RoleState, role_of};
use super::request::Query;
use super::response::Rejection;
use super::state::MockServer;

type Role<'a> = (&'a str, &'a str);

pub(super) fn create(
    server: &MockServer,
    caller: &Caller,
    (project, role): Role<'_>,
    body: &Value,
) -> Result<Value, Rejection> {
    if role_of(server, caller, project, role)? == RoleState::Missing {
        let text = format!("project '{project}' does not have role '{role}'");
        return Err(Rejection::new(5, text));
    }
    let mut state = server.state();
    let token = state.accounts.api_token(&format!("proj:{project}:{role}"));
    let issued_at = jiff::Timestamp::now().as_second();
    let generated = format!("00000000-0000-4000-8001-{issued_at:012}");
    let id = body["id"].as_str().filter(|id| !id.is_empty());
    let mut entry = json!({"iat": issued_at, "id": id.unwrap_or(&generated)});
    // The gateway takes whole numbers as texts as well.
    let seconds = body["expiresIn"].as_i64();
    let seconds = seconds.or_else(|| body["expiresIn"].as_str()?.parse().ok());
    if let Some(seconds) = seconds.filter(|seconds| *seconds > 0) {
        entry["exp"] = json!(issued_at.saturating_add(seconds));
    }
    let known = tokens(&mut state.projects, (project, role));
    if known.iter().any(|token| token["id"] == entry["id"]) {
        let text = format!(
            "rpc error: code = InvalidArgument desc = Token id '{}' has been used. ",
            id.unwrap_or_default()
        );
        return Err(Rejection::new(3, text));
    }
    let mut all = known;
    all.push(entry);
    store(&mut state.projects, (project, role), &all);
    Ok(json!({"token": token}))
}

pub(super) fn delete(
    server: &MockServer,
    caller: &Caller,
    (project, role): Role<'_>,
    issued_at: i64,
    query: &Query,
) -> Result<Value, Rejection> {
    // A role or a token that does not exist is no error.
    if role_of(server, caller, project, role)? == RoleState::Missing {
        return Ok(json!({}));
    }
    let mut state = server.state();
    let id = query.first("id").filter(|id| !id.is_empty());
    let mut left = tokens(&mut state.projects, (project, role));
    left.retain(|token| match id {
        Some(id) => token["id"] != id,
        None => token["iat"] != issued_at,
    });
    store(&mut state.projects, (project, role), &left);
    Ok(json!({}))
}

fn find<'a>(projects: &'a mut [Value], project: &str) -> Option<&'a mut Value> {
    projects
        .iter_mut()
        .find(|known| known["metadata"]["name"] == project)
}

fn tokens(projects: &mut [Value], (project, role): Role<'_>) -> Vec<Value> {
    let found =
        find(projects, project).map(|found| &found["status"]["jwtTokensByRole"][role]["items"]);
    found
        .and_then(|items| items.as_array().cloned())
        .unwrap_or_default()
}

/// Writes the tokens to both places, as the server does.
fn store(projects: &mut [Value], (project, role): Role<'_>, tokens: &[Value]) {
    let Some(found) = find(projects, project) else {
        return;
    };
    if !found["status"]["jwtTokensByRole"].is_object() {
        found["status"]["jwtTokensByRole"] = Value::Object(Map::new());
    }
    found["status"]["jwtTokensByRole"][role] = json!({"items": tokens});
    let roles = found.pointer_mut("/spec/roles");
    let roles = roles.and_then(Value::as_array_mut);
    for known in roles.into_iter().flatten() {
        if known["name"] == role {
            known["jwtTokens"] = json!(tokens);
        }
    }
}
