//! Reading single values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{integer, split_list, text, truth, truth_of_text, whole};

/// Types that are read from the shapes in which Perl sends values.
pub(crate) trait FromWire: Sized {
    /// The value of a field; null stands for a field that is absent.
    fn from_wire(value: Value) -> Option<Self>;

    /// As [`from_wire`](Self::from_wire) for a text; types that need no copy of it make none.
    fn from_text(text: &str) -> Option<Self> {
        Self::from_wire(text.into())
    }

    /// As [`from_wire`](Self::from_wire) for a whole number.
    fn from_number(number: u64) -> Option<Self> {
        Self::from_wire(number.into())
    }
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

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromWire for bool {
    fn from_wire(value: Value) -> Option<Self> {
        truth(&value)
    }

    fn from_text(text: &str) -> Option<Self> {
        truth_of_text(text)
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(number != 0)
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

            fn from_number(number: u64) -> Option<Self> {
                number.try_into().ok()
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

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => Some(None),
            text => T::from_text(text).map(Some),
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        T::from_number(number).map(Some)
    }
}

/// An array, a separated string, or nothing. An empty list can arrive as an empty object.
impl<T: FromWire> FromWire for Vec<T> {
    fn from_wire(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::new()),
            Value::Array(items) => items.into_iter().map(T::from_wire).collect(),
            Value::String(joined) => Self::from_text(&joined),
            Value::Object(fields) if fields.is_empty() => Some(Self::new()),
            _ => None,
        }
    }

    fn from_text(joined: &str) -> Option<Self> {
        split_list(joined).map(T::from_text).collect()
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

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}

pub(crate) use from_wire_text;
