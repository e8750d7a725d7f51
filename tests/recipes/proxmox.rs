//! An excerpt of Proxmox VE's description of its API: chosen calls with parameters and permissions.
//!
//! The formats (`$formats`) are rules in the source of the server that its description only names. They were read there
//! and are kept as they are; a parameter with a format that has no rule is not checked.

use serde_json::{Map, Value, json};

use super::json::lines;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where a description comes from.
pub(crate) struct Origin {
    pub(crate) version: String,
    pub(crate) revision: String,
}

/// What people read and no rule needs.
const PROSE: [&str; 7] = [
    "description",
    "verbose_description",
    "format_description",
    "typetext",
    "title",
    "renderer",
    "method",
];

/// The calls of `current`, and those in `add`, as `source` describes them.
///
/// `source` is `apidata.js`, or another excerpt.
pub(crate) fn excerpt(
    source: &str,
    current: &str,
    add: &[String],
    origin: Option<&Origin>,
) -> Result<String> {
    let calls = calls(source)?;
    let current: Map<String, Value> = serde_json::from_str(current)?;
    let mut kept = Map::new();
    let mut meta = current["$meta"].clone();
    if let Some(origin) = origin {
        meta["version"] = json!(origin.version);
        meta["revision"] = json!(origin.revision);
    }
    kept.insert("$meta".to_owned(), meta);
    kept.insert("$formats".to_owned(), current["$formats"].clone());
    let chosen = current.keys().filter(|key| !key.starts_with('$'));
    for call in chosen.chain(add) {
        let described = calls.get(call);
        let described = described.ok_or_else(|| format!("the source has no call {call}"))?;
        kept.insert(call.clone(), described.clone());
    }
    Ok(format!("{{\n{}\n}}\n", lines(&kept)))
}

/// All calls of a source by `METHOD /path`.
fn calls(source: &str) -> Result<Map<String, Value>> {
    if source.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(source)?);
    }
    let start = source.find('[').ok_or("the source has no list of paths")?;
    let mut documents = serde_json::Deserializer::from_str(&source[start..]).into_iter::<Value>();
    let tree = documents
        .next()
        .ok_or("the source has no list of paths")??;
    let mut calls = Map::new();
    walk(&tree, &mut calls);
    Ok(calls)
}

fn walk(nodes: &Value, calls: &mut Map<String, Value>) {
    for node in nodes.as_array().into_iter().flatten() {
        let path = node["path"].as_str().unwrap_or_default();
        for (method, info) in node["info"].as_object().into_iter().flatten() {
            calls.insert(format!("{method} {path}"), reduced(info));
        }
        walk(&node["children"], calls);
    }
}

/// Name, parameters, permissions, and whether API tokens are refused.
fn reduced(info: &Value) -> Value {
    let mut call = Map::new();
    call.insert("name".to_owned(), info["name"].clone());
    let parameters = without_prose(&info["parameters"]["properties"]);
    let parameters = if parameters.is_null() {
        json!({})
    } else {
        parameters
    };
    call.insert("parameters".to_owned(), parameters);
    if !info["permissions"].is_null() {
        call.insert(
            "permissions".to_owned(),
            without_prose(&info["permissions"]),
        );
    }
    if info["allowtoken"] == 0 {
        call.insert("allowtoken".to_owned(), json!(0));
    }
    Value::Object(call)
}

fn without_prose(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_schema = [
                "type", "format", "alias", "enum", "check", "user", "optional",
            ]
            .iter()
            .any(|name| fields.get(*name).is_some_and(|field| !is_parameter(field)));
            let kept = fields
                .iter()
                .filter(|(name, _)| !is_schema || !PROSE.contains(&name.as_str()))
                .map(|(name, field)| (name.clone(), without_prose(field)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.iter().map(without_prose).collect(),
        other => other.clone(),
    }
}

/// Whether a field is a parameter that is called like a word of the schema language, such as `type` or `description`.
fn is_parameter(field: &Value) -> bool {
    field.get("type").is_some_and(Value::is_string)
}
