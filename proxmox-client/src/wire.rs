//! The shapes in which Perl sends values: numbers as strings, booleans as `1`, `"0"` or `""`.
//!
//! Whether a scalar leaves the server as JSON number or string depends on how it was last used
//! there, so every reader accepts both.

mod response;
mod value;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

pub(crate) use response::{Field, Name, response};
pub(crate) use value::{FromWire, from_wire_text};

/// An integer that may be absent, null, empty, a number, a numeric string or a whole float.
pub(crate) fn opt_u64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => integer(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not an unsigned integer")),
    }
}

/// A boolean; absent, null and the empty string are false.
pub(crate) fn bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    truth(&Value::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a boolean"))
}

/// A required string that may come as a number.
pub(crate) fn string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(&Value::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a string"))
}

/// A string that may be absent, null or a number.
pub(crate) fn opt_string<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => text(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not a string")),
    }
}

/// The items of a list that the server takes and gives as one string.
pub(crate) fn split_list(joined: &str) -> impl Iterator<Item = &str> {
    joined
        .split([',', ';', ' ', '\t', '\n', '\0'])
        .filter(|item| !item.is_empty())
}

/// A scalar as the text it stands for.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A float without fraction, as `1024.0` or `1e3`; the largest counters lose no more than Perl lost.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "range is checked"
)]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..1.8e19).contains(&number)).then_some(number as u64)
}

/// The truth of a scalar inside or outside a property string.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => truth_of_text(text),
        _ => None,
    }
}

/// Property strings accept four spellings of each truth value.
pub(crate) fn truth_of_text(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match text {
        "1" => Some(true),
        "" | "0" => Some(false),
        _ if is(&["on", "yes", "true"]) => Some(true),
        _ if is(&["off", "no", "false"]) => Some(false),
        _ => None,
    }
}

/// Reads a value that is not a field of an object.
pub(crate) fn deserialize<'de, T: FromWire, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::from_wire(Value::deserialize(deserializer)?)
        .ok_or_else(|| D::Error::custom("unexpected shape"))
}

/// Takes one field out of an object.
pub(crate) fn field<T: FromWire, E: serde::de::Error>(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<T, E> {
    read(fields.swap_remove(name).unwrap_or_default(), name)
}

/// The value of a field that was read, or of one that is absent.
pub(crate) fn present<T: FromWire, E: serde::de::Error>(
    field: Option<Option<T>>,
    name: &'static str,
) -> Result<T, E> {
    field
        .unwrap_or_else(|| T::from_wire(Value::Null))
        .ok_or_else(|| E::custom(format_args!("{FIELD}{name}")))
}

/// Reads the value of a field of an object; null stands for a field that is absent.
fn read<T: FromWire, E: serde::de::Error>(value: Value, name: &'static str) -> Result<T, E> {
    T::from_wire(value).ok_or_else(|| E::custom(format_args!("{FIELD}{name}")))
}

/// How the error of [`read`] begins; the name of the field follows.
pub(crate) const FIELD: &str = "field ";

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::vm::VmInfo;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "super::opt_u64")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "super::bool")]
        flag: bool,
        #[serde(default, deserialize_with = "super::deserialize")]
        items: Vec<String>,
    }

    #[test]
    fn what_has_no_field_is_kept_in_the_order_of_the_server() {
        let text = r#"{"z":1,"vmid":1,"status":"running","b":null,"a":[],"vmid":"104"}"#;
        let vm: VmInfo = serde_json::from_str(text).unwrap();
        let again: VmInfo = serde_json::from_value(serde_json::from_str(text).unwrap()).unwrap();

        assert_eq!(vm.vmid.to_string(), "104");
        assert_eq!(
            serde_json::to_string(&vm.other).unwrap(),
            r#"{"z":1,"b":null,"a":[]}"#
        );
        assert_eq!(vm, again);
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        for text in [r#"{"vmid":104}"#, r#"{"status":[],"vmid":104}"#] {
            let error = serde_json::from_str::<VmInfo>(text).unwrap_err();
            assert!(error.to_string().starts_with("field status"), "{error}");
        }
        assert!(serde_json::from_str::<VmInfo>("[]").is_err());
    }

    fn sample(value: Value) -> Sample {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn integers_come_in_every_form() {
        for value in [json!(1024), json!("1024"), json!(1024.0), json!("1.024e3")] {
            assert_eq!(sample(json!({ "number": value })).number, Some(1024));
        }
        assert_eq!(sample(json!({ "number": null })).number, None);
        assert_eq!(sample(json!({ "number": "" })).number, None);
        assert_eq!(sample(json!({})).number, None);
    }

    #[test]
    fn booleans_come_in_every_form() {
        for value in [json!(1), json!("1"), json!(true)] {
            assert!(sample(json!({ "flag": value })).flag);
        }
        for value in [json!(0), json!("0"), json!(false), json!(""), json!(null)] {
            assert!(!sample(json!({ "flag": value })).flag);
        }
    }

    #[test]
    fn lists_come_as_array_or_text() {
        assert_eq!(sample(json!({ "items": ["a", 2] })).items, ["a", "2"]);
        assert_eq!(sample(json!({ "items": "a;b, c" })).items, ["a", "b", "c"]);
        assert!(sample(json!({})).items.is_empty());
    }
}
