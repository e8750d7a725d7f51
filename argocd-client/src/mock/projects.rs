//! Projects, with the tokens of their roles.

use serde_json::{Value, json};

use super::object::{blank, decode, name_is_valid, pruned};
use super::policy::Caller;
use super::record::{Component, events_of, record};
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, ServerState};

/// The project that every installation has.
pub(super) fn default_project(state: &mut ServerState) {
    let mut project = json!({
        "metadata": {"name": "default"},
        "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
        "status": {},
    });
    state.born(&mut project);
    state.projects.push(project);
}

pub(super) fn list(server: &MockServer, caller: &Caller, query: &Query) -> Value {
    let state = server.state();
    let items: Vec<&Value> = state
        .projects
        .iter()
        .filter(|project| {
            let name = project["metadata"]["name"].as_str().unwrap_or_default();
            state.allows(caller, "projects", "get", name)
                && query
                    .first("name")
                    .is_none_or(|wanted| wanted.is_empty() || wanted == name)
        })
        .collect();
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    json!({"metadata": {"resourceVersion": state.version()}, "items": items})
}

fn find(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    action: &str,
) -> Result<Value, Rejection> {
    let state = server.state();
    state.enforce(caller, "projects", action, name)?;
    state
        .projects
        .iter()
        .find(|project| project["metadata"]["name"] == name)
        .cloned()
        .ok_or_else(|| not_found(name))
}

pub(super) fn get(server: &MockServer, caller: &Caller, name: &str) -> Result<Value, Rejection> {
    find(server, caller, name, "get")
}

pub(super) fn create(
    server: &MockServer,
    caller: &Caller,
    body: &Value,
) -> Result<Value, Rejection> {
    let wanted = payload(body)?;
    let name = wanted["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    server
        .state()
        .enforce(caller, "projects", "create", &name)?;
    let existing = server
        .state()
        .projects
        .iter()
        .find(|project| project["metadata"]["name"] == name.as_str())
        .cloned();
    if let Some(existing) = existing {
        if existing["spec"] == wanted["spec"] {
            return Ok(existing);
        }
        if body["upsert"] != true {
            return Err(Rejection::invalid(
                "existing project spec is different; use upsert flag to force update; difference in keys \"Spec\"",
            ));
        }
        server
            .state()
            .enforce(caller, "projects", "update", &name)?;
        let project = store(server, &name, &wanted["spec"])?;
        // An upsert is recorded as a creation (3.5.1).
        record_creation(server, caller, &project);
        return Ok(project);
    }
    name_is_valid("AppProject", &name)?;
    let mut project = wanted;
    let mut state = server.state();
    state.born(&mut project);
    state.projects.push(project.clone());
    drop(state);
    record_creation(server, caller, &project);
    Ok(project)
}

fn record_creation(server: &MockServer, caller: &Caller, project: &Value) {
    let message = format!("{} created project", caller.name());
    record(
        server,
        project,
        Component::Server(caller),
        "ResourceCreated",
        &message,
    );
}

fn payload(body: &Value) -> Result<Value, Rejection> {
    if !body["project"].is_object() {
        return Err(Rejection::invalid("missing payload 'project' in request"));
    }
    decode(&body["project"], "AppProject")?;
    let project = &body["project"];
    let mut metadata = json!({"name": project["metadata"]["name"]});
    for field in ["labels", "annotations", "resourceVersion"] {
        if !blank(&project["metadata"][field]) {
            metadata[field] = project["metadata"][field].clone();
        }
    }
    Ok(json!({"metadata": metadata, "spec": pruned(&project["spec"]), "status": {}}))
}

fn store(server: &MockServer, name: &str, spec: &Value) -> Result<Value, Rejection> {
    let mut state = server.state();
    let missing = || Rejection::new(5, format!("appprojects.argoproj.io \"{name}\" not found"));
    let index = state
        .projects
        .iter()
        .position(|project| project["metadata"]["name"] == name)
        .ok_or_else(missing)?;
    let mut project = state.projects[index].clone();
    project["spec"] = spec.clone();
    state.touched(&mut project);
    state.projects[index] = project.clone();
    Ok(project)
}

pub(super) fn update(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    let wanted = payload(body)?;
    let existing = find(server, caller, name, "update")?;
    let sent = &wanted["metadata"]["resourceVersion"];
    if *sent != existing["metadata"]["resourceVersion"] {
        return Err(Rejection::new(
            10,
            format!(
                "Operation cannot be fulfilled on appprojects.argoproj.io \"{name}\": the object has been modified; please \
                 apply your changes to the latest version and try again"
            ),
        ));
    }
    let project = store(server, name, &wanted["spec"])?;
    let message = format!("{} updated project", caller.name());
    record(
        server,
        &project,
        Component::Server(caller),
        "ResourceUpdated",
        &message,
    );
    Ok(project)
}

pub(super) fn delete(server: &MockServer, caller: &Caller, name: &str) -> Result<Value, Rejection> {
    if name == "default" {
        return Err(Rejection::invalid(
            "name 'default' is reserved and cannot be deleted",
        ));
    }
    find(server, caller, name, "delete")?;
    let mut state = server.state();
    let used = state
        .applications
        .iter()
        .filter(|application| application["spec"]["project"] == name)
        .count();
    if used > 0 {
        return Err(Rejection::invalid(format!(
            "project is referenced by {used} applications"
        )));
    }
    state
        .projects
        .retain(|project| project["metadata"]["name"] != name);
    Ok(json!({}))
}

pub(super) fn detailed(
    server: &MockServer,
    caller: &Caller,
    name: &str,
) -> Result<Value, Rejection> {
    let project = find(server, caller, name, "get")?;
    let state = server.state();
    let mut shown = json!({"project": project});
    let own: Vec<Value> = state
        .repositories
        .iter()
        .filter(|repository| repository["project"] == name)
        .map(super::repositories::shown)
        .collect();
    if !own.is_empty() {
        shown["repositories"] = json!(own);
    }
    Ok(shown)
}

pub(super) fn events(server: &MockServer, caller: &Caller, name: &str) -> Result<Value, Rejection> {
    let project = find(server, caller, name, "get")?;
    Ok(events_of(server, &project))
}

/// Parts that the mock's projects never have.
pub(super) fn nothing(
    server: &MockServer,
    caller: &Caller,
    name: &str,
) -> Result<Value, Rejection> {
    find(server, caller, name, "get")?;
    Ok(json!({}))
}

/// Whether the project has the role.
pub(super) fn role_of(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    role: &str,
) -> Result<RoleState, Rejection> {
    let state = server.state();
    let mut projects = state.projects.iter();
    let project = projects
        .find(|project| project["metadata"]["name"] == name)
        .ok_or_else(|| not_found(name))?;
    let roles = project["spec"]["roles"].as_array();
    let mut roles = roles.into_iter().flatten();
    if !roles.any(|known| known["name"] == role) {
        return Ok(RoleState::Missing);
    }
    state.enforce(caller, "projects", "update", name)?;
    Ok(RoleState::Present)
}

/// Whether a project has a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleState {
    Present,
    Missing,
}

fn not_found(name: &str) -> Rejection {
    Rejection::new(5, format!("appprojects.argoproj.io \"{name}\" not found"))
}
