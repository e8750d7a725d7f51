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

/// A value on one line, with a space after each comma and colon.
pub(crate) fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(name, value)| format!("{}: {}", Value::from(String::clone(name)), spaced(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A list with one item a line, each spaced.
pub(crate) fn spaced_lines(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(spaced).collect();
    format!("[\n{}\n]\n", items.join(",\n"))
}

/// A value with one space for each level and a line for each item.
pub(crate) fn indented(value: &Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // A value of JSON has no keys or numbers that JSON cannot have, and memory takes all bytes.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    String::from_utf8_lossy(&text).into_owned() + "\n"
}

/// The same, with an escape for each character that is not printable ASCII.
pub(crate) fn indented_ascii(value: &Value) -> String {
    let mut text = String::new();
    for character in indented(value).chars() {
        if matches!(character, '\n' | ' '..='~') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}
