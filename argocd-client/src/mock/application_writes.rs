//! The requests that create, change and delete applications.

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::{
    CONTROL_PLANE, Key, change, fresh_status, insert, key, rbac_name, remove,
};
use super::application_routes::{check_namespace, find, read, reference, without_resource_health};
use super::controller;
use super::object::{blank, decode, merge_patch, name_is_valid, pruned};
use super::policy::Caller;
use super::record::{Component, record};
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, now};
use super::validation::validate;

/// The body of an application as it is stored: known parts, no empty values, a project.
fn stored(body: &Value) -> Value {
    let mut spec = pruned(&body["spec"]);
    if blank(&spec["project"]) {
        spec["project"] = json!("default");
    }
    let mut metadata = json!({"name": body["metadata"]["name"]});
    for field in ["namespace", "labels", "annotations", "finalizers"] {
        if !blank(&body["metadata"][field]) {
            metadata[field] = body["metadata"][field].clone();
        }
    }
    json!({"metadata": metadata, "spec": spec})
}

pub(super) fn create(
    server: &Arc<MockServer>,
    caller: &Caller,
    query: &Query,
    body: Option<&Value>,
) -> Result<Value, Rejection> {
    let Some(body) = body else {
        return Err(Rejection::new(
            13,
            "grpc: error while marshaling: proto: required field \"application\" not set",
        ));
    };
    decode(body, "Application")?;
    let mut wanted = stored(body);
    let name = wanted["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let namespace = wanted["metadata"]["namespace"]
        .as_str()
        .unwrap_or(CONTROL_PLANE)
        .to_owned();
    let project = wanted["spec"]["project"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let reference: Key = (namespace, name);
    server.state().enforce(
        caller,
        "applications",
        "create",
        &rbac_name(&project, &reference),
    )?;
    check_namespace(server, &reference.0)?;
    if query.first("validate") != Some("false") {
        validate(server, &reference.1, &wanted["spec"])?;
    }
    name_is_valid("error creating application: Application", &reference.1)?;
    let existing = server.state().application(&reference).cloned();
    if let Some(existing) = existing {
        return again(server, caller, query, &reference, &existing, &wanted);
    }
    wanted["status"] = fresh_status();
    wanted["metadata"]["namespace"] = json!(reference.0);
    let application = insert(server, wanted);
    let message = format!("{} created application", caller.name());
    record(
        server,
        &application,
        Component::Server(caller),
        "ResourceCreated",
        &message,
    );
    controller::start(server, reference);
    Ok(application)
}

/// What an application is compared by.
fn is_same(existing: &Value, wanted: &Value) -> bool {
    let same = |field: &str| {
        let (a, b) = (&existing["metadata"][field], &wanted["metadata"][field]);
        a == b || (blank(a) && blank(b))
    };
    existing["spec"] == wanted["spec"]
        && ["labels", "annotations", "finalizers"]
            .into_iter()
            .all(same)
}

fn again(
    server: &Arc<MockServer>,
    caller: &Caller,
    query: &Query,
    reference: &Key,
    existing: &Value,
    wanted: &Value,
) -> Result<Value, Rejection> {
    if is_same(existing, wanted) {
        return Ok(existing.clone());
    }
    if query.first("upsert") != Some("true") {
        return Err(Rejection::invalid(
            "existing application spec is different, use upsert flag to force update",
        ));
    }
    let project = wanted["spec"]["project"].as_str().unwrap_or_default();
    server.state().enforce(
        caller,
        "applications",
        "update",
        &rbac_name(project, reference),
    )?;
    // Labels and annotations are merged, finalizers replaced.
    let changed = change(server, reference, |application| {
        application["spec"] = wanted["spec"].clone();
        for field in ["labels", "annotations"] {
            for (key, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
                application["metadata"][field][key] = value.clone();
            }
        }
        set_or_remove(
            &mut application["metadata"],
            "finalizers",
            &wanted["metadata"]["finalizers"],
        );
    });
    controller::start(server, reference.clone());
    changed.ok_or_else(Rejection::hidden)
}

fn set_or_remove(object: &mut Value, field: &str, value: &Value) {
    if blank(value) {
        if let Some(object) = object.as_object_mut() {
            object.remove(field);
        }
    } else {
        object[field] = value.clone();
    }
}

/// `PUT`: specification, labels, annotations and finalizers are those of the body.
pub(super) fn update(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    decode(body, "Application")?;
    let wanted = stored(body);
    let namespace = wanted["metadata"]["namespace"]
        .as_str()
        .unwrap_or(CONTROL_PLANE);
    let (mut found, project) = reference(name, query);
    namespace.clone_into(&mut found.0);
    replace(server, caller, (found, project), query, |application| {
        application["spec"] = wanted["spec"].clone();
        for field in ["labels", "annotations", "finalizers"] {
            set_or_remove(
                &mut application["metadata"],
                field,
                &wanted["metadata"][field],
            );
        }
    })
}

/// `PUT …/spec`: only the specification; the response is the specification.
pub(super) fn update_spec(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    let wanted = stored(&json!({"spec": body}));
    let changed = replace(
        server,
        caller,
        reference(name, query),
        query,
        |application| {
            application["spec"] = wanted["spec"].clone();
        },
    )?;
    Ok(changed["spec"].clone())
}

pub(super) fn patch(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    let query = body_reference(body);
    let reference = reference(name, &query);
    let mut application = read(server, caller, &reference, "update")?;
    let text = body["patch"].as_str().unwrap_or_default();
    let patch: Value =
        serde_json::from_str(text).map_err(|error| Rejection::new(2, error.to_string()))?;
    match body["patchType"].as_str().unwrap_or_default() {
        "" | "merge" => merge_patch(&mut application, &patch),
        "json" => super::object::json_patch(&mut application, &patch)?,
        other => {
            return Err(Rejection::invalid(format!(
                "Patch type '{other}' is not supported"
            )));
        }
    }
    let patched = stored(&application);
    replace(
        server,
        caller,
        reference,
        &Query::default(),
        |application| {
            application["spec"] = patched["spec"].clone();
            for field in ["labels", "annotations", "finalizers"] {
                set_or_remove(
                    &mut application["metadata"],
                    field,
                    &patched["metadata"][field],
                );
            }
        },
    )
}

fn replace(
    server: &Arc<MockServer>,
    caller: &Caller,
    reference: (Key, Option<String>),
    query: &Query,
    edit: impl FnOnce(&mut Value),
) -> Result<Value, Rejection> {
    let mut application = read(server, caller, &reference, "update")?;
    edit(&mut application);
    if query.first("validate") != Some("false") {
        validate(server, &reference.0.1, &application["spec"])?;
    }
    let changed = change(server, &reference.0, |stored| {
        stored["metadata"] = application["metadata"].clone();
        stored["spec"] = application["spec"].clone();
    });
    controller::start(server, reference.0);
    changed
        .map(|application| without_resource_health(server, application))
        .ok_or_else(Rejection::hidden)
}

/// The namespace and project that a body names.
pub(super) fn body_reference(body: &Value) -> Query {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    Query(vec![
        ("appNamespace".to_owned(), text("appNamespace")),
        ("project".to_owned(), text("project")),
    ])
}

pub(super) fn delete(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let policy = query.first("propagationPolicy").unwrap_or_default();
    let wanted = reference(name, query);
    find(&server.state(), caller, &wanted, "delete")?;
    let cascades = query.first("cascade") != Some("false");
    if !cascades && !policy.is_empty() {
        return Err(Rejection::invalid(
            "cannot set propagation policy when cascading is disabled",
        ));
    }
    let suffix = match policy {
        "" => "",
        "foreground" => "/foreground",
        "background" => "/background",
        other => {
            return Err(Rejection::invalid(format!(
                "invalid propagation policy: {other}"
            )));
        }
    };
    let finalizer = format!("resources-finalizer.argocd.argoproj.io{suffix}");
    remove_in_background(server, wanted.0, cascades.then_some(finalizer));
    Ok(json!({}))
}

/// The object stays, with the time of its deletion, until its finalizer is done.
fn remove_in_background(server: &Arc<MockServer>, wanted: Key, finalizer: Option<String>) {
    let Some(finalizer) = finalizer else {
        return remove(server, &wanted);
    };
    change(server, &wanted, |application| {
        let metadata = &mut application["metadata"];
        let finalizers = metadata["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut kept: Vec<Value> = finalizers
            .into_iter()
            .filter(|known| {
                !known.as_str().is_some_and(|known| {
                    known.starts_with("resources-finalizer.argocd.argoproj.io")
                })
            })
            .collect();
        kept.push(json!(finalizer));
        metadata["finalizers"] = json!(kept);
        if metadata["deletionTimestamp"].is_null() {
            metadata["deletionTimestamp"] = json!(now());
            metadata["deletionGracePeriodSeconds"] = json!(0);
        }
    });
    let weak = Arc::downgrade(server);
    server.spawn(async move {
        let Some(server) = weak.upgrade() else { return };
        server.controller_turn().await;
        remove(&server, &wanted);
    });
}

/// Whether an application is being deleted.
pub(super) fn is_deleting(application: &Value) -> bool {
    !application["metadata"]["deletionTimestamp"].is_null() && !key(application).1.is_empty()
}
