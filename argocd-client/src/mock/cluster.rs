//! The requests about clusters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cluster_body::{Body, decode, differences, merge, probe};
use super::event::MockEvent;
use super::object;
use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, ServerState, now};
use super::stored_cluster::StoredCluster;

/// What the server does before it stores anything: build the connection and ask for `/version`.
/// `what` is how the error of the operation begins.
async fn check_target(server: &MockServer, body: &Body, what: &str) -> Result<String, Rejection> {
    let tls = &body.config.tls_client_config;
    if [&tls.ca_data, &tls.cert_data, &tls.key_data]
        .into_iter()
        .flatten()
        .any(|data| STANDARD.decode(data).is_err())
    {
        return Err(Rejection::invalid("illegal base64 data at input byte 0"));
    }
    if tls.insecure && tls.ca_data.is_some() {
        return Err(Rejection::new(
            2,
            "error getting REST config: unable to apply K8s REST config defaults: specifying a root certificates file with \
             the insecure flag is not allowed",
        ));
    }
    let checked = if body.server.is_empty() {
        // Go's default host for an empty address.
        Err("Get \"http://localhost/version?timeout=32s\": dial tcp 127.0.0.1:80: connect: connection refused".to_owned())
    } else {
        (server.settings.target_check.0)(probe(body)).await
    };
    checked.map_err(|why| {
        let code = if why.contains("the server has asked for the client to provide credentials") {
            16
        } else if why.contains("is forbidden: User") {
            7
        } else {
            2
        };
        Rejection::new(
            code,
            format!("{what} server version: failed to get server version: {why}"),
        )
    })
}

fn rendered(server: &MockServer, state: &ServerState, cluster: &StoredCluster) -> Value {
    cluster.render(
        server,
        state.applications_of(cluster.server(), cluster.name()),
    )
}

/// Finds a cluster as the path and `id.type` say, for a caller who may do `action` to it. A missing
/// one looks like a missing right.
fn position(
    state: &ServerState,
    caller: &Caller,
    id: &str,
    query: &Query,
    action: &str,
) -> Result<usize, Rejection> {
    let by_name = matches!(query.first("id.type"), Some("name" | "name_escaped"));
    let found = state.clusters.iter().position(|cluster| {
        if by_name {
            cluster.name() == id
        } else {
            cluster.server() == id
        }
    });
    let index = found.ok_or_else(Rejection::hidden)?;
    state.enforce_hidden(caller, "clusters", action, &state.clusters[index].object())?;
    Ok(index)
}

pub(super) fn list(server: &MockServer, caller: &Caller, query: &Query) -> Value {
    let state = server.state();
    let by_name = matches!(query.first("id.type"), Some("name" | "name_escaped"));
    let id = query.first("id.value").filter(|id| !id.is_empty());
    let address = query.first("server").or(id.filter(|_| !by_name));
    let name = query.first("name").or(id.filter(|_| by_name));
    // The local cluster comes last.
    let (stored, local): (Vec<_>, Vec<_>) = state
        .clusters
        .iter()
        .partition(|cluster| cluster.has_secret());
    let matching = stored.into_iter().chain(local).filter(|cluster| {
        state.allows(caller, "clusters", "get", &cluster.object())
            && address.is_none_or(|address| cluster.server() == address)
            && name.is_none_or(|name| cluster.name() == name)
    });
    // A filter returns its first match only.
    let limit = if address.or(name).is_some() {
        1
    } else {
        usize::MAX
    };
    let items: Vec<Value> = matching
        .take(limit)
        .map(|cluster| rendered(server, &state, cluster))
        .collect();
    json!({"metadata": {}, "items": if items.is_empty() { Value::Null } else { json!(items) }})
}

pub(super) fn get(
    server: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let state = server.state();
    let index = position(&state, caller, id, query, "get")?;
    Ok(rendered(server, &state, &state.clusters[index]))
}

