//! Repositories and the templates of their credentials.

use serde_json::{Value, json};

use super::object::{blank, decode};
use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, now};
use super::trust::listed;

/// Never given back.
const SECRETS: [&str; 9] = [
    "password",
    "sshPrivateKey",
    "bearerToken",
    "tlsClientCertData",
    "tlsClientCertKey",
    "githubAppPrivateKey",
    "gcpServiceAccountKey",
    "username",
    "azureServicePrincipalClientSecret",
];

/// A repository without its secrets; the name of the user is one of them.
pub(super) fn shown(repository: &Value) -> Value {
    let mut shown = repository.clone();
    if let Some(object) = shown.as_object_mut() {
        object.retain(|key, value| !SECRETS.contains(&key.as_str()) && !blank(value));
    }
    shown["connectionState"] = json!({"status": "Successful", "message": "", "attemptedAt": now()});
    shown
}

pub(super) fn list(server: &MockServer, caller: &Caller, query: &Query) -> Value {
    let state = server.state();
    let items: Vec<Value> = state
        .repositories
        .iter()
        .filter(|repository| {
            let url = repository["repo"].as_str().unwrap_or_default();
            state.allows(caller, "repositories", "get", &object(repository))
                && query
                    .first("repo")
                    .is_none_or(|wanted| wanted.is_empty() || wanted == url)
        })
        .map(shown)
        .collect();
    listed(items)
}

/// The object of RBAC: the address, or `project/address`.
fn object(repository: &Value) -> String {
    let text = |field: &str| repository[field].as_str().unwrap_or_default();
    match text("project") {
        "" => text("repo").to_owned(),
        project => format!("{project}/{}", text("repo")),
    }
}

/// Finds a repository. A missing one looks like a missing right, also for administrators (3.5.1).
fn find(server: &MockServer, caller: &Caller, url: &str, action: &str) -> Result<Value, Rejection> {
    let state = server.state();
    let found = state
        .repositories
        .iter()
        .find(|repository| repository["repo"] == url)
        .ok_or_else(Rejection::hidden)?;
    state.enforce_hidden(caller, "repositories", action, &object(found))?;
    Ok(found.clone())
}

pub(super) fn get(server: &MockServer, caller: &Caller, url: &str) -> Result<Value, Rejection> {
    find(server, caller, url, "get").map(|found| shown(&found))
}

/// Tries a repository without storing it.
pub(super) fn validate(
    server: &MockServer,
    caller: &Caller,
    url: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let repository = json!({"repo": url, "project": query.first("project").unwrap_or_default()});
    server
        .state()
        .enforce(caller, "repositories", "create", &object(&repository))?;
    check_connection(server, url)?;
    Ok(json!({}))
}

pub(super) fn create(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    decode(body, "Repository")?;
    let url = body["repo"].as_str().unwrap_or_default();
    server
        .state()
        .enforce(caller, "repositories", "create", &object(body))?;
    check_connection(server, url)?;
    let mut state = server.state();
    let stored = upsert(
        &state.repositories,
        ("repository", "repo", url),
        query,
        body,
    )?;
    match stored {
        Stored::Same(index) => return Ok(shown(&state.repositories[index])),
        Stored::Other(index) => {
            state.enforce(caller, "repositories", "update", &object(body))?;
            state.repositories[index] = body.clone();
        }
        Stored::New => state.repositories.push(body.clone()),
    }
    Ok(fresh(body))
}

/// What a creation finds under its address.
enum Stored {
    New,
    /// The same object.
    Same(usize),
    /// Another one, which the request may replace.
    Other(usize),
}

/// Looks for the object with the address of a creation: its kind, the field of the address, the address.
fn upsert(
    objects: &[Value],
    (what, field, url): (&str, &str, &str),
    query: &Query,
    body: &Value,
) -> Result<Stored, Rejection> {
    let Some(index) = objects.iter().position(|object| object[field] == url) else {
        return Ok(Stored::New);
    };
    let keys = differences(&objects[index], body);
    match (keys.is_empty(), query.first("upsert")) {
        (true, _) => Ok(Stored::Same(index)),
        (false, Some("true")) => Ok(Stored::Other(index)),
        (false, _) => Err(different(what, &keys)),
    }
}

/// The response of a write: nothing is known of the connection yet.
fn fresh(repository: &Value) -> Value {
    let mut shown = shown(repository);
    shown["connectionState"] = json!({"status": "", "message": "", "attemptedAt": null});
    shown
}

fn different(what: &str, keys: &[String]) -> Rejection {
    Rejection::invalid(format!(
        "existing {what} spec is different; use upsert flag to force update; difference in keys \"{}\"",
        keys.join(",")
    ))
}

