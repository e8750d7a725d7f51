//! Property strings as the server parses and prints them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Release;
use crate::wire::truth_of_text;

/// A parsed property string.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The values by their real keys: aliases (`volume` is `file`) and key aliases (`virtio=MAC` is
    /// `model=virtio,macaddr=MAC`) are resolved.
    pub(super) values: BTreeMap<String, String>,
    /// The key of the value without key.
    pub(super) bare: Option<String>,
    /// Keys that the schema does not have.
    pub(super) unknown: Vec<String>,
}

/// Parses the text by the schema of its properties.
pub(super) fn parse(
    properties: &Map<String, Value>,
    text: &str,
    _release: Release,
) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    for part in text.split(',') {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                parsed.add_pair(properties, key, value)?;
            }
            Some(_) => {
                return Err("missing key in comma-separated list property\n".to_owned());
            }
            None => parsed.add_bare(properties, part)?,
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn add_pair(
        &mut self,
        properties: &Map<String, Value>,
        key: &str,
        value: &str,
    ) -> Result<(), String> {
        let Some(schema) = properties.get(key) else {
            self.unknown.push(key.to_owned());
            return Ok(());
        };
        let field = |name: &str| schema.get(name).and_then(Value::as_str);
        if let Some(model) = field("keyAlias") {
            self.insert(model, key)?;
        }
        self.insert(field("alias").unwrap_or(key), value)
    }

    fn add_bare(&mut self, properties: &Map<String, Value>, value: &str) -> Result<(), String> {
        let default = properties
            .iter()
            .find(|(_, schema)| schema.get("default_key").is_some())
            .map(|(key, _)| key)
            .ok_or("value without key, but schema does not define a default key\n")?;
        self.insert(default, value)?;
        self.bare = Some(default.clone());
        Ok(())
    }

    fn insert(&mut self, key: &str, value: &str) -> Result<(), String> {
        match self.values.insert(key.to_owned(), value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!(
                "duplicate key in comma-separated list property: {key}\n"
            )),
        }
    }
}

/// The values of a property string that was checked before.
pub(in crate::mock) fn resolve(
    properties: &Map<String, Value>,
    text: &str,
) -> Result<BTreeMap<String, String>, String> {
    parse(properties, text, Release::Nine).map(|parsed| parsed.values)
}

/// The text that the server stores: the default key without its name, required keys, then the others, each group in
/// alphabetical order; booleans as 1 and 0.
pub(in crate::mock) fn print(
    properties: &Map<String, Value>,
    values: &BTreeMap<String, String>,
) -> String {
    let is = |key: &str, flag: &str| properties.get(key).is_some_and(|s| s.get(flag).is_some());
    let mut left = values.clone();
    let mut parts = Vec::new();
    let default = values.keys().find(|key| is(key, "default_key")).cloned();
    if let Some(key) = default {
        let value = left.remove(&key).unwrap_or_default();
        let value = normal(properties, &key, &value);
        // `virtio=MAC` in place of `model=virtio,macaddr=MAC`.
        let combined = is(&value, "keyAlias") && left.contains_key("macaddr");
        parts.push(match left.remove("macaddr").filter(|_| combined) {
            Some(mac) => format!("{value}={mac}"),
            // Without its key the value would be read as a pair.
            None if value.contains('=') => format!("{key}={value}"),
            None => value,
        });
    }
    let (required, optional): (Vec<_>, Vec<_>) =
        left.iter().partition(|(key, _)| !is(key, "optional"));
    for (key, value) in required.into_iter().chain(optional) {
        parts.push(format!("{key}={}", normal(properties, key, value)));
    }
    parts.join(",")
}

fn normal(properties: &Map<String, Value>, key: &str, value: &str) -> String {
    let kind = properties.get(key).and_then(|schema| schema.get("type"));
    let boolean = kind.and_then(Value::as_str) == Some("boolean");
    match truth_of_text(value).filter(|_| boolean) {
        Some(truth) => u8::from(truth).to_string(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Contract;

    fn stored(name: &str, value: &str) -> String {
        let contract = Contract::pve_9();
        let properties = contract
            .formats()
            .properties(contract.vm_option(name).unwrap())
            .unwrap();
        print(properties, &resolve(properties, value).unwrap())
    }

    #[test]
    fn options_are_stored_in_the_servers_order() {
        assert_eq!(
            stored(
                "net0",
                "model=virtio,tag=2,macaddr=BC:24:11:AA:BB:CC,firewall=on,bridge=vmbr1"
            ),
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2"
        );
        assert_eq!(
            stored("efidisk0", "pre-enrolled-keys=0,file=nvme-lvm:1,efitype=4m"),
            "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"
        );
        assert_eq!(
            stored("agent", "enabled=yes,guest-fsfreeze=0"),
            "1,freeze-fs=0"
        );
        assert_eq!(
            stored("ide2", "file=local:iso/a=b.iso,media=cdrom"),
            "file=local:iso/a=b.iso,media=cdrom"
        );
    }
}