pub(super) async fn create(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
    body: Option<&Value>,
) -> Result<Value, Rejection> {
    let Some(body) = body else {
        return Err(Rejection::new(
            13,
            "runtime error: invalid memory address or nil pointer dereference",
        ));
    };
    object::decode(body, "Cluster")?;
    let body = decode(body)?;
    server
        .state()
        .enforce(caller, "clusters", "create", &body.object())?;
    let version = check_target(server, &body, "error getting").await?;
    let mut state = server.state();
    let existing = state
        .clusters
        .iter()
        .position(|cluster| cluster.server() == body.server);
    if let Some(index) = existing {
        let keys = differences(&state.clusters[index].body, &body);
        if keys.is_empty() {
            return Ok(rendered(server, &state, &state.clusters[index]));
        }
        if query.first("upsert") != Some("true") {
            return Err(Rejection::invalid(format!(
                "existing cluster spec is different; use upsert flag to force update; difference in keys \"{}\"",
                keys.join(",")
            )));
        }
        state.enforce(caller, "clusters", "update", &body.object())?;
        state.clusters[index] = state.clusters[index].replaced(body, version);
        return Ok(state.clusters[index].render(server, 0));
    }
    let event = MockEvent::ClusterRegistered {
        server: body.server.clone(),
        name: body.name.clone(),
    };
    let cluster = StoredCluster::new(body, version);
    let shown = cluster.render(server, 0);
    state.clusters.push(cluster);
    server.journal.record(event);
    Ok(shown)
}

pub(super) async fn update(
    server: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    object::decode(body, "Cluster")?;
    let wanted = decode(body)?;
    let fields: Vec<String> = query.all("updatedFields").map(str::to_owned).collect();
    let (address, merged) = {
        let state = server.state();
        let stored = &state.clusters[position(&state, caller, id, query, "update")?];
        (
            stored.server().to_owned(),
            merge(&stored.body, wanted, &fields)?,
        )
    };
    let version = check_target(server, &merged, "failed to get").await?;
    let mut state = server.state();
    let index = state
        .clusters
        .iter()
        .position(|cluster| cluster.server() == address)
        .ok_or_else(Rejection::hidden)?;
    state.clusters[index] = state.clusters[index].replaced(merged, version);
    server.journal.record(MockEvent::ClusterUpdated {
        server: address,
        fields,
    });
    Ok(state.clusters[index].render(server, 0))
}

pub(super) fn delete(
    server: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    let index = position(&state, caller, id, query, "delete")?;
    let (address, name) = (
        state.clusters[index].server().to_owned(),
        state.clusters[index].name().to_owned(),
    );
    let by_name = query.first("id.type") == Some("name");
    state.clusters.retain(|cluster| {
        if by_name {
            cluster.name() != name
        } else {
            cluster.server() != address
        }
    });
    server
        .journal
        .record(MockEvent::ClusterDeleted { server: address });
    Ok(json!({}))
}

/// Makes a new token, tries it, stores it. Labels and annotations stay.
pub(super) async fn rotate(
    server: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut body = {
        let state = server.state();
        let index = position(&state, caller, id, query, "update")?;
        state.clusters[index].body.clone()
    };
    if body.config.bearer_token.is_empty() {
        return Err(Rejection::invalid(format!(
            "Cluster '{}' does not use bearer token authentication",
            body.server
        )));
    }
    body.config.bearer_token = (server.settings.rotation.0)(probe(&body))
        .await
        .map_err(|why| Rejection::new(2, why))?;
    let version = check_target(server, &body, "failed to get").await?;
    let mut state = server.state();
    let address = body.server.clone();
    if let Some(cluster) = state
        .clusters
        .iter_mut()
        .find(|cluster| cluster.server() == address)
    {
        *cluster = cluster.replaced(body, version);
    }
    Ok(json!({}))
}

pub(super) fn invalidate(
    server: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    let index = position(&state, caller, id, query, "update")?;
    state.clusters[index].request_refresh(&now());
    Ok(rendered(server, &state, &state.clusters[index]))
}
