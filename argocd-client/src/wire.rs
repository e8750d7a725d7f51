//! The JSON habits of a Go server: `null` lists, absent zero values, open enumerations.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads `null` as the default value; together with `#[serde(default)]` absent and `null` are one.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An enumeration whose values are strings of the server: the empty one and new ones are kept.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// The server has not set it yet (absent or empty).
            #[default]
            Unset,
            /// A value that this version of the crate does not know.
            Other(String),
        }

        impl $name {
            /// The text of the server; empty for [`Unset`](Self::Unset).
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unset => "",
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    "" => Self::Unset,
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Ok(Self::from(text.as_deref().unwrap_or_default()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use open_enum;

/// Whether `whole` has everything that `part` says. Empty values of `part` are the same as absent
/// ones, as everywhere in Argo CD; `whole` may say more in its objects.
pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match part {
        Value::Object(fields) => fields.iter().all(|(name, part)| {
            let found = whole.get(name).unwrap_or(&Value::Null);
            (is_empty(part) && is_empty(found)) || contains(found, part)
        }),
        Value::Array(parts) => whole.as_array().is_some_and(|found| {
            found.len() == parts.len()
                && found
                    .iter()
                    .zip(parts)
                    .all(|(found, part)| contains(found, part))
        }),
        part => whole == part || (is_empty(part) && is_empty(whole)),
    }
}

pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A list response; `items` is `null` when it is empty.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct List<T> {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) metadata: ListMeta,
    #[serde(default = "Vec::new", deserialize_with = "nullable")]
    pub(crate) items: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListMeta {
    #[serde(default, rename = "resourceVersion", deserialize_with = "nullable")]
    pub(crate) resource_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::SyncStatus;

    #[test]
    fn a_stored_object_contains_what_was_sent_and_the_defaults_of_the_server() {
        let sent = serde_json::json!({"generators": [{"clusters": {}}], "goTemplate": false});
        let stored = serde_json::json!({"generators": [{"clusters": {"selector": {}, "template": {"metadata": {}}}}]});

        assert!(contains(&stored, &sent));
        assert!(!contains(&sent, &serde_json::json!({"generators": []})));
        assert!(!contains(
            &stored,
            &serde_json::json!({"strategy": {"type": "RollingSync"}})
        ));
    }

    #[test]
    fn null_absent_and_empty_lists_are_the_same() {
        for text in [
            r#"{"metadata":{},"items":null}"#,
            r#"{"metadata":null}"#,
            r#"{"items":[]}"#,
        ] {
            let list: List<String> = serde_json::from_str(text).unwrap();
            assert!(list.items.is_empty(), "{text}");
        }
    }

    #[test]
    fn an_open_enumeration_keeps_what_it_does_not_know() {
        let read = |text: &str| serde_json::from_str::<SyncStatus>(text).unwrap();

        assert_eq!(read("\"Synced\""), SyncStatus::Synced);
        assert_eq!(read("\"\""), SyncStatus::Unset);
        assert_eq!(read("null"), SyncStatus::Unset);
        assert_eq!(read("\"Blue\""), SyncStatus::Other("Blue".to_owned()));
        assert_eq!(
            serde_json::to_string(&read("\"Blue\"")).unwrap(),
            "\"Blue\""
        );
    }
}
