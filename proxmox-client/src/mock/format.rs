//! Types, patterns and property strings of the contract.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::Regex;
use serde_json::{Map, Value};

use crate::property::PropertyString;
use crate::wire;

/// The named formats of a contract.
#[derive(Debug)]
pub(super) struct Formats(Map<String, Value>);

type Checked = Result<(), String>;

impl Formats {
    pub(super) fn new(formats: Map<String, Value>) -> Self {
        Self(formats)
    }

    /// Checks a value against a schema; the problem is in the server's words.
    pub(super) fn check(&self, schema: &Value, value: &str) -> Checked {
        check_type(schema, value, Place::Parameter)?;
        self.check_constraints(schema, value)
    }

    fn check_constraints(&self, schema: &Value, value: &str) -> Checked {
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            if !words.contains(&value) {
                let all = words.join(", ");
                return Err(format!(
                    "value '{value}' does not have a value in the enumeration '{all}'"
                ));
            }
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !matches(pattern, false, value)
        {
            return Err("value does not match the regex pattern".to_owned());
        }
        check_range(schema, value)?;
        match schema.get("format") {
            Some(Value::String(name)) => self.check_named(name, value),
            Some(Value::Object(properties)) => self
                .check_properties(properties, value)
                .map_err(|problem| format!("invalid format - {problem}")),
            _ => Ok(()),
        }
    }

    fn check_named(&self, name: &str, value: &str) -> Checked {
        if let Some(format) = self.0.get(name) {
            if let Some(properties) = format.get("properties").and_then(Value::as_object) {
                return self
                    .check_properties(properties, value)
                    .map_err(|problem| format!("invalid format - {problem}"));
            }
            return self.check_scalar(name, format, value);
        }
        if let Some(base) = name.strip_suffix("-list") {
            return wire::split_list(value).try_for_each(|item| self.check_named(base, item));
        }
        if let Some(base) = name.strip_suffix("-opt") {
            return if value.is_empty() {
                Ok(())
            } else {
                self.check_named(base, value)
            };
        }
        if is_of_builtin_format(name, value) {
            Ok(())
        } else {
            Err(format!(
                "invalid format - value does not look like a valid {name}"
            ))
        }
    }

    fn check_scalar(&self, name: &str, format: &Value, value: &str) -> Checked {
        let valid = match name {
            "dns-name" => value.split('.').all(crate::id::is_host_label),
            "pve-volume-id-or-qm-path" => {
                matches!(value, "none" | "cdrom") || self.is_path_or_volume(value)
            }
            "pve-volume-id-or-absolute-path" => self.is_path_or_volume(value),
            "pve-qm-bootdev" => {
                return match value.parse::<crate::vm::BootDevice>() {
                    Ok(_) => Ok(()),
                    Err(_) => Err(format!("invalid boot device '{value}'")),
                };
            }
            "CIDR" | "pve-ipv4-config" | "pve-ipv6-config" => {
                matches!(value, "dhcp" | "auto" | "manual") || is_cidr(value)
            }
            // Described in prose in the contract, and not sent by this crate.
            "pve-hotplug-features" | "pve-startup-order" | "storage-pair" => true,
            _ => {
                let pattern = format
                    .get("pattern")
                    .and_then(Value::as_str)
                    .unwrap_or(".*");
                matches(pattern, format.get("ignore_case").is_some(), value)
            }
        };
        if valid {
            Ok(())
        } else {
            Err(format!(
                "invalid format - value does not look like a valid {name}"
            ))
        }
    }

    fn is_path_or_volume(&self, value: &str) -> bool {
        value.starts_with('/') || self.check_named("pve-volume-id", value).is_ok()
    }

    /// The property schemas of an option, when it is a property string.
    pub(super) fn properties<'a>(&'a self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        match schema.get("format")? {
            Value::Object(properties) => Some(properties),
            Value::String(name) => self.0.get(name)?.get("properties")?.as_object(),
            _ => None,
        }
    }

    fn check_properties(&self, properties: &Map<String, Value>, text: &str) -> Checked {
        let values = resolve(properties, text)?;
        for (key, value) in &values {
            let schema = &properties[key.as_str()];
            check_type(schema, value, Place::Property)
                .and_then(|()| self.check_constraints(schema, value))
                .map_err(|problem| format!("format error\n{key}: {problem}"))?;
        }
        for (key, schema) in properties {
            let required = schema.get("alias").is_none() && schema.get("optional").is_none();
            if required && !values.contains_key(key) {
                return Err(format!(
                    "format error\n{key}: property is missing and it is not optional"
                ));
            }
        }
        Ok(())
    }
}

