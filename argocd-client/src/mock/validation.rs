//! What the server checks of a specification before it stores it.

use serde_json::Value;

use super::object::blank;
use super::response::Rejection;
use super::state::{MockServer, ServerState};
use crate::rbac::glob;

/// The checks in the order of the server: project, destination, source, manifests, permissions.
pub(super) fn validate(server: &MockServer, name: &str, spec: &Value) -> Result<(), Rejection> {
    let state = server.state();
    let project_name = spec["project"].as_str().unwrap_or_default();
    let Some(project) = state
        .projects
        .iter()
        .find(|project| project["metadata"]["name"] == project_name)
    else {
        return Err(Rejection::invalid(format!(
            "app is not allowed in project \"{project_name}\", or the project does not exist"
        )));
    };
    check_destination(&state, &spec["destination"]).map_err(|why| {
        Rejection::invalid(format!(
            "application destination spec for {name} is invalid: {why}"
        ))
    })?;
    let invalid = |problems: Vec<String>| {
        Err(Rejection::invalid(format!(
            "application spec for {name} is invalid: {}",
            problems.join("; ")
        )))
    };
    let sources = sources(spec);
    if sources.is_empty() || sources.iter().any(|source| is_incomplete(source)) {
        return invalid(vec![
            "InvalidSpecError: spec.source.repoURL and either spec.source.path or spec.source.chart are required"
                .to_owned(),
        ]);
    }
    let problems: Vec<String> = sources
        .iter()
        .filter_map(|source| render_problem(server, source))
        .chain(permission_problems(&state, project, project_name, spec))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        invalid(problems)
    }
}

fn sources(spec: &Value) -> Vec<&Value> {
    match spec["sources"].as_array() {
        Some(sources) if !sources.is_empty() => sources.iter().collect(),
        _ if blank(&spec["source"]) => Vec::new(),
        _ => vec![&spec["source"]],
    }
}

fn is_incomplete(source: &Value) -> bool {
    blank(&source["repoURL"])
        || (blank(&source["path"]) && blank(&source["chart"]) && blank(&source["ref"]))
}

/// Why the manifests of a source in a known repository cannot be made.
fn render_problem(server: &MockServer, source: &Value) -> Option<String> {
    let text = |field: &str| source[field].as_str().unwrap_or_default();
    let repository = server.settings.repository(text("repoURL"))?;
    let path = text("path");
    let made = repository
        .resolve(text("targetRevision"))
        .and_then(|_| repository.manifests(path).map(drop));
    let why = made.err()?;
    Some(format!(
        "InvalidSpecError: Unable to generate manifests in {path}: {why}"
    ))
}

/// What the project forbids: its repositories and destinations are patterns, `!` denies.
fn permission_problems(
    state: &ServerState,
    project: &Value,
    name: &str,
    spec: &Value,
) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources(spec) {
        let url = source["repoURL"].as_str().unwrap_or_default();
        if !permitted(&project["spec"]["sourceRepos"], url) {
            problems.push(format!(
                "InvalidSpecError: application repo {url} is not permitted in project '{name}'"
            ));
        }
    }
    let destination = &spec["destination"];
    let namespace = destination["namespace"].as_str().unwrap_or_default();
    let server = destination_server(state, destination);
    let allowed = project["spec"]["destinations"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|allowed| {
            let fits = |field: &str, text: &str| {
                let pattern = allowed[field].as_str().unwrap_or_default();
                !pattern.is_empty() && glob(pattern, text)
            };
            let cluster = destination["name"].as_str().unwrap_or_default();
            (fits("server", &server) || fits("name", cluster)) && fits("namespace", namespace)
        });
    if !allowed {
        problems.push(format!(
            "InvalidSpecError: application destination server '{server}' and namespace '{namespace}' do not match any of \
             the allowed destinations in project '{name}'"
        ));
    }
    problems
}

fn permitted(patterns: &Value, text: &str) -> bool {
    let patterns = || {
        patterns
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    };
    let denied = patterns()
        .filter_map(|pattern| pattern.strip_prefix('!'))
        .any(|pattern| glob(pattern, text));
    !denied && patterns().any(|pattern| glob(pattern, text))
}

/// The address that a destination means.
pub(super) fn destination_server(state: &ServerState, destination: &Value) -> String {
    match destination["server"].as_str() {
        Some(server) if !server.is_empty() => server.to_owned(),
        _ => state
            .clusters
            .iter()
            .find(|cluster| destination["name"] == cluster.name())
            .map(|cluster| cluster.server().to_owned())
            .unwrap_or_default(),
    }
}

fn check_destination(state: &ServerState, destination: &Value) -> Result<(), String> {
    let given = |field: &str| destination[field].as_str().filter(|text| !text.is_empty());
    match (given("server"), given("name")) {
        (Some(server), Some(cluster)) => Err(format!(
            "application destination can't have both name and server defined: {cluster} {server}"
        )),
        (Some(server), None) => {
            let known = state
                .clusters
                .iter()
                .any(|cluster| cluster.server() == server.trim_end_matches('/'));
            if known {
                Ok(())
            } else {
                Err(format!(
                    "error getting cluster by server \"{server}\": rpc error: code = NotFound desc = cluster \"{server}\" \
                     not found"
                ))
            }
        }
        (None, Some(wanted)) => {
            let found: Vec<&str> = state
                .clusters
                .iter()
                .filter(|cluster| cluster.name() == wanted)
                .map(|cluster| cluster.server())
                .collect();
            match found.len() {
                0 => Err(format!("there are no clusters with this name: {wanted}")),
                1 => Ok(()),
                many => Err(format!(
                    "there are {many} clusters with the same name: [{}]",
                    found.join(" ")
                )),
            }
        }
        (None, None) => Err("Destination server missing from app spec".to_owned()),
    }
}
