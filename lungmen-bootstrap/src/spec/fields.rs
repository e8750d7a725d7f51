//! Reads a YAML mapping field by field and keeps every problem with its path.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde_yaml::{Mapping, Value};
use url::Url;

use crate::spec::address;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};

/// One mapping of the specification. Fields that nobody asked for are reported when it is finished.
pub(super) struct Fields {
    path: String,
    map: Mapping,
    asked: RefCell<BTreeSet<&'static str>>,
    diagnostics: Rc<RefCell<Diagnostics>>,
}

impl Fields {
    pub(super) fn root(value: Value, diagnostics: &Rc<RefCell<Diagnostics>>) -> Self {
        Self::of(String::new(), value, diagnostics)
    }

    fn of(path: String, value: Value, diagnostics: &Rc<RefCell<Diagnostics>>) -> Self {
        let map = match value {
            Value::Mapping(map) => map,
            Value::Null => Mapping::new(),
            other => {
                let at = if path.is_empty() {
                    "the document"
                } else {
                    &path
                };
                diagnostics.borrow_mut().add(Diagnostic::new(
                    at,
                    describe(&other),
                    "must be a mapping of fields",
                ));
                Mapping::new()
            }
        };
        Self {
            path,
            map,
            asked: RefCell::default(),
            diagnostics: Rc::clone(diagnostics),
        }
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn report(&self, problem: Diagnostic) {
        self.diagnostics.borrow_mut().add(problem);
    }

    fn take(&self, name: &'static str) -> Option<Value> {
        self.asked.borrow_mut().insert(name);
        self.map.get(name).filter(|value| !value.is_null()).cloned()
    }

    /// A scalar as it was written: `1.10` stays `1.10` only when quoted, so numbers are printed back.
    fn scalar(&self, name: &'static str, allowed: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            other => {
                self.report(Diagnostic::new(
                    self.path_of(name),
                    describe(&other),
                    allowed,
                ));
                None
            }
        }
    }

    /// An optional field that parses from text.
    pub(super) fn optional<T>(&self, name: &'static str, allowed: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.scalar(name, allowed)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                self.report(Diagnostic::new(self.path_of(name), text, allowed));
                None
            }
        }
    }

    /// A version, which YAML reads as a number when it has one dot and no quotes.
    pub(super) fn version(&self, name: &'static str, allowed: &str) -> Option<String> {
        match self.map.get(name) {
            Some(Value::Number(number)) => {
                self.asked.borrow_mut().insert(name);
                self.report(Diagnostic::new(
                    self.path_of(name),
                    number,
                    format!("YAML reads an unquoted 1.10 as the number 1.1; must be {allowed}"),
                ));
                None
            }
            _ => self.optional(name, allowed),
        }
    }

    /// A version that must be there.
    pub(super) fn required_version(&self, name: &'static str, allowed: &str) -> Option<String> {
        if self.is_missing(name, allowed) {
            return None;
        }
        self.version(name, allowed)
    }

    /// Reports a field that must be there and is not.
    fn is_missing(&self, name: &'static str, allowed: &str) -> bool {
        let is_missing = self.map.get(name).is_none_or(Value::is_null);
        if is_missing {
            self.asked.borrow_mut().insert(name);
            self.report(Diagnostic::missing(self.path_of(name), allowed));
        }
        is_missing
    }

    /// A URL. What may be secret in it is refused without repeating it.
    pub(super) fn url(&self, name: &'static str, allowed: &str) -> Option<Url> {
        let text = self.scalar(name, allowed)?;
        match address::parse(&text, allowed) {
            Ok(url) => Some(url),
            Err(refused) => {
                let path = self.path_of(name);
                self.report(Diagnostic::new(path, refused.shown, refused.allowed));
                None
            }
        }
    }

    /// A field that must be there.
    pub(super) fn required<T>(&self, name: &'static str, allowed: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        if self.is_missing(name, allowed) {
            return None;
        }
        self.optional(name, allowed)
    }

    /// A nested mapping; an empty one when the field is absent.
    pub(super) fn section(&self, name: &'static str) -> Self {
        let value = self.take(name).unwrap_or(Value::Null);
        Self::of(self.path_of(name), value, &self.diagnostics)
    }

    /// A nested mapping, or `None` when the field is absent.
    pub(super) fn optional_section(&self, name: &'static str) -> Option<Self> {
        let value = self.take(name)?;
        Some(Self::of(self.path_of(name), value, &self.diagnostics))
    }

    fn list(&self, name: &'static str) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Sequence(items)) => items,
            Some(other) => {
                self.report(Diagnostic::new(
                    self.path_of(name),
                    describe(&other),
                    "must be a list",
                ));
                Vec::new()
            }
        }
    }

    /// A list of scalars, or `None` when the field is absent.
    pub(super) fn optional_texts(&self, name: &'static str) -> Option<Vec<String>> {
        let is_there = self.map.get(name).is_some_and(|value| !value.is_null());
        let texts = self.texts(name);
        is_there.then_some(texts)
    }

    /// A list of mappings.
    pub(super) fn sections(&self, name: &'static str) -> Vec<Self> {
        let path = self.path_of(name);
        self.list(name)
            .into_iter()
            .enumerate()
            .map(|(index, item)| Self::of(format!("{path}[{index}]"), item, &self.diagnostics))
            .collect()
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &'static str) -> Vec<String> {
        let path = self.path_of(name);
        self.list(name)
            .into_iter()
            .enumerate()
            .filter_map(|(index, item)| match item {
                Value::String(text) => Some(text),
                other => {
                    self.report(Diagnostic::new(
                        format!("{path}[{index}]"),
                        describe(&other),
                        "must be a text",
                    ));
                    None
                }
            })
            .collect()
    }

    /// A mapping of any names to scalars, as they were written.
    pub(super) fn scalars(&self, name: &'static str) -> BTreeMap<String, String> {
        let path = self.path_of(name);
        let map = match self.take(name) {
            None => return BTreeMap::new(),
            Some(Value::Mapping(map)) => map,
            Some(other) => {
                let allowed = "must be a mapping of names to values";
                self.report(Diagnostic::new(path, describe(&other), allowed));
                return BTreeMap::new();
            }
        };
        let entries = map.into_iter().filter_map(|(key, value)| {
            let key = key.as_str().map_or_else(|| describe(&key), str::to_owned);
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => u8::from(flag).to_string(),
                other => {
                    let allowed = "must be a text, a number, true or false";
                    self.report(Diagnostic::new(
                        format!("{path}.{key}"),
                        describe(&other),
                        allowed,
                    ));
                    return None;
                }
            };
            Some((key, text))
        });
        entries.collect()
    }

    /// Reports fields that do not exist.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.map.keys() {
            let name = key.as_str().map_or_else(|| describe(key), str::to_owned);
            if !asked.contains(name.as_str()) {
                let known = asked.iter().copied().collect::<Vec<_>>().join(", ");
                // Its value may be a secret at the wrong place.
                self.report(Diagnostic::unknown(
                    self.path_of(&name),
                    format!("fields here are {known}"),
                ));
            }
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "a mapping".into(),
        Value::Tagged(tagged) => tagged.tag.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> (Fields, Rc<RefCell<Diagnostics>>) {
        let diagnostics = Rc::new(RefCell::new(Diagnostics::default()));
        let fields = Fields::root(serde_yaml::from_str(text).unwrap(), &diagnostics);
        (fields, diagnostics)
    }

    fn texts(diagnostics: &Rc<RefCell<Diagnostics>>) -> Vec<String> {
        let diagnostics = diagnostics.borrow().clone();
        diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_field_is_named_with_the_known_ones() {
        let (root, diagnostics) = fields("vmid: 5\nname: a");

        let _: Option<String> = root.required("name", "a name");
        let _: Option<u32> = root.optional("vmId", "a number");
        root.finish();

        assert_eq!(
            texts(&diagnostics),
            ["vmid: there is no such field; fields here are name, vmId"]
        );
    }

    #[test]
    fn nested_paths_are_complete_and_checks_go_on() {
        let (root, diagnostics) = fields("machines:\n- vmId: twelve\n- {}");

        for machine in root.sections("machines") {
            let _: Option<u32> = machine.required("vmId", "must be 100 to 999999999");
            machine.finish();
        }

        assert_eq!(
            texts(&diagnostics),
            [
                "machines[0].vmId: \"twelve\" is not valid; must be 100 to 999999999",
                "machines[1].vmId: missing; must be 100 to 999999999"
            ]
        );
    }

    #[test]
    fn a_version_that_yaml_reads_as_a_number_is_explained() {
        let (root, diagnostics) = fields("version: 1.10");

        assert_eq!(root.version("version", "a full version"), None);

        assert_eq!(
            texts(&diagnostics),
            [
                "version: \"1.1\" is not valid; YAML reads an unquoted 1.10 as the number 1.1; must be a full version"
            ]
        );
    }

    #[test]
    fn credentials_in_a_url_and_values_of_unknown_fields_are_not_repeated() {
        let (root, diagnostics) = fields(
            "a: https://root:canary@pve:8006\nb: https://pve:8006/#canary\nc: '//root:canary@pve'\ntoken: canary",
        );

        for name in ["a", "b", "c"] {
            assert_eq!(root.url(name, "a URL"), None);
        }
        root.finish();

        let texts = texts(&diagnostics);
        assert_eq!(texts.len(), 4);
        assert!(!texts.join("\n").contains("canary"), "{texts:#?}");
    }

    #[test]
    fn long_values_are_repeated_only_in_part() {
        // YAML allows a key of 1024 characters.
        let (long, key) = ("x".repeat(5_000), "y".repeat(1_000));
        let (root, diagnostics) = fields(&format!("vmId: {long}\n{key}: 1"));

        let _: Option<u32> = root.optional("vmId", "a number");
        root.finish();

        let texts = texts(&diagnostics);
        assert!(texts[0].contains("(4880 more characters)"), "{texts:?}");
        assert!(texts[1].contains("(880 more characters)"), "{texts:?}");
        assert!(texts.iter().all(|text| text.len() < 300), "{texts:?}");
    }

    #[test]
    fn a_section_that_is_no_mapping_is_a_problem() {
        let (root, diagnostics) = fields("talos: 1.10.7");

        root.section("talos").finish();

        assert_eq!(
            texts(&diagnostics),
            ["talos: \"1.10.7\" is not valid; must be a mapping of fields"]
        );
    }
}
