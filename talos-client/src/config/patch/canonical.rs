//! What JSON makes of YAML: the library of JSON patches works on JSON, so numbers come out canonical and dates become texts.

use crate::go::number::shortest;
use crate::go::yaml::{Kind, Mapping, Node, Scalar, Style, Value};

/// Where a value comes from, which decides how its scalars are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration, read by a YAML 1.1 library: `yes` is true, a date is a text.
    Configuration,
    /// An operation in YAML: a date becomes a point in time.
    YamlOperation,
    /// An operation in JSON.
    JsonOperation,
}

/// The value as it comes back from JSON, with keys in their order.
///
/// # Errors
///
/// The text of Go's `encoding/json` for what JSON cannot hold.
pub(super) fn through_json(node: &Node, origin: Origin) -> Result<Node, String> {
    match node.kind() {
        Kind::Scalar(scalar) => through_scalar(scalar, origin),
        Kind::Sequence(items) => {
            let items: Result<Vec<Node>, String> = items
                .iter()
                .map(|item| through_json(item, origin))
                .collect();
            Ok(Node::sequence(items?))
        }
        Kind::Mapping(mapping) => {
            let mut through = Mapping::new();
            for entry in mapping.entries() {
                let key = through_key(entry.key(), origin)?;
                through.insert(key, through_json(entry.value(), origin)?);
            }
            Ok(through.into())
        }
    }
}

/// Sorts the keys of all mappings, as the reference prints what comes from JSON.
pub(super) fn sort_keys(node: &mut Node) {
    match node.kind_mut() {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter_mut().for_each(sort_keys),
        Kind::Mapping(mapping) => {
            mapping.sort_keys();
            mapping.iter_mut().for_each(|(_, value)| sort_keys(value));
        }
    }
}

fn through_key(key: &Scalar, origin: Origin) -> Result<String, String> {
    match (key.value(), origin) {
        (Value::String(text), _) => Ok(text),
        (_, Origin::YamlOperation) => {
            Err("json: unsupported type: map[interface {}]interface {}".to_owned())
        }
        (Value::Int(value), _) => Ok(value.to_string()),
        (Value::Uint(value), _) => Ok(value.to_string()),
        (Value::Float(value), _) => Ok(shortest(value)),
        (Value::Bool(value), _) => Ok(value.to_string()),
        _ => Ok(key.text().to_owned()),
    }
}

fn through_scalar(scalar: &Scalar, origin: Origin) -> Result<Node, String> {
    if origin == Origin::Configuration
        && let Some(value) = yaml_1_1_bool(scalar)
    {
        return Ok(Node::bool(value));
    }
    Ok(match scalar.value() {
        Value::Null => Node::null(),
        Value::Bool(value) => Node::bool(value),
        Value::Int(value) => Node::int(value),
        Value::Uint(value) => Node::plain(value.to_string()),
        Value::Float(value) if !value.is_finite() => {
            let name = if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            return Err(format!("json: unsupported value: {name}"));
        }
        // JSON has no negative zero.
        Value::Float(0.0) => Node::int(0),
        Value::Float(value) => Node::plain(shortest(value)),
        Value::Timestamp(instant) if origin == Origin::YamlOperation => Node::string(instant),
        Value::Timestamp(_) => Node::string(scalar.text()),
        Value::String(text) => Node::string(text),
    })
}

/// The words that YAML 1.1 takes for booleans, written without quotes.
fn yaml_1_1_bool(scalar: &Scalar) -> Option<bool> {
    if scalar.style() != Style::Plain || scalar.tag().is_some() {
        return None;
    }
    match scalar.text() {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::yaml::parse_documents;

    fn through(text: &str, origin: Origin) -> Result<String, String> {
        let node = &parse_documents(text).unwrap()[0];
        let mut through = through_json(node, origin)?;
        sort_keys(&mut through);
        Ok(through.to_yaml())
    }

    #[test]
    fn values_come_out_as_json_holds_them() {
        let text = "z: 1.50\na: 0x10\nb: 2001-01-01\nc: yes\nd: 1e21\ne: ~\nf: 010\n5: x\n";
        assert_eq!(
            through(text, Origin::Configuration).as_deref(),
            Ok("\"5\": x\na: 16\nb: \"2001-01-01\"\nc: true\nd: 1e+21\ne: null\nf: 8\nz: 1.5\n")
        );
        assert_eq!(
            through("a: 2001-01-01\nb: yes\n", Origin::YamlOperation).as_deref(),
            Ok("a: \"2001-01-01T00:00:00Z\"\nb: \"yes\"\n")
        );
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert_eq!(
            through("a: .inf\n", Origin::YamlOperation),
            Err("json: unsupported value: +Inf".to_owned())
        );
        assert_eq!(
            through("a: {1: 2}\n", Origin::YamlOperation),
            Err("json: unsupported type: map[interface {}]interface {}".to_owned())
        );
    }
}