/// The names of the fields that differ, as Go spells them.
fn differences(existing: &Value, wanted: &Value) -> Vec<String> {
    const FIELDS: [(&str, &str); 8] = [
        ("username", "Username"),
        ("password", "Password"),
        ("sshPrivateKey", "SSHPrivateKey"),
        ("insecure", "Insecure"),
        ("enableLfs", "EnableLFS"),
        ("type", "Type"),
        ("name", "Name"),
        ("project", "Project"),
    ];
    FIELDS
        .iter()
        .filter(|(field, _)| {
            existing[field] != wanted[field] && !(blank(&existing[field]) && blank(&wanted[field]))
        })
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

/// The server reads the repository before it stores it. Those that the mock does not know answer,
/// unless their port is closed: port 1.
fn check_connection(server: &MockServer, url: &str) -> Result<(), Rejection> {
    let failed = |why: String| {
        Err(Rejection::new(
            2,
            format!("error testing repository connectivity: {why}"),
        ))
    };
    if url.is_empty() {
        return failed(
            "unable to initialize git client: repository \"\" cannot be initialized: repo URL is invalid".to_owned(),
        );
    }
    if server.settings.repository(url).is_some() {
        return Ok(());
    }
    let authority = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default();
    if authority.ends_with(":1") {
        return failed(format!(
            "unable to ls-remote HEAD on repository: failed to list refs: Get \"{url}/info/refs?service=git-upload-pack\": \
             dial tcp {authority}: connect: connection refused"
        ));
    }
    Ok(())
}

pub(super) fn update(
    server: &MockServer,
    caller: &Caller,
    url: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    find(server, caller, url, "update")?;
    let mut wanted = body.clone();
    wanted["repo"] = json!(url);
    let mut state = server.state();
    if let Some(stored) = state
        .repositories
        .iter_mut()
        .find(|repository| repository["repo"] == url)
    {
        *stored = wanted.clone();
    }
    Ok(fresh(&wanted))
}

pub(super) fn delete(server: &MockServer, caller: &Caller, url: &str) -> Result<Value, Rejection> {
    find(server, caller, url, "delete")?;
    server
        .state()
        .repositories
        .retain(|repository| repository["repo"] != url);
    Ok(json!({}))
}

pub(super) fn refs(server: &MockServer, caller: &Caller, url: &str) -> Result<Value, Rejection> {
    find(server, caller, url, "get")?;
    let branches = server
        .settings
        .repository(url)
        .map(|repository| json!(repository.branches()));
    Ok(branches.map_or_else(|| json!({}), |branches| json!({"branches": branches})))
}

pub(super) fn apps(server: &MockServer, caller: &Caller, url: &str) -> Result<Value, Rejection> {
    find(server, caller, url, "get")?;
    Ok(json!({}))
}

// Templates of credentials: a prefix of addresses, with what is sent to them.

fn shown_template(template: &Value) -> Value {
    let mut shown = template.clone();
    if let Some(object) = shown.as_object_mut() {
        object.retain(|key, value| {
            (key == "username" || !SECRETS.contains(&key.as_str())) && !blank(value)
        });
    }
    shown
}

pub(super) fn list_templates(server: &MockServer, caller: &Caller, query: &Query) -> Value {
    let state = server.state();
    let items: Vec<Value> = state
        .credential_templates
        .iter()
        .filter(|template| {
            let url = template["url"].as_str().unwrap_or_default();
            state.allows(caller, "repositories", "get", url)
                && query
                    .first("url")
                    .is_none_or(|wanted| wanted.is_empty() || wanted == url)
        })
        .map(shown_template)
        .collect();
    listed(items)
}

pub(super) fn create_template(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    decode(body, "RepoCreds")?;
    let url = body["url"].as_str().unwrap_or_default();
    if url.is_empty() {
        return Err(Rejection::invalid("must specify URL"));
    }
    let mut state = server.state();
    state.enforce(caller, "repositories", "create", url)?;
    let kind = ("repository credentials", "url", url);
    match upsert(&state.credential_templates, kind, query, body)? {
        Stored::Same(index) | Stored::Other(index) => {
            state.credential_templates[index] = body.clone();
        }
        Stored::New => state.credential_templates.push(body.clone()),
    }
    Ok(json!({"url": url}))
}

fn template_exists(
    server: &MockServer,
    caller: &Caller,
    url: &str,
    action: &str,
) -> Result<(), Rejection> {
    let state = server.state();
    state.enforce(caller, "repositories", action, url)?;
    if state
        .credential_templates
        .iter()
        .any(|template| template["url"] == url)
    {
        return Ok(());
    }
    Err(Rejection::new(
        5,
        format!("repository credentials '{url}' not found"),
    ))
}

pub(super) fn update_template(
    server: &MockServer,
    caller: &Caller,
    url: &str,
    body: &Value,
) -> Result<Value, Rejection> {
    template_exists(server, caller, url, "update")?;
    let mut wanted = body.clone();
    wanted["url"] = json!(url);
    let mut state = server.state();
    if let Some(stored) = state
        .credential_templates
        .iter_mut()
        .find(|template| template["url"] == url)
    {
        *stored = wanted;
    }
    Ok(json!({"url": url}))
}

pub(super) fn delete_template(
    server: &MockServer,
    caller: &Caller,
    url: &str,
) -> Result<Value, Rejection> {
    template_exists(server, caller, url, "delete")?;
    server
        .state()
        .credential_templates
        .retain(|template| template["url"] != url);
    Ok(json!({}))
}
