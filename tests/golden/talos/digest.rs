//! The digest of a configuration: the SHA-256 of its documents as JSON with sorted keys.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use talos_client::yaml::{Kind, Node, Value, parse_documents};

/// The digest in lower-case hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    let documents = parse_documents(text).unwrap();
    let mut json = String::new();
    write_list(&mut json, &documents);
    let mut hex = String::new();
    for byte in Sha256::digest(json.as_bytes()) {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

fn write_list(json: &mut String, items: &[Node]) {
    json.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push_str(", ");
        }
        write_node(json, item);
    }
    json.push(']');
}

fn write_node(json: &mut String, node: &Node) {
    match node.kind() {
        Kind::Sequence(items) => write_list(json, items),
        Kind::Mapping(mapping) => {
            let mut entries: Vec<(&str, &Node)> = mapping.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            json.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    json.push_str(", ");
                }
                write_text(json, key);
                json.push_str(": ");
                write_node(json, value);
            }
            json.push('}');
        }
        // The digests were made by a YAML 1.1 reader, for which `0o644` is a text.
        Kind::Scalar(scalar) if scalar.text().starts_with("0o") => write_text(json, scalar.text()),
        Kind::Scalar(scalar) => match scalar.value() {
            Value::Null => json.push_str("null"),
            Value::Bool(value) => write!(json, "{value}").unwrap(),
            Value::Int(value) => write!(json, "{value}").unwrap(),
            Value::Uint(value) => write!(json, "{value}").unwrap(),
            Value::Float(value) => write!(json, "{value:?}").unwrap(),
            Value::Timestamp(text) => {
                write_text(json, &text.replace('T', " ").replace('Z', "+00:00"));
            }
            Value::String(text) => write_text(json, &text),
            _ => panic!("a kind of scalar that this test does not know"),
        },
        _ => panic!("a kind of node that this test does not know"),
    }
}

/// A JSON string in ASCII.
fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            ' '..='~' => json.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(json, "\\u{unit:04x}").unwrap();
                }
            }
        }
    }
    json.push('"');
}
