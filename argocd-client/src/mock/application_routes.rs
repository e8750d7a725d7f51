//! The requests about applications.

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::{ApplicationSeed, Key, change, fresh_status, insert, key, remove};
use super::auth::Caller;
use super::lifecycle::progress;
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, ServerState, now};

const CONTROL_PLANE: &str = "argocd";
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
    Ok(query.first("name").is_none_or(|wanted| wanted == name)
        && query
            .first("appNamespace")
            .is_none_or(|wanted| wanted.is_empty() || wanted == namespace)
        && (projects.is_empty() || projects.contains(&project))
        && query
            .first("repo")
            .is_none_or(|repo| application["spec"]["source"]["repoURL"] == repo)
        && selected(
            &application["metadata"]["labels"],
            query.first("selector").unwrap_or_default(),
        )?)
}

/// Equality, inequality and existence; set expressions are more than the mock understands.
fn selected(labels: &Value, selector: &str) -> Result<bool, Rejection> {
    for term in selector
        .split(',')
        .map(str::trim)
        .filter(|term| !term.is_empty())
    {
        if term.contains(['(', ')', ' ']) {
            return Err(Rejection::new(
                12,
                format!("the mock does not understand the selector {term:?}"),
            ));
        }
        let label = |key: &str| labels[key.trim()].as_str();
        let holds = if let Some((key, value)) = term.split_once("!=") {
            label(key) != Some(value)
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            label(key) == Some(value)
        } else if let Some(key) = term.strip_prefix('!') {
            label(key).is_none()
        } else {
            label(term).is_some()
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lists leave the health of resources out from 3.0 on.
fn listed(world: &MockServer, mut application: Value) -> Value {
    if !world.is_at_least((3, 0, 0)) {
        return application;
    }
    if let Some(resources) = application["status"]["resources"].as_array_mut() {
        for resource in resources.iter_mut().filter_map(Value::as_object_mut) {
            resource.remove("health");
        }
        application["status"]["resourceHealthSource"] = json!("appTree");
    }
    application
}

pub(super) fn list(world: &MockServer, caller: &Caller, query: &Query) -> Result<Value, Rejection> {
    if query.first("fields").is_some() {
        return Err(Rejection::new(12, "the mock does not project fields"));
    }
    let state = world.state();
    let visible = state.allows(caller, "applications", "get");
    let mut items = Vec::new();
    for application in state.applications.iter().filter(|_| visible) {
        if matches(application, query)? {
            items.push(listed(world, application.clone()));
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
    Ok(json!({"metadata": {"resourceVersion": state.version()}, "items": items}))
}

/// Finds an application. Only with its project is a missing one called missing.
fn find(
    state: &ServerState,
    caller: &Caller,
    name: &str,
    query: &Query,
    action: &str,
) -> Result<Key, Rejection> {
    let namespace = query
        .first("appNamespace")
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(CONTROL_PLANE);
    let wanted = (namespace.to_owned(), name.to_owned());
    let project = query.first("project").filter(|project| !project.is_empty());
    let found = state
        .applications
        .iter()
        .find(|application| key(application) == wanted);
    let found = found.filter(|application| {
        project.is_none_or(|project| application["spec"]["project"] == project)
    });
    match (found, project) {
        (Some(application), _) => {
            let project = application["spec"]["project"].as_str().unwrap_or_default();
            state.enforce(caller, "applications", action, &format!("{project}/{name}"))?;
            Ok(wanted)
        }
        (None, Some(project)) => {
            state.enforce(caller, "applications", action, &format!("{project}/{name}"))?;
            Err(Rejection::new(
                5,
                format!("applications.argoproj.io \"{name}\" not found"),
            ))
        }
        (None, None) => Err(Rejection::hidden()),
    }
}

pub(super) fn get(
    world: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = world.state();
    let wanted = find(&state, caller, name, query, "get")?;
    if query.first("refresh").is_some() {
        drop(state);
        return change(world, &wanted, |application| {
            application["status"]["reconciledAt"] = json!(now())
        })
        .ok_or_else(Rejection::hidden);
    }
    state
        .application(&wanted)
        .cloned()
        .ok_or_else(Rejection::hidden)
}

pub(super) fn create(
    world: &Arc<MockServer>,
    caller: &Caller,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    let name = body["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let namespace = body["metadata"]["namespace"]
        .as_str()
        .filter(|text| !text.is_empty())
        .unwrap_or(CONTROL_PLANE);
    let project = body["spec"]["project"].as_str().unwrap_or_default();
    let mut state = world.state();
    state.enforce(
        caller,
        "applications",
        "create",
        &format!("{project}/{name}"),
    )?;
    check_destination(&state, &name, &body["spec"]["destination"])?;
    let wanted = (namespace.to_owned(), name);
    if let Some(existing) = state.application(&wanted) {
        let same = ["labels", "annotations", "finalizers"]
            .iter()
            .all(|field| blank(&existing["metadata"][field]) == blank(&body["metadata"][field]))
            && existing["spec"] == body["spec"];
        return match (same, query.first("upsert")) {
            (true, _) => Ok(existing.clone()),
            (false, Some("true")) => {
                existing["spec"] = body["spec"].clone();
                Ok(existing.clone())
            }
            (false, _) => Err(Rejection::invalid(
                "existing application spec is different, use upsert flag to force update",
            )),
        };
    }
    drop(state);
    let mut application =
        json!({"metadata": body["metadata"], "spec": body["spec"], "status": fresh_status()});
    application["metadata"]["namespace"] = json!(wanted.0);
    application["metadata"]["uid"] = json!(format!("uid-{}-{}", wanted.0, wanted.1));
    application["metadata"]["creationTimestamp"] = json!(now());
    let application = insert(world, application);
    if application["spec"]["syncPolicy"]["automated"].is_object() {
        progress(world, wanted, &ApplicationSeed::new(""));
    }
    Ok(application)
}

/// `null`, absent and empty are the same.
fn blank(value: &Value) -> Option<&Value> {
    let empty = match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => other.is_null(),
    };
    (!empty).then_some(value)
}

fn check_destination(
    state: &ServerState,
    name: &str,
    destination: &Value,
) -> Result<(), Rejection> {
    let invalid = |why: String| {
        Err(Rejection::invalid(format!(
            "application destination spec for {name} is invalid: {why}"
        )))
    };
    match (destination["server"].as_str(), destination["name"].as_str()) {
        (Some(server), Some(cluster)) => invalid(format!(
            "application destination can't have both name and server defined: {cluster} {server}"
        )),
        (Some(server), None)
            if !state
                .clusters
                .iter()
                .any(|cluster| cluster.server() == server) =>
        {
            invalid(format!(
                "error getting cluster by server \"{server}\": cluster \"{server}\" not found"
            ))
        }
        (None, Some(wanted)) => match state
            .clusters
            .iter()
            .filter(|cluster| cluster.name() == wanted)
            .count()
        {
            0 => invalid(format!("there are no clusters with this name: {wanted}")),
            1 => Ok(()),
            many => invalid(format!(
                "there are {many} clusters with the same name: {wanted}"
            )),
        },
        (Some(_), None) => Ok(()),
        (None, None) => invalid("destination server missing from app spec".to_owned()),
    }
}

pub(super) fn delete(
    world: &MockServer,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let policy = query.first("propagationPolicy").unwrap_or_default();
    if !matches!(policy, "" | "foreground" | "background") {
        return Err(Rejection::invalid(format!(
            "invalid propagation policy: {policy}"
        )));
    }
    if query.first("cascade") == Some("false") && !policy.is_empty() {
        return Err(Rejection::invalid(
            "cannot set propagation policy when cascading is disabled",
        ));
    }
    let wanted = find(&world.state(), caller, name, query, "delete")?;
    remove(world, &wanted);
    Ok(json!({}))
}

pub(super) fn sync(
    world: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let query = Query(vec![
        ("appNamespace".to_owned(), text("appNamespace")),
        ("project".to_owned(), text("project")),
    ]);
    let mut state = world.state();
    let wanted = find(&state, caller, name, &query, "sync")?;
    let Some(application) = state.application(&wanted) else {
        return Err(Rejection::hidden());
    };
    let running = application["status"]["operationState"]["phase"] == "Running";
    if running || application["operation"].is_object() {
        return Err(Rejection::new(
            9,
            "another operation is already in progress",
        ));
    }
    drop(state);
    let changed = change(world, &wanted, |application| {
        application["operation"] = json!({"sync": {"revision": body["revision"]}, "initiatedBy": {"username": caller.account}, "retry": {}});
    });
    if body["dryRun"] != json!(true) {
        progress(world, wanted, &ApplicationSeed::new(""));
    }
    changed.ok_or_else(Rejection::hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_know_equality_and_existence() {
        let labels = json!({"a": "1"});
        for (selector, expected) in [
            ("a=1", true),
            ("a==1", true),
            ("a=2", false),
            ("a", true),
            ("!a", false),
            ("b!=1", true),
            ("a=1,b", false),
            ("", true),
        ] {
            assert_eq!(selected(&labels, selector).unwrap(), expected, "{selector}");
        }
        assert!(selected(&labels, "a in (1)").is_err());
    }
}