/// The values by real key: bare values, aliases (`volume` is `file`) and key aliases
/// (`virtio=MAC` is `model=virtio,macaddr=MAC`) resolved.
pub(super) fn resolve(
    properties: &Map<String, Value>,
    text: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut parsed = PropertyString::parse(text).map_err(|error| {
        error
            .diagnostics()
            .message_of("value")
            .unwrap_or_default()
            .to_owned()
    })?;
    let mut values = BTreeMap::new();
    if let Some(bare) = parsed.take_bare() {
        let default = properties
            .iter()
            .find(|(_, schema)| schema.get("default_key").is_some())
            .ok_or("value without key, but schema does not define a default key")?;
        values.insert(default.0.clone(), bare);
    }
    for (key, value) in parsed.iter() {
        let schema = properties.get(key).ok_or_else(|| {
            format!("format error\n{key}: property is not defined in schema and the schema does not allow additional properties")
        })?;
        let field = |name: &str| schema.get(name).and_then(Value::as_str);
        if let Some(model) = field("keyAlias") {
            values.insert(model.to_owned(), key.to_owned());
        }
        let real = field("alias").unwrap_or(key);
        if values.insert(real.to_owned(), value.to_owned()).is_some() {
            return Err(format!(
                "duplicate key in comma-separated list property: {real}"
            ));
        }
    }
    Ok(values)
}

/// The text that the server stores: the bare default key, required keys, then the others, each
/// group in alphabetical order; booleans as 1 and 0.
pub(super) fn print(properties: &Map<String, Value>, values: &BTreeMap<String, String>) -> String {
    let mut text = PropertyString::default();
    let is = |key: &str, flag: &str| properties.get(key).is_some_and(|s| s.get(flag).is_some());
    let mut left = values.clone();
    let default = values.keys().find(|key| is(key, "default_key")).cloned();
    if let Some(key) = default {
        let value = left.remove(&key).unwrap_or_default();
        // `virtio=MAC` in place of `model=virtio,macaddr=MAC`.
        let combined = properties.contains_key(&value) && is(&value, "keyAlias");
        match left.remove("macaddr") {
            Some(mac) if combined => text.push(&value, mac),
            Some(mac) => {
                text = PropertyString::with_bare(&value);
                left.insert("macaddr".to_owned(), mac);
            }
            None => text = PropertyString::with_bare(&value),
        }
    }
    let (required, optional): (Vec<_>, Vec<_>) =
        left.iter().partition(|(key, _)| !is(key, "optional"));
    for (key, value) in required.into_iter().chain(optional) {
        let boolean = properties
            .get(key)
            .is_some_and(|schema| schema.get("type").and_then(Value::as_str) == Some("boolean"));
        match wire::truth_of_text(value).filter(|_| boolean) {
            Some(truth) => text.push(key, u8::from(truth)),
            None => text.push(key, value),
        }
    }
    text.to_string()
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Parameter,
    Property,
}

fn check_type(schema: &Value, value: &str, place: Place) -> Checked {
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("string");
    let valid = match kind {
        "boolean" if place == Place::Parameter => matches!(value, "0" | "1"),
        "boolean" => wire::truth_of_text(value).is_some(),
        "integer" => matches(r"[+-]?\d+", false, value),
        "number" => value.parse::<f64>().is_ok_and(f64::is_finite),
        _ => true,
    };
    if valid {
        Ok(())
    } else {
        Err(format!("type check ('{kind}') failed - got '{value}'"))
    }
}

fn check_range(schema: &Value, value: &str) -> Checked {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let length = value.chars().count() as f64;
    if let Some(most) = limit("maxLength").filter(|most| length > *most) {
        return Err(format!("value may only be {most} characters long"));
    }
    if let Some(least) = limit("minLength").filter(|least| length < *least) {
        return Err(format!("value must be at least {least} characters long"));
    }
    let Ok(number) = value.parse::<f64>() else {
        return Ok(());
    };
    if let Some(least) = limit("minimum").filter(|least| number < *least) {
        return Err(format!("value must have a minimum value of {least}"));
    }
    if let Some(most) = limit("maximum").filter(|most| number > *most) {
        return Err(format!("value must have a maximum value of {most}"));
    }
    Ok(())
}

