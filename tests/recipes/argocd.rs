//! An excerpt of Argo CD's OpenAPI description: chosen operations with their parameters, and the definitions that these
//! refer to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::json::lines;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The operations of `current`, and those in `add`, as `source` describes them.
pub(crate) fn excerpt(source: &str, current: &str, add: &[String]) -> Result<String> {
    let source: Value = serde_json::from_str(source)?;
    let current: Value = serde_json::from_str(current)?;
    let mut paths = Map::new();
    for (method, path) in chosen(&current, add)? {
        let operation = &source["paths"][&path][&method];
        if operation.is_null() {
            return Err(format!("the source has no operation {method} {path}").into());
        }
        let parameters = operation.get("parameters").cloned();
        let kept = json!({ "parameters": parameters.unwrap_or_else(|| json!([])) });
        paths.entry(path).or_insert_with(|| json!({}))[method] = kept;
    }
    let mut names = BTreeSet::new();
    for path in paths.values() {
        collect(path, &source["definitions"], &mut names);
    }
    let definitions = names
        .into_iter()
        .map(|name| (name.clone(), source["definitions"][&name].clone()))
        .collect();
    Ok(format!(
        "{{\"info\":{},\n\"paths\":{{\n{}\n}},\n\"definitions\":{{\n{}\n}}}}\n",
        source["info"],
        lines(&paths),
        lines(&definitions)
    ))
}

/// Methods and paths, in the order of the excerpt.
fn chosen(current: &Value, add: &[String]) -> Result<Vec<(String, String)>> {
    let paths = current["paths"]
        .as_object()
        .ok_or("the excerpt has no paths")?;
    let mut chosen = Vec::new();
    for (path, operations) in paths {
        for method in operations.as_object().into_iter().flat_map(Map::keys) {
            chosen.push((method.clone(), path.clone()));
        }
    }
    for operation in add {
        let (method, path) = operation
            .split_once(' ')
            .ok_or("--add takes \"METHOD /path\"")?;
        chosen.push((method.to_lowercase(), path.to_owned()));
    }
    Ok(chosen)
}

/// The names of all definitions that `value` refers to, directly or through others.
fn collect(value: &Value, definitions: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str)
                && let Some(name) = name.strip_prefix("#/definitions/")
                && names.insert(name.to_owned())
            {
                collect(&definitions[name], definitions, names);
            }
            for field in fields.values() {
                collect(field, definitions, names);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(item, definitions, names)),
        _ => {}
    }
}

/// What the mock shows of its resource customisations: that part of the first recorded answer that has it.
pub(crate) fn overrides(recording: &str) -> Result<String> {
    let recording: Value = serde_json::from_str(recording)?;
    let mut exchanges = recording["exchanges"].as_array().into_iter().flatten();
    let overrides =
        exchanges.find_map(|exchange| exchange["response_body"].get("resourceOverrides"));
    let overrides = overrides.ok_or("no recorded answer has resourceOverrides")?;
    Ok(super::json::indented(overrides))
}
