//! Finding out what kind of patch a text is.

use super::canonical::Origin;
use super::json::Operation;
use crate::config::load::{PatchDocument, load_patch};
use crate::config::schema::Schema;
use crate::go::yaml::{Dialect, Kind, Mapping, Node, Source, Stream, parse_stream};

/// A patch that is ready to be applied.
pub(super) enum Patch {
    Strategic(Vec<PatchDocument>),
    Json(Vec<Operation>),
}

/// Reads a patch: documents first, then operations in JSON, then operations in YAML.
///
/// # Errors
///
/// The text of the reference: about JSON when the text starts with a bracket, else about the documents.
pub(super) fn detect(schema: &'static Schema, text: &str) -> Result<Patch, String> {
    let strategic = match load_patch(schema, text) {
        Ok(documents) => return Ok(Patch::Strategic(documents)),
        Err(error) => error,
    };
    let json = match operations_in_json(text) {
        Ok(operations) => return Ok(Patch::Json(operations)),
        Err(error) => error,
    };
    // Loading cut the documents up, so they are read once more.
    let Stream {
        documents, error, ..
    } = parse_stream(text, schema.dialect());
    let is_readable = error.is_none() || !documents.is_empty();
    if is_readable && let Some(operations) = operations_in_yaml(documents) {
        return operations.map(Patch::Json);
    }
    Err(if text.trim_start().starts_with('[') {
        json
    } else {
        strategic
    })
}

/// A list of mappings in the first document, or nothing at all.
fn operations_in_yaml(mut documents: Vec<Source>) -> Option<Result<Vec<Operation>, String>> {
    if documents.is_empty() || documents[0].node.is_null() {
        return Some(Ok(Vec::new()));
    }
    let Kind::Sequence(items) = documents.swap_remove(0).node.kind else {
        return None;
    };
    let operations: Option<Vec<Operation>> = items
        .into_iter()
        .map(|item| operation(item, false))
        .collect();
    operations.map(|operations| {
        operations
            .into_iter()
            .map(|operation| operation.through_json(Origin::YamlOperation))
            .collect()
    })
}

fn operation(item: Node, json: bool) -> Option<Operation> {
    match item.kind {
        Kind::Mapping(members) if members.duplicates.is_empty() => {
            Some(Operation { members, json })
        }
        Kind::Scalar(_) if item.is_null() => Some(Operation {
            members: Mapping::new(),
            json,
        }),
        _ => None,
    }
}

fn operations_in_json(text: &str) -> Result<Vec<Operation>, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| json_error(text, &error))?;
    let items = match value {
        serde_json::Value::Null => return Ok(Vec::new()),
        serde_json::Value::Array(items) => items,
        other => return Err(json_misfit(&other, "jsonpatch.Patch")),
    };
    // The text is YAML as well, which keeps numbers as they were written.
    let as_written = parse_stream(text, Dialect::Newest)
        .into_result()
        .ok()
        .and_then(|mut documents| match documents.pop()?.node.kind {
            Kind::Sequence(nodes) if nodes.len() == items.len() => Some(nodes),
            _ => None,
        });
    let nodes = as_written.unwrap_or_else(|| items.iter().map(json_node).collect());
    let operations = nodes.into_iter().zip(&items).map(|(node, item)| {
        operation(node, true)
            .or_else(|| operation(json_node(item), true))
            .ok_or_else(|| json_misfit(item, "jsonpatch.Operation"))?
            .through_json(Origin::JsonOperation)
    });
    operations.collect()
}

fn json_node(value: &serde_json::Value) -> Node {
    match value {
        serde_json::Value::Null => Node::null(),
        serde_json::Value::Bool(value) => Node::bool(*value),
        serde_json::Value::Number(number) => Node::plain(number.to_string()),
        serde_json::Value::String(text) => Node::string(text.clone()),
        serde_json::Value::Array(items) => Node::sequence(items.iter().map(json_node)),
        serde_json::Value::Object(members) => Node::mapping(
            members
                .iter()
                .map(|(key, value)| (key.clone(), json_node(value))),
        ),
    }
}

fn json_misfit(value: &serde_json::Value, target: &str) -> String {
    let what = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {what} into Go value of type {target}")
}

/// The error in the words of Go's `encoding/json`, as far as they follow from the place.
fn json_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let bytes = line.as_bytes();
    let at = error
        .column()
        .saturating_sub(1)
        .min(bytes.len().saturating_sub(1));
    let found = bytes.get(at).map_or(' ', |byte| char::from(*byte));
    let found = if found == '\'' {
        "'\\''".to_owned()
    } else {
        format!("'{found}'")
    };
    let context = match error.to_string() {
        text if text.starts_with("expected `,` or `]`") => "after array element",
        text if text.starts_with("expected `,` or `}`") => "after object key:value pair",
        text if text.starts_with("expected `:`") => "after object key",
        text if text.starts_with("key must be a string") => {
            "looking for beginning of object key string"
        }
        text if text.starts_with("trailing characters") => "after top-level value",
        text if text.starts_with("control character") => "in string literal",
        text if text.starts_with("invalid escape") => "in string escape code",
        _ => "looking for beginning of value",
    };
    format!("invalid character {found} {context}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_mistakes_are_told_in_the_words_of_go() {
        for (text, expected) in [
            ("[", "unexpected end of JSON input"),
            (
                "[{]",
                "invalid character ']' looking for beginning of object key string",
            ),
            ("[{\"a\" 1}]", "invalid character '1' after object key"),
            (
                "[x]",
                "invalid character 'x' looking for beginning of value",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "[1]",
                "json: cannot unmarshal number into Go value of type jsonpatch.Operation",
            ),
        ] {
            assert_eq!(
                operations_in_json(text).map(|_| ()),
                Err(expected.to_owned()),
                "{text}"
            );
        }
    }
}
