//! Operations: synchronising, rolling back and terminating.

use std::sync::Arc;

use serde_json::{Value, json};

use super::application::{ApplicationSeed, Key, change};
use super::application_routes::{read, reference, without_resource_health};
use super::application_writes::{body_reference, is_deleting};
use super::controller::{self, is_deployed, is_known, resources};
use super::event::MockEvent;
use super::git::Resource;
use super::lifecycle::progress;
use super::object::blank;
use super::policy::Caller;
use super::record::{Component, record};
use super::response::Rejection;
use super::state::{Live, MockServer, now};

pub(super) fn sync(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    let (key, application) = idle(server, caller, name, body)?;
    let revision = revision(server, &application, body)?;
    let request = sync_request(&application, body, &revision);
    let mut operation =
        json!({"sync": request, "initiatedBy": {"username": caller.name()}, "retry": {}});
    if !blank(&body["retryStrategy"]) {
        operation["retry"] = super::object::pruned(&body["retryStrategy"]);
        if operation["retry"]["limit"] == 0 {
            operation["retry"] = json!({});
        }
    }
    request_operation(server, caller, &key, operation)
}

/// An application that has no operation, when the caller may synchronise it.
fn idle(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<(Key, Value), Rejection> {
    let reference = reference(name, &body_reference(body));
    let application = read(server, caller, &reference, "sync")?;
    refuse_if_busy(&application)?;
    Ok((reference.0, application))
}

pub(super) fn rollback(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    let (key, application) = idle(server, caller, name, body)?;
    if application["spec"]["syncPolicy"]["automated"].is_object() {
        return Err(Rejection::new(
            9,
            "rollback cannot be initiated when auto-sync is enabled",
        ));
    }
    let id = body["id"].as_i64().unwrap_or_default();
    let history = application["status"]["history"].as_array();
    let Some(entry) = history
        .into_iter()
        .flatten()
        .find(|entry| entry["id"] == id)
    else {
        return Err(Rejection::invalid(format!(
            "application {name} does not have deployment with id {id}"
        )));
    };
    let request = json!({"revision": entry["revision"], "source": entry["source"]});
    let operation =
        json!({"sync": request, "initiatedBy": {"username": caller.name()}, "retry": {}});
    request_operation(server, caller, &key, operation)
}

pub(super) fn terminate(
    server: &Arc<MockServer>,
    caller: &Caller,
    name: &str,
    query: &super::request::Query,
) -> Result<Value, Rejection> {
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "sync")?;
    if application["operation"].is_null()
        && application["status"]["operationState"]["phase"] != "Running"
    {
        return Err(Rejection::invalid(
            "Unable to terminate operation. No operation is in progress",
        ));
    }
    change(server, &reference.0, |application| {
        application["status"]["operationState"]["phase"] = json!("Terminating");
    });
    Ok(json!({}))
}

fn refuse_if_busy(application: &Value) -> Result<(), Rejection> {
    if is_deleting(application) {
        return Err(Rejection::new(9, "application is deleting"));
    }
    let running = matches!(
        application["status"]["operationState"]["phase"].as_str(),
        Some("Running" | "Terminating")
    );
    if running || application["operation"].is_object() {
        return Err(Rejection::new(
            9,
            "another operation is already in progress",
        ));
    }
    Ok(())
}

/// The revision to synchronise: an automated application has its own, which no request may change.
fn revision(server: &MockServer, application: &Value, body: &Value) -> Result<String, Rejection> {
    let spec = &application["spec"];
    let own = spec["source"]["targetRevision"]
        .as_str()
        .unwrap_or_default();
    let asked = body["revision"].as_str().unwrap_or_default();
    let automated = spec["syncPolicy"]["automated"].is_object();
    if automated && !asked.is_empty() && asked != own && body["dryRun"] != true {
        return Err(Rejection::new(
            9,
            format!("Cannot sync to {asked}: auto-sync currently set to {own}"),
        ));
    }
    let name = if asked.is_empty() { own } else { asked };
    let url = spec["source"]["repoURL"].as_str().unwrap_or_default();
    match server.settings.repository(url) {
        None => Ok(name.to_owned()),
        Some(repository) => repository
            .resolve(name)
            .map_err(|why| Rejection::new(9, format!("error resolving repo revision: {why}"))),
    }
}

