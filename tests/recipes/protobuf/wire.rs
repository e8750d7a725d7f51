//! The facts about messages as data: `wire.json` of the client, and the list of methods of several releases.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::json::spaced;
use super::reference::{Definitions, Field};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Fields, values and methods of the reference, for what is defined or called here.
pub(crate) fn wire(ours: &Definitions, reference: &Definitions) -> Result<String> {
    let missing = |name: &str| format!("the reference does not define {name}");
    let mut messages = Map::new();
    for (name, kept) in &ours.messages {
        let theirs = reference.messages.get(name).ok_or_else(|| missing(name))?;
        let kept = kept
            .iter()
            .filter_map(|ours| theirs.iter().find(|field| field.name == ours.name));
        let kept = kept.map(|field| (field.name.clone(), fact(name, field)));
        messages.insert(name.clone(), Value::Object(kept.collect()));
    }
    let mut enums = Map::new();
    for (name, kept) in &ours.enums {
        let theirs = reference.enums.get(name).ok_or_else(|| missing(name))?;
        let kept = kept
            .iter()
            .filter_map(|(ours, _)| theirs.iter().find(|(value, _)| value == ours));
        let kept = kept.map(|(value, number)| (value.clone(), json!(number)));
        enums.insert(name.clone(), Value::Object(kept.collect()));
    }
    let mut methods = Map::new();
    for path in ours.methods.keys() {
        let method = reference.methods.get(path).ok_or_else(|| missing(path))?;
        let streams = (method.is_client_streaming, method.is_server_streaming);
        let fact = json!([method.input, method.output, streams.0, streams.1]);
        methods.insert(path.clone(), fact);
    }
    let section = |name: &str, entries: &Map<String, Value>| {
        format!(" \"{name}\": {{\n{}\n }}", entry_lines("  ", entries))
    };
    let sections = [
        section("messages", &messages),
        section("enums", &enums),
        section("methods", &methods),
    ];
    Ok(format!("{{\n{}\n}}\n", sections.join(",\n")))
}

/// Number, type and label. The reference has entries of a map as repeated messages.
fn fact(message: &str, field: &Field) -> Value {
    let label = if field.is_repeated {
        "repeated"
    } else {
        "optional"
    };
    let kind = match (&field.map, field.kind.rsplit_once('.')) {
        (Some(_), None) => format!("{message}.{}", field.kind),
        _ => field.kind.clone(),
    };
    json!([field.number, kind, label])
}

/// Every method of the releases: the first minor that has it, and the first one that has it no more.
pub(crate) fn methods(releases: &[(u64, Definitions)]) -> String {
    let mut found: BTreeMap<&str, (u64, Option<u64>)> = BTreeMap::new();
    for (minor, definitions) in releases {
        for path in definitions.methods.keys() {
            found.entry(path).or_insert((*minor, None));
        }
        for (path, (_, until)) in &mut found {
            if !definitions.methods.contains_key(*path) && until.is_none() {
                *until = Some(*minor);
            }
        }
    }
    let entries = found.into_iter().map(|(path, (since, until))| {
        let mut entry = json!({ "since": since });
        if let Some(until) = until {
            entry["until"] = json!(until);
        }
        (path.to_owned(), entry)
    });
    format!("{{\n{}\n}}\n", entry_lines(" ", &entries.collect()))
}

fn entry_lines(indent: &str, entries: &Map<String, Value>) -> String {
    let line = |(name, value)| {
        format!(
            "{indent}{}: {}",
            Value::from(String::clone(name)),
            spaced(value)
        )
    };
    entries.iter().map(line).collect::<Vec<_>>().join(",\n")
}
