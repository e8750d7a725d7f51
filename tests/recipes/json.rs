//! JSON with one line for each entry of an object, so that a new release gives a readable difference.

use serde_json::{Map, Value};

/// `"key":value` lines of an object, without its braces.
pub(crate) fn lines(object: &Map<String, Value>) -> String {
    let lines: Vec<String> = object
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
        .collect();
    lines.join(",\n")
}