fn sync_request(application: &Value, body: &Value, revision: &str) -> Value {
    let mut request = json!({"revision": revision, "source": application["spec"]["source"]});
    for field in ["prune", "dryRun", "manifests", "infos"] {
        if !blank(&body[field]) {
            request[field] = body[field].clone();
        }
    }
    if !blank(&body["strategy"]) {
        request["syncStrategy"] = body["strategy"].clone();
    }
    if let Some(resources) = body["resources"]
        .as_array()
        .filter(|items| !items.is_empty())
    {
        request["resources"] = resources.iter().map(super::object::pruned).collect();
    }
    let own = application["spec"]["syncPolicy"]["syncOptions"].as_array();
    let asked = body["syncOptions"]["items"].as_array();
    let options: Vec<&Value> = asked.or(own).into_iter().flatten().collect();
    if !options.is_empty() {
        request["syncOptions"] = json!(options);
    }
    request
}

/// Stores the request; the controller takes it in its next turn.
fn request_operation(
    server: &Arc<MockServer>,
    caller: &Caller,
    wanted: &Key,
    operation: Value,
) -> Result<Value, Rejection> {
    let changed = change(server, wanted, |application| {
        application["operation"] = operation;
        if let Some(status) = application["status"].as_object_mut() {
            status.remove("operationState");
        }
    })
    .ok_or_else(Rejection::hidden)?;
    let sync = &changed["operation"]["sync"];
    let message = format!(
        "{} initiated sync to {}",
        caller.name(),
        sync["revision"].as_str().unwrap_or_default()
    );
    record(
        server,
        &changed,
        Component::Server(caller),
        "OperationStarted",
        &message,
    );
    let is_dry_run = sync["dryRun"] == true;
    if is_known(server, wanted) {
        let (weak, wanted) = (Arc::downgrade(server), wanted.clone());
        server.spawn(async move {
            let Some(server) = weak.upgrade() else { return };
            server.controller_turn().await;
            run(&server, &wanted).await;
        });
    } else if !is_dry_run {
        progress(server, wanted.clone(), &ApplicationSeed::new(""));
    }
    Ok(without_resource_health(server, changed))
}

/// An automatic synchronisation of the application's own revision.
pub(super) async fn run_automatic(server: &Arc<MockServer>, wanted: &Key) {
    change(server, wanted, |application| {
        let revision = application["status"]["sync"]["revision"].clone();
        let mut request = json!({"revision": revision, "source": application["spec"]["source"]});
        if application["spec"]["syncPolicy"]["automated"]["prune"] == true {
            request["prune"] = json!(true);
        }
        let options = application["spec"]["syncPolicy"]["syncOptions"].clone();
        if !blank(&options) {
            request["syncOptions"] = options;
        }
        application["operation"] =
            json!({"sync": request, "initiatedBy": {"automated": true}, "retry": {"limit": 5}});
    });
    run(server, wanted).await;
}

async fn run(server: &Arc<MockServer>, wanted: &Key) {
    let started = now();
    change(server, wanted, |application| {
        application["status"]["operationState"] = json!({"operation": application["operation"], "phase": "Running", "startedAt": started});
    });
    server.controller_turn().await;
    let Some(application) = server.state().application(wanted).cloned() else {
        return;
    };
    if application["status"]["operationState"]["phase"] == "Terminating" {
        finish(server, wanted, "Failed", "Operation terminated", json!({}));
    } else {
        apply(server, wanted, &application);
    }
    controller::compare(server, wanted);
    server.journal.record(MockEvent::ApplicationSynced {
        name: wanted.1.clone(),
    });
    let healthy = server
        .state()
        .application(wanted)
        .is_some_and(|application| application["status"]["health"]["status"] == "Healthy");
    if healthy {
        server.journal.record(MockEvent::ApplicationHealthy {
            name: wanted.1.clone(),
        });
    }
}

