//! The fields of a specification file as a Markdown table, made from the JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// One row for each field, with the path under which findings name it.
pub(super) fn markdown(schema: &Value) -> String {
    let mut table = String::from(
        "| field | type | default | example | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    rows(schema, schema, "", &mut table);
    table
}

fn rows(schema: &Value, object: &Value, path: &str, table: &mut String) {
    let required: Vec<&str> = object["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in object["properties"].as_object().unwrap_or(&Map::new()) {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let (shape, path) = resolved(schema, field, path);
        let default = match field.get("default") {
            Some(default) if !shape["properties"].is_object() => format!("`{default}`"),
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            _ => String::new(),
        };
        let example = field["examples"]
            .get(0)
            .map(|example| format!("`{example}`"));
        let meaning = field["description"]
            .as_str()
            .or_else(|| shape["description"].as_str())
            .unwrap_or_default()
            .replace('\n', " ");
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{path}` | {} | {default} | {} | {meaning} |",
            type_text(shape),
            example.unwrap_or_default(),
        );
        rows(schema, shape, &path, table);
    }
}

/// The schema behind references, options and lists; a list adds `[]` to the path.
fn resolved<'a>(schema: &'a Value, field: &'a Value, path: String) -> (&'a Value, String) {
    if let Some(target) = field["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        return resolved(schema, &schema["$defs"][name], path);
    }
    if let Some(choice) = field["anyOf"]
        .as_array()
        .and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"))
    {
        return resolved(schema, choice, path);
    }
    match field.get("items") {
        Some(items) if items.get("$ref").is_some() => resolved(schema, items, format!("{path}[]")),
        _ => (field, path),
    }
}

fn type_text(shape: &Value) -> String {
    if let Some(choices) = shape["oneOf"].as_array() {
        let words: Vec<String> = choices
            .iter()
            .filter_map(|choice| choice["const"].as_str())
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    let name = match &shape["type"] {
        Value::Array(types) => types.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    match (name, shape["minimum"].as_u64(), shape["maximum"].as_u64()) {
        (Some("integer"), Some(least), Some(most)) => format!("whole number, {least} to {most}"),
        (Some("integer"), Some(least), None) if least > 0 => {
            format!("whole number, at least {least}")
        }
        (Some("integer"), ..) => "whole number".to_owned(),
        (Some("boolean"), ..) => "true or false".to_owned(),
        (Some("array"), ..) => "list of texts".to_owned(),
        (Some("object"), ..) => "section".to_owned(),
        _ => match shape["format"].as_str() {
            Some("ip") => "IP address".to_owned(),
            _ => "text".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_field_with_default_and_meaning() {
        let table = markdown(&crate::Spec::json_schema());

        for row in [
            "| `cluster.name` | text | required | `\"lungmen.akn\"` |",
            "| `machines[].memoryMiB` | whole number, at least 1 | `8192` |",
            "| `machines[].role` | `controlplane`, `worker` | `\"controlplane\"` |",
            "| `machines[].network.vlan` | whole number, 1 to 4094 |",
        ] {
            assert!(table.contains(row), "{row}\n{table}");
        }
    }
}
