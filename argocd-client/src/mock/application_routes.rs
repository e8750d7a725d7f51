//! The requests about applications: reading, and the rights that reading needs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::application::{CONTROL_PLANE, Key, change, key, rbac_name};
use super::controller;
use super::policy::Caller;
use super::projection::project;
use super::request::{Query, Request};
use super::response::Rejection;
use super::selector;
use super::state::{MockServer, ServerState};
use crate::rbac::glob;

/// Whether an application passes the filters of a list or watch. Unknown parameters are ignored,
/// as the server does.
pub(super) fn matches(application: &Value, query: &Query) -> Result<bool, Rejection> {
    let (namespace, name) = key(application);
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    let named: Vec<&str> = query.all("project").collect();
    let projects: Vec<&str> = if named.is_empty() {
        query.all("projects").collect()
    } else {
        named
    };
    let selected = selector::matches(
        &application["metadata"]["labels"],
        query.first("selector").unwrap_or_default(),
    )?;
    Ok(selected
        && query.first("name").is_none_or(|wanted| wanted == name)
        && query
            .first("appNamespace")
            .is_none_or(|wanted| wanted.is_empty() || wanted == namespace)
        && (projects.is_empty() || projects.contains(&project))
        && query
            .first("repo")
            .is_none_or(|repo| application["spec"]["source"]["repoURL"] == repo))
}

/// An application without the health of its resources, which lists and writes leave out from 3.0 on.
pub(super) fn without_resource_health(server: &MockServer, mut application: Value) -> Value {
    if !server.is_at_least((3, 0, 0)) {
        return application;
    }
    if let Some(resources) = application
        .pointer_mut("/status/resources")
        .and_then(Value::as_array_mut)
    {
        for resource in resources.iter_mut().filter_map(Value::as_object_mut) {
            resource.remove("health");
        }
        application["status"]["resourceHealthSource"] = json!("appTree");
    }
    application
}

/// Whether the caller may see an application.
pub(super) fn is_visible(state: &ServerState, caller: &Caller, application: &Value) -> bool {
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    state.allows(
        caller,
        "applications",
        "get",
        &rbac_name(project, &key(application)),
    )
}

pub(super) fn list(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
) -> Result<Value, Rejection> {
    let state = server.state();
    // A bad selector is an error even when there is nothing to select from.
    selector::matches(&Value::Null, query.first("selector").unwrap_or_default())?;
    let mut items = Vec::new();
    for application in &state.applications {
        if is_visible(&state, caller, application) && matches(application, query)? {
            items.push(without_resource_health(server, application.clone()));
        }
    }
    items.sort_by_key(|application| key(application).1);
    if query.first("name").is_some() {
        items.truncate(1);
    }
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    let list = json!({"metadata": {"resourceVersion": state.version()}, "items": items});
    Ok(project(&list, query.first("fields")))
}

/// The application that a path and its query name.
pub(super) fn reference(name: &str, query: &Query) -> (Key, Option<String>) {
    let given = |field: &str| {
        query
            .first(field)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let namespace = given("appNamespace").unwrap_or_else(|| CONTROL_PLANE.to_owned());
    ((namespace, name.to_owned()), given("project"))
}

/// Finds an application that the caller may see, and checks the right to `action` on it.
///
/// Without the right to see it, it looks like a missing one; only with its project is a missing one
/// called missing. The right to do more is refused with the name of the object.
pub(super) fn find(
    state: &ServerState,
    caller: &Caller,
    (wanted, project): &(Key, Option<String>),
    action: &str,
) -> Result<(), Rejection> {
    let name = &wanted.1;
    if let Some(project) = project {
        state.enforce_hidden(caller, "applications", "get", &rbac_name(project, wanted))?;
    }
    let missing = || match project {
        Some(_) => Rejection::new(5, format!("applications.argoproj.io \"{name}\" not found")),
        None => Rejection::hidden(),
    };
    let found = state
        .applications
        .iter()
        .find(|application| key(application) == *wanted)
        .ok_or_else(missing)?;
    let own = found["spec"]["project"].as_str().unwrap_or_default();
    let object = rbac_name(own, wanted);
    if !state.allows(caller, "applications", "get", &object)
        || project.as_ref().is_some_and(|project| project != own)
    {
        return Err(missing());
    }
    state.enforce(caller, "applications", action, &object)
}

/// Reads one application for the caller.
pub(super) fn read(
    server: &MockServer,
    caller: &Caller,
    reference: &(Key, Option<String>),
    action: &str,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    find(&state, caller, reference, action)?;
    state
        .application(&reference.0)
        .cloned()
        .ok_or_else(Rejection::hidden)
}

pub(super) async fn get(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Value, Rejection> {
    let reference = reference(name, &request.query);
    let application = read(server, caller, &reference, "get")?;
    if request.query.first("refresh").is_none() {
        return Ok(project(&application, request.query.first("fields")));
    }
    refresh(server, &reference.0, request.grpc_timeout()).await
}

/// Any value of the parameter asks for a refresh, which waits for the controller. It leaves an
/// annotation behind, although the request is a GET.
async fn refresh(
    server: &Arc<MockServer>,
    wanted: &Key,
    deadline: Option<Duration>,
) -> Result<Value, Rejection> {
    let refreshed = async {
        server.controller_turn().await;
        controller::compare(server, wanted);
        change(server, wanted, |application| {
            application["metadata"]["annotations"]["argocd.argoproj.io/hydrate"] = json!("normal");
        })
        .ok_or_else(Rejection::hidden)
    };
    match deadline {
        None => refreshed.await,
        Some(deadline) => tokio::time::timeout(deadline, refreshed)
            .await
            .unwrap_or_else(|_| Err(Rejection::new(2, "application refresh deadline exceeded"))),
    }
}

/// Whether applications may live in a namespace.
pub(super) fn check_namespace(server: &MockServer, namespace: &str) -> Result<(), Rejection> {
    let allowed = &server.settings.application_namespaces;
    if namespace == CONTROL_PLANE || allowed.iter().any(|pattern| glob(pattern, namespace)) {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "namespace '{namespace}' is not permitted"
    )))
}