/// Perl patterns, anchored on both ends by the server; `(?^:` is Perl's wrapper of a compiled one.
fn matches(pattern: &str, ignore_case: bool, value: &str) -> bool {
    let pattern = pattern.replace("(?^:", "(?:").replace("(?^i:", "(?i:");
    let flag = if ignore_case { "(?i)" } else { "" };
    Regex::new(&format!("{flag}^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(value))
}

fn is_of_builtin_format(name: &str, value: &str) -> bool {
    match name {
        "ipv4" => value.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => value.parse::<Ipv6Addr>().is_ok(),
        "address" => value.parse::<IpAddr>().is_ok() || crate::id::is_host_label(value),
        "pve-storage-content" => matches!(
            value,
            "images" | "rootdir" | "vztmpl" | "iso" | "backup" | "snippets" | "import" | "none"
        ),
        "pve-poolid" => matches(r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}", false, value),
        "pve-qm-bootdisk" => value.parse::<crate::vm::Slot>().is_ok(),
        "pve-realm" => matches(r"[A-Za-z][A-Za-z0-9.\-_]+", false, value),
        "pve-priv" => matches(r"[A-Za-z.]+", false, value),
        // `pve-cpuset` belongs to a parameter that only root may send.
        _ => true,
    }
}

fn is_cidr(value: &str) -> bool {
    value.split_once('/').is_some_and(|(address, prefix)| {
        match (address.parse::<IpAddr>(), prefix.parse::<u8>()) {
            (Ok(IpAddr::V4(_)), Ok(prefix)) => prefix <= 32,
            (Ok(IpAddr::V6(_)), Ok(prefix)) => prefix <= 128,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::contract::Contract;
    use super::*;

    fn check(name: &str, value: &str) -> Checked {
        let contract = Contract::pve_9();
        contract
            .formats()
            .check(contract.vm_option(name).unwrap(), value)
    }

    fn stored(name: &str, value: &str) -> String {
        let contract = Contract::pve_9();
        let properties = contract
            .formats()
            .properties(contract.vm_option(name).unwrap())
            .unwrap();
        print(properties, &resolve(properties, value).unwrap())
    }

    #[test]
    fn good_options_pass() {
        for (name, value) in [
            ("name", "tal01.lungmen.akn.chezmoi.sh"),
            ("scsi0", "nvme-lvm:32,iothread=1"),
            ("scsi1", "nvme-lvm:64,iothread=1,ssd=1,discard=on"),
            ("ide2", "local:iso/talos.iso,media=cdrom"),
            ("ide2", "none,media=cdrom"),
            ("efidisk0", "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"),
            ("tpmstate0", "nvme-lvm:1,version=v2.0"),
            ("net0", "virtio,bridge=vmbr1,firewall=1,tag=2"),
            ("net0", "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1"),
            ("boot", "order=scsi0;ide2"),
            ("agent", "enabled=1"),
            ("memory", "8192"),
            ("machine", "pc-q35-9.2+pve1"),
            ("tags", "amd64;talos-linux"),
            ("smbios1", "uuid=2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff"),
            ("cpu", "x86-64-v2-AES"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn bad_options_are_refused() {
        for (name, value, words) in [
            ("name", "tal_01", "dns-name"),
            ("boot", "order=cdrom", "invalid boot device 'cdrom'"),
            (
                "net0",
                "virtio,bridge=vmbr1,tag=4095",
                "maximum value of 4094",
            ),
            ("net0", "virtio,brdge=vmbr1", "not defined in schema"),
            ("net0", "bridge=vmbr1", "model: property is missing"),
            ("net0", "virtio=01:24:11:AA:BB:CC", "mac-addr"),
            ("efidisk0", "nvme-lvm:1,efitype=8m", "enumeration '2m, 4m'"),
            ("memory", "8", "minimum value of 16"),
            ("description", &"x".repeat(8193), "8192 characters long"),
            (
                "scsi0",
                "nvme-lvm:32,iothread=maybe",
                "type check ('boolean')",
            ),
        ] {
            let problem = check(name, value).unwrap_err();
            assert!(problem.contains(words), "{name}={value}: {problem}");
        }
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
        assert_eq!(stored("agent", "enabled=1"), "1");
    }
}
