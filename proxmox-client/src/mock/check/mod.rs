//! The checks of the server's parameter schema, in the server's words.
//!
//! This is code of its own, not that of the client: a mock that decoded with the client's parser would accept whatever
//! the client happens to print.

mod cluster;
pub(super) mod cpu;
mod firewall;
mod named;
mod pattern;
mod property;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use property::{print, resolve};

/// The result of a check; the problem is in the server's words, with its line breaks.
type Checked = Result<(), String>;

/// The version whose rules are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    Eight,
    Nine,
}

/// The named formats of a contract, and the rules around them.
#[derive(Debug)]
pub(super) struct Formats {
    named: Map<String, Value>,
    release: Release,
}

impl Formats {
    pub(super) fn new(named: Map<String, Value>, release: Release) -> Self {
        Self { named, release }
    }

    pub(super) fn release(&self) -> Release {
        self.release
    }

    /// Checks the value of the parameter `path` against its schema.
    pub(super) fn check(&self, path: &str, schema: &Value, value: &str) -> Checked {
        check_type(schema, value, Place::Parameter)?;
        self.check_constraints(path, schema, value)
    }

    /// Checks everything but the type, in the order of the server.
    fn check_constraints(&self, path: &str, schema: &Value, value: &str) -> Checked {
        match schema.get("format") {
            Some(Value::String(name)) => self
                .check_named(path, name, value)
                .map_err(|problem| format!("invalid format - {problem}"))?,
            Some(Value::Object(properties)) => self
                .check_properties(path, properties, value)
                .map_err(|problem| format!("invalid format - {problem}"))?,
            _ => {}
        }
        check_length(schema, value)?;
        if let Some(text) = schema.get("pattern").and_then(Value::as_str)
            && !pattern::matches(text, false, value)
        {
            return Err("value does not match the regex pattern".to_owned());
        }
        check_range(schema, value)?;
        check_enumeration(schema, value)
    }

    fn check_named(&self, path: &str, name: &str, value: &str) -> Checked {
        if let Some(properties) = self.named_properties(name) {
            self.check_properties(path, properties, value)?;
            return self.check_together(name, properties, value);
        }
        if !self.named.contains_key(name) {
            if let Some(base) = name.strip_suffix("-list") {
                return crate::wire::split_list(value)
                    .try_for_each(|item| self.check_named(path, base, item));
            }
            if let Some(base) = name.strip_suffix("-opt") {
                return match value {
                    "" => Ok(()),
                    value => self.check_named(path, base, value),
                };
            }
        }
        named::check(name, self.named.get(name), self.release, value).unwrap_or(Ok(()))
    }

