//! The requests about clusters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::Caller;
use super::event::MockEvent;
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, ServerState, now};
use super::stored_cluster::{Body, StoredCluster, decode, differences, merge, probe};

/// What the server does before it stores anything: build the connection and ask for `/version`.
async fn check_target(world: &MockServer, body: &Body) -> Result<String, Rejection> {
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
            "specifying a root certificates file with the insecure flag is not allowed",
        ));
    }
    let answer = (world.settings.target_check.0)(probe(body)).await;
    answer.map_err(|why| {
        let code = if why.contains("the server has asked for the client to provide credentials") {
            16
        } else if why.contains("is forbidden: User") {
            7
        } else {
            2
        };
        Rejection::new(
            code,
            format!("error getting server version: failed to get server version: {why}"),
        )
    })
}

fn rendered(world: &MockServer, state: &ServerState, cluster: &StoredCluster) -> Value {
    cluster.render(
        world,
        state.applications_of(cluster.server(), cluster.name()),
    )
}

/// Finds a cluster as the path and `id.type` say. A missing one looks like a missing right.
fn position(state: &ServerState, id: &str, query: &Query) -> Result<usize, Rejection> {
    let by_name = matches!(query.first("id.type"), Some("name" | "name_escaped"));
    let found = state.clusters.iter().position(|cluster| {
        if by_name {
            cluster.name() == id
        } else {
            cluster.server() == id
        }
    });
    found.ok_or_else(Rejection::hidden)
}

pub(super) fn list(world: &MockServer, caller: &Caller, query: &Query) -> Value {
    let state = world.state();
    let (server, name) = (query.first("server"), query.first("name"));
    let visible = state.allows(caller, "clusters", "get");
    let matching = state.clusters.iter().filter(|cluster| {
        visible
            && server.is_none_or(|server| cluster.server() == server)
            && name.is_none_or(|name| cluster.name() == name)
    });
    // A filter returns its first match only.
    let limit = if server.or(name).is_some() {
        1
    } else {
        usize::MAX
    };
    let items: Vec<Value> = matching
        .take(limit)
        .map(|cluster| rendered(world, &state, cluster))
        .collect();
    json!({"metadata": {}, "items": if items.is_empty() { Value::Null } else { json!(items) }})
}

pub(super) fn get(
    world: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let state = world.state();
    let cluster = &state.clusters[position(&state, id, query)?];
    state
        .enforce(caller, "clusters", "get", cluster.server())
        .map_err(|_| Rejection::hidden())?;
    Ok(rendered(world, &state, cluster))
}

pub(super) async fn create(
    world: &MockServer,
    caller: &Caller,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    let body = decode(body)?;
    world
        .state()
        .enforce(caller, "clusters", "create", &body.server)?;
    let version = check_target(world, &body).await?;
    let mut state = world.state();
    let existing = state
        .clusters
        .iter()
        .position(|cluster| cluster.server() == body.server);
    if let Some(index) = existing {
        let keys = differences(&state.clusters[index].body, &body);
        if !keys.is_empty() {
            if query.first("upsert") != Some("true") {
                let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
                return Err(Rejection::invalid(format!(
                    "existing cluster spec is different; use upsert flag to force update; difference in keys {}",
                    keys.join(",")
                )));
            }
            state.enforce(caller, "clusters", "update", &body.server)?;
            state.clusters[index] = StoredCluster::new(body, version);
        }
        return Ok(rendered(world, &state, &state.clusters[index]));
    }
    let event = MockEvent::ClusterRegistered {
        server: body.server.clone(),
        name: body.name.clone(),
    };
    state.clusters.push(StoredCluster::new(body, version));
    world.journal.record(event);
    let cluster = state
        .clusters
        .last()
        .map(|cluster| rendered(world, &state, cluster));
    Ok(cluster.unwrap_or_default())
}

pub(super) async fn update(
    world: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    let wanted = decode(body)?;
    let fields: Vec<String> = query.all("updatedFields").map(str::to_owned).collect();
    let (server, merged) = {
        let state = world.state();
        let stored = &state.clusters[position(&state, id, query)?];
        state.enforce(caller, "clusters", "update", stored.server())?;
        (
            stored.server().to_owned(),
            merge(&stored.body, wanted, &fields)?,
        )
    };
    let version = check_target(world, &merged).await?;
    let mut state = world.state();
    let index = state
        .clusters
        .iter()
        .position(|cluster| cluster.server() == server)
        .ok_or_else(Rejection::hidden)?;
    state.clusters[index] = StoredCluster::new(merged, version);
    world
        .journal
        .record(MockEvent::ClusterUpdated { server, fields });
    Ok(rendered(world, &state, &state.clusters[index]))
}

pub(super) fn delete(
    world: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = world.state();
    let index = position(&state, id, query)?;
    let (server, name) = (
        state.clusters[index].server().to_owned(),
        state.clusters[index].name().to_owned(),
    );
    state.enforce(caller, "clusters", "delete", &server)?;
    let by_name = query.first("id.type") == Some("name");
    state.clusters.retain(|cluster| {
        if by_name {
            cluster.name() != name
        } else {
            cluster.server() != server
        }
    });
    world.journal.record(MockEvent::ClusterDeleted { server });
    Ok(json!({}))
}

pub(super) async fn rotate(
    world: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let body = {
        let state = world.state();
        let stored = &state.clusters[position(&state, id, query)?];
        state.enforce(caller, "clusters", "update", stored.server())?;
        stored.body.clone()
    };
    if body.config.bearer_token.is_empty() {
        return Err(Rejection::invalid(format!(
            "Cluster '{}' does not use bearer token authentication",
            body.server
        )));
    }
    check_target(world, &body).await?;
    Ok(json!({}))
}

pub(super) fn invalidate(
    world: &MockServer,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = world.state();
    let index = position(&state, id, query)?;
    state.enforce(caller, "clusters", "update", state.clusters[index].server())?;
    state.clusters[index].refresh_requested_at = Some(now());
    Ok(rendered(world, &state, &state.clusters[index]))
}
