//! Values, versions and metadata of KV version 2.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::services::{Error, ErrorKind, Result};

/// Values by name. `Debug` shows the names only.
pub type SecretMap = BTreeMap<String, SecretString>;

/// One version of a secret with its values.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Secret {
    /// The values; a value that is not a string is given as JSON text.
    pub data: SecretMap,
    /// The version.
    pub version: VersionInfo,
}

/// Metadata of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// Number of the version, from 1.
    pub version: u64,
    /// When it was written, RFC 3339 with nanoseconds.
    pub created_time: String,
    /// When it was soft-deleted; empty when it was not.
    #[serde(default)]
    pub deletion_time: String,
    /// Whether its values were removed permanently.
    #[serde(default)]
    pub destroyed: bool,
    /// Custom metadata: unversioned, and part of every read.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub custom_metadata: BTreeMap<String, String>,
}

/// One version in the [`Metadata`] of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionState {
    /// When it was written.
    pub created_time: String,
    /// When it was soft-deleted; empty when it was not.
    #[serde(default)]
    pub deletion_time: String,
    /// Whether its values were removed permanently.
    #[serde(default)]
    pub destroyed: bool,
}

/// Metadata of a secret and of all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Number of the newest version; the value for the next check-and-set. 0 before the first.
    pub current_version: u64,
    /// Number of the oldest version that is kept.
    #[serde(default)]
    pub oldest_version: u64,
    /// How many versions are kept; 0 is the default of the engine, which is 10.
    #[serde(default)]
    pub max_versions: u64,
    /// Whether writes without check-and-set are rejected.
    #[serde(default)]
    pub cas_required: bool,
    /// When the first version was written.
    pub created_time: String,
    /// When the secret was last written.
    pub updated_time: String,
    /// Custom metadata: unversioned, and part of every read.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub custom_metadata: BTreeMap<String, String>,
    /// Its versions by number.
    #[serde(default)]
    pub versions: BTreeMap<u64, VersionState>,
}

fn null_as_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A version as it was read, with the values as JSON.
pub(super) struct RawSecret {
    pub(super) values: Map<String, Value>,
    pub(super) version: VersionInfo,
}

impl RawSecret {
    pub(super) fn decode(operation: &'static str, answer: &Value) -> Result<Self> {
        let Some(values) = answer["data"]["data"].as_object() else {
            return Err(
                Error::new(ErrorKind::Decode, operation).with_message("data.data is missing")
            );
        };
        Ok(Self {
            values: values.clone(),
            version: decode(operation, &answer["data"]["metadata"])?,
        })
    }

    /// The names whose values differ from `desired` or exist on one side only.
    pub(super) fn differences(&self, desired: &SecretMap) -> Vec<String> {
        let extra = self
            .values
            .keys()
            .filter(|name| !desired.contains_key(*name));
        let mut names: Vec<String> = self
            .missing_or_other(desired)
            .chain(extra.cloned())
            .collect();
        names.sort();
        names
    }

    fn missing_or_other(&self, desired: &SecretMap) -> impl Iterator<Item = String> {
        desired
            .iter()
            .filter(|(name, value)| {
                let found = self.values.get(*name).and_then(Value::as_str);
                found != Some(value.expose_secret())
            })
            .map(|(name, _)| name.clone())
    }
}

impl From<RawSecret> for Secret {
    fn from(raw: RawSecret) -> Self {
        let text = |value: Value| match value {
            Value::String(text) => SecretString::from(text),
            other => SecretString::from(other.to_string()),
        };
        let data = raw
            .values
            .into_iter()
            .map(|(name, value)| (name, text(value)));
        Self {
            data: data.collect(),
            version: raw.version,
        }
    }
}

/// Decodes something that holds no values; errors name the field and its type.
pub(super) fn decode<T: serde::de::DeserializeOwned>(
    operation: &'static str,
    value: &Value,
) -> Result<T> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| Error::new(ErrorKind::Decode, operation).with_message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(values: Value) -> RawSecret {
        let answer = json!({"data": {"data": values, "metadata": {"version": 1, "created_time": "now",
            "custom_metadata": null, "deletion_time": "", "destroyed": false}}});
        RawSecret::decode("read secret", &answer).unwrap()
    }

    fn map(pairs: &[(&str, &str)]) -> SecretMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
            .collect()
    }

    #[test]
    fn differences_name_what_is_missing_other_or_extra() {
        let found = raw(json!({"same": "1", "other": "x", "extra": "y", "number": 5}));
        let desired = map(&[
            ("same", "1"),
            ("other", "2"),
            ("missing", "3"),
            ("number", "5"),
        ]);

        assert_eq!(
            found.differences(&desired),
            ["extra", "missing", "number", "other"]
        );
    }

    #[test]
    fn debug_of_a_secret_shows_names_only() {
        let secret = Secret::from(raw(json!({"talosconfig": "hunter2", "n": 1})));

        let debug = format!("{secret:?}");

        assert!(
            debug.contains("talosconfig") && !debug.contains("hunter2"),
            "{debug}"
        );
        assert_eq!(secret.data["n"].expose_secret(), "1");
    }

    #[test]
    fn fields_that_only_newer_servers_have_are_optional() {
        let metadata: Metadata = decode(
            "read metadata",
            &json!({"current_version": 2, "created_time": "a", "updated_time": "b", "custom_metadata": null,
                "versions": {"1": {"created_time": "a", "deletion_time": "", "destroyed": true}, "2": {"created_time": "b"}}}),
        )
        .unwrap();

        assert!(metadata.versions[&1].destroyed);
        assert_eq!(metadata.current_version, 2);
    }
}