    /// What properties must hold together.
    fn check_together(&self, name: &str, properties: &Map<String, Value>, value: &str) -> Checked {
        let values = resolve(properties, value).unwrap_or_default();
        let is_on = |key: &str| {
            let value = values.get(key);
            value.and_then(|value| crate::wire::truth_of_text(value)) == Some(true)
        };
        match name {
            "pve-vm-cpu-conf" => cpu::check(self.release, value),
            "backup-fleecing" => {
                unless(!is_on("enabled") || values.contains_key("storage"), || {
                    "'storage' parameter is required when 'enabled' is set".to_owned()
                })
            }
            "prune-backups" => {
                let keeps = |(key, value): (&String, &String)| key != "keep-all" && value != "0";
                let others = values.iter().any(keeps);
                unless(!(is_on("keep-all") && others), || {
                    "keep-all cannot be set together with other options.".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    fn named_properties(&self, name: &str) -> Option<&Map<String, Value>> {
        self.named.get(name)?.get("properties")?.as_object()
    }

    /// The property schemas of an option, when it is a property string.
    pub(super) fn properties<'a>(&'a self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        match schema.get("format")? {
            Value::Object(properties) => Some(properties),
            Value::String(name) => self.named_properties(name),
            _ => None,
        }
    }

    fn check_properties(&self, path: &str, properties: &Map<String, Value>, text: &str) -> Checked {
        let parsed = property::parse(properties, text, self.release)?;
        let mut problems: BTreeMap<String, String> = BTreeMap::new();
        for key in &parsed.unknown {
            problems.insert(key.clone(), super::contract::UNDEFINED.to_owned());
        }
        for (key, value) in &parsed.values {
            let inner = format!("{path}.{key}");
            let schema = &properties[key.as_str()];
            let place = match parsed.bare.as_ref() == Some(key) {
                true => Place::BareProperty,
                false => Place::Property,
            };
            let checked = self
                .check_property_type(schema, value, place)
                .and_then(|()| self.check_constraints(&inner, schema, value));
            if let Err(problem) = checked {
                problems.insert(key.clone(), problem);
            }
            if let Some(needed) = missing_companion(schema, &parsed.values) {
                let text = self.companion_text(&inner);
                problems.insert(needed, text);
            }
        }
        for (key, schema) in properties {
            let required = schema.get("alias").is_none() && schema.get("optional").is_none();
            if required && !parsed.values.contains_key(key) {
                problems.insert(key.clone(), super::contract::MISSING.to_owned());
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let lines = problems
            .iter()
            .map(|(key, problem)| format!("{path}.{key}: {problem}\n"));
        Err(format!("format error\n{}", lines.collect::<String>()))
    }

    fn check_property_type(&self, schema: &Value, value: &str, place: Place) -> Checked {
        // PVE 8 does not normalize the spelling of a boolean without key (measured: `agent=yes`).
        let strict = place == Place::BareProperty && self.release == Release::Eight;
        let place = match strict {
            true => Place::Parameter,
            false => Place::Property,
        };
        check_type(schema, value, place)
    }

    /// The problem of a parameter that `path` requires.
    pub(super) fn companion_text(&self, path: &str) -> String {
        match self.release {
            Release::Nine => format!("missing property required by '{path}'"),
            Release::Eight => format!("missing property - '{path}' requires this property"),
        }
    }
}

/// The property that a given one requires and that is not given.
pub(super) fn missing_companion(
    schema: &Value,
    values: &BTreeMap<String, String>,
) -> Option<String> {
    let needed = schema.get("requires")?.as_str()?;
    (!values.contains_key(needed)).then(|| needed.to_owned())
}

/// The problem of a value, as a line, unless it is good.
fn unless(good: bool, problem: impl FnOnce() -> String) -> Checked {
    match good {
        true => Ok(()),
        false => Err(format!("{}\n", problem())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Parameter,
    Property,
    BareProperty,
}

fn check_type(schema: &Value, value: &str, place: Place) -> Checked {
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("string");
    let valid = match kind {
        "boolean" if place == Place::Parameter => matches!(value, "0" | "1"),
        "boolean" => crate::wire::truth_of_text(value).is_some() && !value.is_empty(),
        "integer" => pattern::matches(r"[+-]?\d+", false, value),
        "number" => pattern::matches(r"[+-]?(?=\.?\d)\d*(\.\d*)?([Ee][+-]?\d+)?", false, value),
        _ => true,
    };
    if valid {
        Ok(())
    } else {
        Err(format!("type check ('{kind}') failed - got '{value}'"))
    }
}

fn check_length(schema: &Value, value: &str) -> Checked {
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    let length = value.chars().count() as u64;
    if let Some(most) = limit("maxLength").filter(|most| length > *most) {
        return Err(format!("value may only be {most} characters long"));
    }
    if let Some(least) = limit("minLength").filter(|least| length < *least) {
        return Err(format!("value must be at least {least} characters long"));
    }
    Ok(())
}

fn check_range(schema: &Value, value: &str) -> Checked {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let Ok(number) = value.parse::<f64>() else {
        return Ok(());
    };
    if let Some(most) = limit("maximum").filter(|most| number > *most) {
        return Err(format!("value must have a maximum value of {most}"));
    }
    if let Some(least) = limit("minimum").filter(|least| number < *least) {
        return Err(format!("value must have a minimum value of {least}"));
    }
    Ok(())
}

fn check_enumeration(schema: &Value, value: &str) -> Checked {
    let Some(words) = schema.get("enum").and_then(Value::as_array) else {
        return Ok(());
    };
    let words: Vec<String> = words.iter().filter_map(crate::wire::text).collect();
    if words.iter().any(|word| word == value) {
        return Ok(());
    }
    let all = words.join(", ");
    Err(format!(
        "value '{value}' does not have a value in the enumeration '{all}'"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::mock::Contract;

    fn names(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let name = fields.get("format").and_then(Value::as_str);
                found.extend(name.map(str::to_owned));
                fields.values().for_each(|inner| names(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_named_format_of_both_contracts_is_judged() {
        for contract in [Contract::pve_9(), Contract::pve_8()] {
            let formats = contract.formats();
            let mut used = BTreeSet::new();
            names(&contract.as_json(), &mut used);

            assert!(used.len() > 50, "{}", used.len());
            for name in used {
                let base = match formats.named.contains_key(&name) {
                    true => name.as_str(),
                    false => name.trim_end_matches("-list").trim_end_matches("-opt"),
                };
                let judged = formats.named_properties(base).is_some()
                    || named::check(base, formats.named.get(base), formats.release, "x").is_some();
                assert!(judged, "{name}");
            }
        }
    }

    #[test]
    fn properties_are_judged_together() {
        let formats = Contract::pve_9().formats();
        for (name, good, bad) in [
            ("prune-backups", "keep-all=1", "keep-all=1,keep-last=3"),
            ("backup-fleecing", "1,storage=local", "1"),
        ] {
            assert_eq!(formats.check_named("x", name, good), Ok(()), "{good}");
            assert!(formats.check_named("x", name, bad).is_err(), "{bad}");
        }
    }
}
