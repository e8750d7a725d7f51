//! The requests about accounts, sessions, settings and the version.

use serde_json::{Value, json};

use super::accounts::authenticate;
use super::policy::{Caller, check_words};
use super::request::Request;
use super::response::Rejection;
use super::state::MockServer;

/// What the server shows of its resource customisations, as it was recorded from 3.5.1.
const RESOURCE_OVERRIDES: &str = include_str!("data/resource-overrides.json");

pub(super) fn version(server: &MockServer, token: Option<&str>) -> Value {
    let version = &server.settings.version;
    match authenticate(server, token) {
        Ok(Caller {
            account: Some(_), ..
        }) => json!({
            "Version": version, "BuildDate": "2026-08-12T00:00:00Z", "GitTreeState": "clean",
            "GitCommit": "109ca7ca71139e514114499d294a492e7910a965", "GoVersion": "go1.26.8", "Compiler": "gc",
            "Platform": "linux/amd64",
            "KustomizeVersion": "could not get kustomize version: exec: \"kustomize\": executable file not found in $PATH",
            "HelmVersion": "could not get helm version: exec: \"helm\": executable file not found in $PATH",
            "JsonnetVersion": "v0.22.0",
        }),
        _ => json!({"Version": version}),
    }
}

pub(super) fn log_in(server: &MockServer, request: &Request) -> Result<String, Rejection> {
    let body = request.body()?.unwrap_or_default();
    server.state().accounts.log_in(&body)
}

pub(super) fn user_info(server: &MockServer, token: Option<&str>) -> Value {
    match authenticate(server, token) {
        Ok(Caller {
            account: Some(account),
            ..
        }) => json!({"loggedIn": true, "username": account, "iss": "argocd"}),
        _ => json!({}),
    }
}

/// Some settings are for those that are logged in only; the customisations were public before 3.3.
pub(super) fn settings(server: &MockServer, token: Option<&str>) -> Value {
    let known = authenticate(server, token).is_ok_and(|caller| caller.account.is_some());
    let mut settings = json!({
        "url": server.settings.url, "appLabelKey": "app.kubernetes.io/instance",
        "googleAnalytics": {"anonymizeUsers": true},
        "kustomizeOptions": {"BuildOptions": "", "BinaryPath": "", "Versions": null},
        "help": {}, "trackingMethod": "annotation",
    });
    if server.is_at_least((3, 3, 0)) {
        settings["syncWithReplaceAllowed"] = json!(true);
    }
    if !server.settings.application_namespaces.is_empty() {
        settings["appsInAnyNamespaceEnabled"] = json!(true);
    }
    if let Some(oidc) = &server.settings.oidc {
        settings["oidcConfig"] = oidc.clone();
    }
    if known || !server.is_at_least((3, 3, 0)) {
        settings["resourceOverrides"] =
            serde_json::from_str(RESOURCE_OVERRIDES).unwrap_or_default();
    }
    if known {
        settings["controllerNamespace"] = json!("argocd");
        settings["passwordPattern"] = json!("^.{8,32}$");
    }
    settings
}

pub(super) fn can_i(
    server: &MockServer,
    caller: &Caller,
    parameters: &[String],
) -> Result<Value, Rejection> {
    let [resource, action, object] = parameters else {
        return Ok(json!({"value": "no"}));
    };
    check_words(resource, action)?;
    let object = &rbac_object(resource, object);
    let allowed = server.state().allows(caller, resource, action, object);
    Ok(json!({"value": if allowed { "yes" } else { "no" }}))
}

/// `PROJECT/NAMESPACE/NAME` is `PROJECT/NAME` in the namespace of Argo CD (`security.RBACName`, 3.5.1).
fn rbac_object(resource: &str, object: &str) -> String {
    let of_projects = [
        "applications",
        "applicationsets",
        "logs",
        "exec",
        "clusters",
        "repositories",
    ];
    let parts: Vec<&str> = object.split('/').collect();
    match parts.as_slice() {
        [project, namespace, name] if of_projects.contains(&resource) && *namespace == "argocd" => {
            format!("{project}/{name}")
        }
        _ => object.to_owned(),
    }
}

/// An account may act on itself; for others it needs the right.
fn check(server: &MockServer, caller: &Caller, name: &str, action: &str) -> Result<(), Rejection> {
    if caller.name() == name {
        return Ok(());
    }
    server.state().enforce(caller, "accounts", action, name)
}

pub(super) fn list(server: &MockServer, caller: &Caller) -> Result<Value, Rejection> {
    let names = server.state().accounts.names();
    let mut items = Vec::new();
    for name in names {
        if check(server, caller, &name, "get").is_ok() {
            items.push(server.state().accounts.show(&name)?);
        }
    }
    Ok(json!({"items": items}))
}

pub(super) fn get(server: &MockServer, caller: &Caller, name: &str) -> Result<Value, Rejection> {
    check(server, caller, name, "get")?;
    server.state().accounts.show(name)
}

pub(super) fn set_password(
    server: &MockServer,
    caller: &Caller,
    body: &Value,
) -> Result<Value, Rejection> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let name = match text("name") {
        "" => caller.name(),
        name => name,
    };
    check(server, caller, name, "update")?;
    let mut state = server.state();
    if !state
        .accounts
        .password_is(caller.name(), text("currentPassword"))
    {
        return Err(Rejection::invalid("current password does not match"));
    }
    state.accounts.set_password(name, text("newPassword"))?;
    Ok(json!({}))
}

pub(super) fn create_token(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    check(server, caller, name, "update")?;
    let token = server.state().accounts.create_token(name, body)?;
    Ok(json!({"token": token}))
}

pub(super) fn delete_token(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    id: &str,
) -> Result<Value, Rejection> {
    check(server, caller, name, "update")?;
    server.state().accounts.delete_token(name, id)?;
    Ok(json!({}))
}
