//! The shapes in which Perl sends values: numbers as strings, booleans as `1`, `"0"` or `""`.
//!
//! Whether a scalar leaves the server as JSON number or string depends on how it was last used
//! there, so every reader accepts both.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

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
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "" | "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// Types that are read from the shapes in which Perl sends values.
pub(crate) trait FromWire: Sized {
    /// The value of a field; null stands for a field that is absent.
    fn from_wire(value: Value) -> Option<Self>;
}

impl FromWire for Value {
    fn from_wire(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl FromWire for String {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            other => text(&other),
        }
    }
}

impl FromWire for bool {
    fn from_wire(value: Value) -> Option<Self> {
        truth(&value)
    }
}

impl FromWire for f64 {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl FromWire for $type {
            fn from_wire(value: Value) -> Option<Self> {
                integer(&value)?.try_into().ok()
            }
        }
    )+};
}

integers!(u64, u32, u16, u8);

impl FromWire for i64 {
    fn from_wire(value: Value) -> Option<Self> {
        match &value {
            Value::Number(number) => number
                .as_i64()
                .or_else(|| whole(number.as_f64()?)?.try_into().ok()),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// Absent, null and the empty string are nothing.
impl<T: FromWire> FromWire for Option<T> {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::String(text) if text.is_empty() => Some(None),
            value => T::from_wire(value).map(Some),
        }
    }
}

/// An array, a separated string, or nothing. An empty list can arrive as an empty object.
impl<T: FromWire> FromWire for Vec<T> {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::new()),
            Value::Array(items) => items.into_iter().map(T::from_wire).collect(),
            Value::String(joined) => split_list(&joined)
                .map(|item| T::from_wire(item.into()))
                .collect(),
            Value::Object(fields) if fields.is_empty() => Some(Self::new()),
            _ => None,
        }
    }
}

/// An object, or nothing. An empty object can arrive as an empty list.
impl<T: FromWire> FromWire for BTreeMap<String, T> {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::new()),
            Value::Array(items) if items.is_empty() => Some(Self::new()),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| Some((name, T::from_wire(value)?)))
                .collect(),
            _ => None,
        }
    }
}

/// Reads types from their text.
macro_rules! from_wire_text {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::wire::FromWire for $type {
            fn from_wire(value: serde_json::Value) -> Option<Self> {
                $crate::wire::text(&value)?.parse().ok()
            }
        }
    )+};
}

pub(crate) use from_wire_text;

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

/// Reads the value of a field of an object; null stands for a field that is absent.
pub(crate) fn read<T: FromWire, E: serde::de::Error>(
    value: Value,
    name: &'static str,
) -> Result<T, E> {
    T::from_wire(value).ok_or_else(|| E::custom(format_args!("{FIELD}{name}")))
}

/// The values of the fields with a name, and the other fields.
type Split<const N: usize> = ([Value; N], Map<String, Value>);

/// The values of these fields of an object, and what else is in it, in the order of the server. Lists are long, so the names
/// of the fields are not copied.
pub(crate) fn fields<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
    names: &[&'static str; N],
) -> Result<Split<N>, D::Error> {
    deserializer.deserialize_map(Fields(names))
}

struct Fields<'a, const N: usize>(&'a [&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = Split<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut known, mut other) = ([const { Value::Null }; N], Map::new());
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            let value = map.next_value()?;
            match name {
                Ok(index) => known[index] = value,
                Err(name) => drop(other.insert(name, value)),
            }
        }
        Ok((known, other))
    }
}

/// Reads a name: its index, or its text when it is not one of these.
struct Name<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let index = self.0.iter().position(|name| *name == text);
        Ok(index.ok_or_else(|| text.to_owned()))
    }
}

/// How the error of [`read`] begins; the name of the field follows.
pub(crate) const FIELD: &str = "field ";

/// Declares the value of a response: every field is read leniently, and what has no name here is kept.
macro_rules! response {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $key:literal,)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* #[serde(rename = $key)] pub $field: $type,)+
            /// What this crate has no field for, as the server sent it.
            #[serde(flatten)]
            pub other: serde_json::Map<String, serde_json::Value>,
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (known, other) = $crate::wire::fields(deserializer, &[$($key),+])?;
                let mut known = known.into_iter();
                Ok(Self {
                    $($field: $crate::wire::read(known.next().unwrap_or_default(), $key)?,)+
                    other,
                })
            }
        }

        impl $crate::wire::FromWire for $name {
            fn from_wire(value: serde_json::Value) -> Option<Self> {
                serde_json::from_value(value).ok()
            }
        }
    )+};
}

pub(crate) use response;

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
