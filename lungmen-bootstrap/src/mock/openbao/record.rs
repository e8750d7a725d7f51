//! A secret of a KV version 2 engine, with its versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::envelope::Rejection;

/// How many versions an engine keeps by default.
const KEPT: u64 = 10;

#[derive(Debug, Clone)]
pub(super) struct SecretRecord {
    created: String,
    updated: String,
    current: u64,
    metadata_version: u64,
    max_versions: u64,
    cas_required: bool,
    custom_metadata: Value,
    versions: BTreeMap<u64, SecretVersion>,
}

#[derive(Debug, Clone)]
pub(super) struct SecretVersion {
    values: Map<String, Value>,
    created: String,
    deleted: String,
    destroyed: bool,
}

impl SecretRecord {
    pub(super) fn new() -> Self {
        let now = now();
        Self {
            created: now.clone(),
            updated: now,
            current: 0,
            metadata_version: 0,
            max_versions: 0,
            cas_required: false,
            custom_metadata: Value::Null,
            versions: BTreeMap::new(),
        }
    }

    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// The check-and-set of a write.
    pub(super) fn check(&self, cas: Option<u64>) -> Result<(), Rejection> {
        match cas {
            None if self.cas_required => Err(Rejection::new(
                400,
                "check-and-set parameter required for this call",
            )),
            Some(cas) if cas != self.current => Err(Rejection::new(
                400,
                "check-and-set parameter did not match the current version",
            )),
            _ => Ok(()),
        }
    }

    /// Writes a version and returns its metadata.
    pub(super) fn write(&mut self, values: Map<String, Value>) -> Value {
        self.current += 1;
        self.updated = now();
        let version = SecretVersion {
            values,
            created: self.updated.clone(),
            deleted: String::new(),
            destroyed: false,
        };
        self.versions.insert(self.current, version);
        let kept = match self.max_versions {
            0 => KEPT,
            kept => kept,
        };
        while u64::try_from(self.versions.len()).is_ok_and(|count| count > kept) {
            self.versions.pop_first();
        }
        self.about(self.current)
    }

    pub(super) fn values(&self, version: u64) -> Option<&Map<String, Value>> {
        let version = self.versions.get(&version)?;
        (!version.destroyed && version.deleted.is_empty()).then_some(&version.values)
    }

    /// The metadata of one version, as data reads and writes show it; null when there is no such version.
    pub(super) fn about(&self, number: u64) -> Value {
        let Some(version) = self.versions.get(&number) else {
            return Value::Null;
        };
        json!({
            "created_time": version.created,
            "custom_metadata": self.custom_metadata,
            "deletion_time": version.deleted,
            "destroyed": version.destroyed,
            "version": number,
        })
    }

    pub(super) fn delete(&mut self, versions: &[u64]) {
        for number in versions {
            if let Some(version) = self.versions.get_mut(number)
                && version.deleted.is_empty()
            {
                version.deleted = now();
            }
        }
    }

    pub(super) fn undelete(&mut self, versions: &[u64]) {
        for number in versions {
            if let Some(version) = self.versions.get_mut(number) {
                version.deleted.clear();
            }
        }
    }

    pub(super) fn destroy(&mut self, versions: &[u64]) {
        for number in versions {
            if let Some(version) = self.versions.get_mut(number) {
                version.destroyed = true;
                version.values.clear();
            }
        }
    }

    pub(super) fn metadata(&self) -> Value {
        let versions = self.versions.iter().map(|(number, version)| {
            let about = json!({"created_time": version.created, "deletion_time": version.deleted,
                "destroyed": version.destroyed});
            (number.to_string(), about)
        });
        let oldest = match self.versions.keys().next() {
            Some(first) if *first > 1 => *first,
            _ => 0,
        };
        json!({
            "cas_required": self.cas_required,
            "created_time": self.created,
            "current_metadata_version": self.metadata_version,
            "current_version": self.current,
            "custom_metadata": self.custom_metadata,
            "delete_version_after": "0s",
            "max_versions": self.max_versions,
            "metadata_cas_required": false,
            "oldest_version": oldest,
            "updated_time": self.updated,
            "versions": versions.collect::<Map<String, Value>>(),
        })
    }

    /// Takes over the settings of a metadata write.
    pub(super) fn set_metadata(&mut self, body: &Value) -> Result<(), Rejection> {
        const KNOWN: [&str; 4] = [
            "max_versions",
            "cas_required",
            "delete_version_after",
            "custom_metadata",
        ];
        let fields = body.as_object().into_iter().flatten();
        if let Some((unknown, _)) = fields
            .into_iter()
            .find(|(key, _)| !KNOWN.contains(&key.as_str()))
        {
            return Err(Rejection::not_modelled(format!(
                "the metadata field {unknown:?}"
            )));
        }
        if !body["custom_metadata"].is_null() {
            check_custom(&body["custom_metadata"])?;
            self.custom_metadata = body["custom_metadata"].clone();
        }
        if let Some(versions) = body["max_versions"].as_u64() {
            self.max_versions = versions;
        }
        if let Some(required) = body["cas_required"].as_bool() {
            self.cas_required = required;
        }
        self.metadata_version += 1;
        self.updated = now();
        Ok(())
    }
}

/// At most 64 notes, names of 1 to 128 bytes, values of 1 to 512.
fn check_custom(notes: &Value) -> Result<(), Rejection> {
    let bad = |problem: String| {
        Err(Rejection::new(
            400,
            format!(
                "1 error occurred:
	* custom_metadata validation failed: {problem}

"
            ),
        ))
    };
    let Some(notes) = notes.as_object() else {
        return bad("not a map".to_owned());
    };
    if notes.len() > 64 {
        return bad(format!(
            "payload must contain at most 64 keys, provided {}",
            notes.len()
        ));
    }
    for (name, value) in notes {
        let Some(value) = value.as_str() else {
            return Err(Rejection::not_modelled(
                "custom metadata that are no strings",
            ));
        };
        if !(1..=128).contains(&name.len()) {
            return bad(format!(
                "length of key {name:?} is {} but must be 0 < len(key) <= 128",
                name.len()
            ));
        }
        if !(1..=512).contains(&value.len()) {
            return bad(format!(
                "length of value for key {name:?} is {} but must be 0 < len(value) <= 512",
                value.len()
            ));
        }
    }
    Ok(())
}

fn now() -> String {
    Timestamp::now().to_string()
}