/// Applies the selected resources and writes the result of the operation.
fn apply(server: &MockServer, wanted: &Key, application: &Value) {
    let request = &application["operation"]["sync"];
    let selected = |resource: &Resource| {
        let Some(chosen) = request["resources"].as_array() else {
            return true;
        };
        chosen.iter().any(|chosen| {
            let text = |field: &str| chosen[field].as_str().unwrap_or_default();
            resource.is(text("group"), text("kind"), text("namespace"), text("name"))
        })
    };
    let chosen: Vec<Resource> = resources(server, application)
        .into_iter()
        .filter(selected)
        .collect();
    let mut results = Vec::new();
    let mut failure = None;
    if !chosen.is_empty() {
        results.extend(create_namespace(server, application));
    }
    for resource in &chosen {
        let (row, error) = apply_one(server, wanted, resource, request["dryRun"] == true);
        results.push(row);
        failure = failure.or(error);
    }
    let mut result = json!({"revision": request["revision"], "source": request["source"]});
    if !results.is_empty() {
        result["resources"] = json!(results);
    }
    match failure {
        Some(why) => finish(
            server,
            wanted,
            "Failed",
            &format!("one or more objects failed to apply, reason: {why}"),
            result,
        ),
        None if chosen.is_empty() => {
            finish(
                server,
                wanted,
                "Succeeded",
                "successfully synced (no more tasks)",
                result,
            );
        }
        None => {
            finish(
                server,
                wanted,
                "Succeeded",
                "successfully synced (all tasks run)",
                result,
            );
        }
    }
}

/// The namespace of the destination, where the option asks for it and it is missing.
fn create_namespace(server: &MockServer, application: &Value) -> Option<Value> {
    let options = application["operation"]["sync"]["syncOptions"].as_array()?;
    let namespace = application["spec"]["destination"]["namespace"].as_str()?;
    if !options
        .iter()
        .any(|option| option == "CreateNamespace=true")
        || !server.state().namespaces.insert(namespace.to_owned())
    {
        return None;
    }
    Some(json!({
        "group": "", "version": "v1", "kind": "Namespace", "namespace": "", "name": namespace, "status": "Synced",
        "message": format!("namespace/{namespace} created"), "hookPhase": "Running", "syncPhase": "PreSync",
    }))
}

fn apply_one(
    server: &MockServer,
    wanted: &Key,
    resource: &Resource,
    dry_run: bool,
) -> (Value, Option<String>) {
    let mut state = server.state();
    let nothing = Vec::new();
    let deployed = is_deployed(state.live.get(wanted).unwrap_or(&nothing), resource);
    let missing = resource.has_own_namespace && !state.namespaces.contains(&resource.namespace);
    let mut row = json!({
        "group": resource.group, "version": resource.version, "kind": resource.kind,
        "namespace": resource.namespace, "name": resource.name, "syncPhase": "Sync",
    });
    if missing {
        let why = format!("namespaces \"{}\" not found", resource.namespace);
        row["status"] = json!("SyncFailed");
        row["message"] = json!(why);
        row["hookPhase"] = json!("Failed");
        return (row, Some(why));
    }
    let done = if deployed { "unchanged" } else { "created" };
    row["status"] = json!("Synced");
    row["message"] = json!(format!("{} {done}", resource.kubectl_name()));
    row["hookPhase"] = json!("Running");
    let images = resource.images();
    if !images.is_empty() {
        row["images"] = json!(images);
    }
    if !deployed && !dry_run {
        let (uid, resource_version) = (state.next_uid(), state.next_version());
        state.live.entry(wanted.clone()).or_default().push(Live {
            resource: resource.clone(),
            uid,
            resource_version,
            created_at: now(),
        });
    }
    (row, None)
}

fn finish(server: &MockServer, wanted: &Key, phase: &str, message: &str, result: Value) {
    change(server, wanted, |application| {
        let operation = application["operation"].take();
        if let Some(object) = application.as_object_mut() {
            object.remove("operation");
        }
        let state = &mut application["status"]["operationState"];
        state["phase"] = json!(phase);
        state["message"] = json!(message);
        state["finishedAt"] = json!(now());
        if result["revision"].is_string() {
            state["syncResult"] = result;
        }
        let sync = &operation["sync"];
        if phase == "Succeeded" && sync["resources"].is_null() && sync["dryRun"] != true {
            remember(application, &operation);
        }
    });
}

/// Adds a complete synchronisation to the history.
fn remember(application: &mut Value, operation: &Value) {
    let started = application["status"]["operationState"]["startedAt"].clone();
    let history = application["status"]["history"].as_array().cloned();
    let mut history = history.unwrap_or_default();
    let id = history
        .last()
        .and_then(|last| last["id"].as_i64())
        .map_or(0, |last| last + 1);
    history.push(json!({
        "revision": operation["sync"]["revision"], "deployedAt": now(), "id": id,
        "source": operation["sync"]["source"], "deployStartedAt": started, "initiatedBy": operation["initiatedBy"],
    }));
    application["status"]["history"] = json!(history);
}
