//! Objects that the mock only keeps: projects, application sets, repositories.

use serde_json::{Value, json};

use super::auth::Caller;
use super::response::Rejection;
use super::state::MockServer;

/// A sort of object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Its name in RBAC.
    pub(super) resource: &'static str,
    /// Where its name is.
    pub(super) name: &'static str,
    /// The text for a different object of that name.
    pub(super) differs: &'static str,
}

pub(super) const PROJECT: Kind = Kind {
    resource: "projects",
    name: "/metadata/name",
    differs: "existing project spec is different; use upsert flag to force update; difference in keys \"Spec\"",
};
pub(super) const SET: Kind = Kind {
    resource: "applicationsets",
    name: "/metadata/name",
    differs: "existing ApplicationSet spec is different, use upsert flag to force update",
};
pub(super) const REPOSITORY: Kind = Kind {
    resource: "repositories",
    name: "/repo",
    differs: "existing repository spec is different; use upsert flag to force update; difference in keys \"Password\"",
};

/// Never given back.
const SECRETS: [&str; 3] = ["password", "sshPrivateKey", "bearerToken"];

fn name(kind: Kind, document: &Value) -> String {
    document
        .pointer(kind.name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn shown(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(object) = document.as_object_mut() {
        object.retain(|key, _| !SECRETS.contains(&key.as_str()));
    }
    document
}

pub(super) fn list(world: &MockServer, caller: &Caller, kind: Kind) -> Value {
    let state = world.state();
    let visible = state.allows(caller, kind.resource, "get");
    let documents = state.documents.get(kind.resource).filter(|_| visible);
    json!({"metadata": {}, "items": documents.map(|documents| documents.iter().map(shown).collect::<Vec<_>>())})
}

pub(super) fn get(
    world: &MockServer,
    caller: &Caller,
    kind: Kind,
    wanted: &str,
) -> Result<Value, Rejection> {
    let state = world.state();
    state.enforce(caller, kind.resource, "get", wanted)?;
    let mut documents = state.documents.get(kind.resource).into_iter().flatten();
    let found = documents.find(|document| name(kind, document) == wanted);
    found
        .map(shown)
        .ok_or_else(|| Rejection::new(5, format!("{} \"{wanted}\" not found", kind.resource)))
}

pub(super) fn create(
    world: &MockServer,
    caller: &Caller,
    kind: Kind,
    document: &Value,
) -> Result<Value, Rejection> {
    let mut state = world.state();
    let wanted = name(kind, document);
    state.enforce(caller, kind.resource, "create", &wanted)?;
    let documents = state.documents.entry(kind.resource).or_default();
    match documents
        .iter()
        .find(|existing| name(kind, existing) == wanted)
    {
        Some(existing) if existing != document => Err(Rejection::invalid(kind.differs)),
        Some(existing) => Ok(shown(existing)),
        None => {
            documents.push(document.clone());
            Ok(shown(document))
        }
    }
}

/// The applications of a cluster generator, one for every registered cluster; the mock knows no
/// other generator and no selector.
pub(super) fn generate(
    world: &MockServer,
    caller: &Caller,
    set: &Value,
) -> Result<Value, Rejection> {
    let state = world.state();
    state.enforce(caller, SET.resource, "get", &name(SET, set))?;
    let generators = set["spec"]["generators"].as_array().into_iter().flatten();
    let clusters = generators
        .filter(|generator| generator["clusters"].is_object())
        .flat_map(|_| &state.clusters);
    let template = set["spec"]["template"].to_string();
    let applications: Vec<Value> = clusters
        .filter_map(|cluster| {
            let text = template
                .replace("{{name}}", cluster.name())
                .replace("{{server}}", cluster.server());
            serde_json::from_str(&text).ok()
        })
        .collect();
    Ok(json!({"applications": applications}))
}
