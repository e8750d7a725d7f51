//! The server's own description of its calls, and checks against it in the server's words.
//!
//! The two excerpts hold every call of this crate, for PVE 9 and PVE 8.4, taken from the data of
//! the official API viewer; return schemas are left out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Method;
use serde_json::{Map, Value};

use super::check::{Formats, Release, missing_companion};

/// The calls of one major version.
#[derive(Debug)]
pub struct Contract {
    calls: Map<String, Value>,
    formats: Formats,
}

static PVE_9: LazyLock<Contract> =
    LazyLock::new(|| Contract::parse(include_str!("contract/pve-9.json"), Release::Nine));
static PVE_8: LazyLock<Contract> =
    LazyLock::new(|| Contract::parse(include_str!("contract/pve-8.json"), Release::Eight));

/// How often an indexed option exists: `net0` to `net31` is 32.
const INDEXED: &[(&str, usize)] = &[
    ("ide", 4),
    ("sata", 6),
    ("scsi", 31),
    ("virtio", 16),
    ("net", 32),
    ("ipconfig", 32),
    ("serial", 4),
    ("usb", 14),
    ("hostpci", 16),
    ("unused", 256),
    ("numa", 8),
    ("parallel", 3),
    ("virtiofs", 10),
];

impl Contract {
    /// The contract of PVE 9.
    #[must_use]
    pub fn pve_9() -> &'static Self {
        &PVE_9
    }

    /// The contract of PVE 8.4.
    #[must_use]
    pub fn pve_8() -> &'static Self {
        &PVE_8
    }

    fn parse(text: &str, release: Release) -> Self {
        // The text is part of the crate and read by a test; an unreadable one refuses every call.
        let mut calls: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        calls.remove("$meta");
        let formats = match calls.remove("$formats") {
            Some(Value::Object(formats)) => Formats::new(formats, release),
            _ => Formats::new(Map::new(), release),
        };
        Self { calls, formats }
    }

    /// The call that a concrete path means, with the values of its placeholders.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<(&str, Vec<(String, String)>)> {
        self.calls.keys().find_map(|key| {
            let template = key.strip_prefix(method.as_str())?.strip_prefix(' ')?;
            Some((template, match_path(template, path)?))
        })
    }

    /// Checks all parameters of a call, those in its path included, as the server does before it
    /// looks at anything else.
    ///
    /// # Errors
    /// Parameter to problem, in the server's words.
    pub fn check(
        &self,
        method: &Method,
        template: &str,
        params: &[(String, String)],
    ) -> Result<(), BTreeMap<String, String>> {
        let mut errors = BTreeMap::new();
        let Some(schemas) = self.parameters(method, template) else {
            errors.insert(
                "path".to_owned(),
                format!("no such call: {method} {template}"),
            );
            return Err(errors);
        };
        let given: BTreeMap<String, String> = params.iter().cloned().collect();
        let open = self
            .call(method, template)
            .is_some_and(|call| call.get("additionalProperties").is_some());
        for (name, value) in params {
            let Some(schema) = schema_of(schemas, name) else {
                if !open {
                    errors.insert(name.clone(), UNDEFINED.to_owned());
                }
                continue;
            };
            if let Err(problem) = self.check_value(name, schema, value) {
                errors.insert(name.clone(), problem);
            }
            if let Some(needed) = missing_companion(schema, &given) {
                errors.insert(needed, self.formats.companion_text(name));
            }
        }
        for (name, schema) in schemas {
            let optional = schema.get("optional").is_some() || name.ends_with("[n]");
            if !optional && !params.iter().any(|(given, _)| given == name) {
                errors.insert(name.clone(), MISSING.to_owned());
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// Checks one value; the items of a list that is no text are checked one by one.
    fn check_value(&self, name: &str, schema: &Value, value: &str) -> Result<(), String> {
        match schema.get("items") {
            Some(items) => self.formats.check(name, items, value),
            None => self.formats.check(name, schema, value),
        }
    }

    /// Whether the contract has this call.
    #[must_use]
    pub fn has(&self, method: &Method, template: &str) -> bool {
        self.call(method, template).is_some()
    }

    /// Whether the call takes this parameter.
    #[must_use]
    pub fn takes(&self, method: &Method, template: &str, parameter: &str) -> bool {
        let schemas = self.parameters(method, template);
        schemas.is_some_and(|schemas| schemas.contains_key(parameter))
    }

    fn call(&self, method: &Method, template: &str) -> Option<&Value> {
        self.calls.get(&format!("{method} {template}"))
    }

    /// Whether API tokens may make the call.
    pub(super) fn allows_tokens(&self, method: &Method, template: &str) -> bool {
        let rule = self
            .call(method, template)
            .and_then(|call| call.get("allowtoken"));
        rule.is_none_or(|rule| rule != 0)
    }

    pub(super) fn release(&self) -> Release {
        self.formats.release()
    }

    #[cfg(test)]
    pub(super) fn as_json(&self) -> Value {
        Value::Object(self.calls.clone())
    }

    /// The access rule of a call, as the server describes it; `None` when only `root@pam` may make it.
    #[must_use]
    pub fn permissions(&self, method: &Method, template: &str) -> Option<&Value> {
        self.call(method, template)?.get("permissions")
    }

    /// The schema of an option of a VM.
    pub(super) fn vm_option(&self, name: &str) -> Option<&Value> {
        let schemas = self.parameters(&Method::POST, "/nodes/{node}/qemu/{vmid}/config")?;
        schema_of(schemas, name)
    }

    pub(super) fn formats(&self) -> &Formats {
        &self.formats
    }

    fn parameters(&self, method: &Method, template: &str) -> Option<&Map<String, Value>> {
        self.call(method, template)?.get("parameters")?.as_object()
    }
}

pub(super) const MISSING: &str = "property is missing and it is not optional";
pub(super) const UNDEFINED: &str =
    "property is not defined in schema and the schema does not allow additional properties";

fn schema_of<'a>(schemas: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(schema) = schemas.get(name) {
        return Some(schema);
    }
    let (class, index) = crate::vm::split_index(name)?;
    let count = INDEXED.iter().find(|(known, _)| *known == class)?.1;
    if usize::from(index) >= count {
        return None;
    }
    schemas.get(&format!("{class}[n]"))
}

/// The values of the placeholders when the path fits; the volume takes the whole rest.
fn match_path(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    // Slashes at the end do not count (measured on 9.2.11 and 8.4.21).
    let mut rest = path.trim_matches('/');
    let mut segments = template.trim_start_matches('/').split('/').peekable();
    while let Some(segment) = segments.next() {
        let takes_all = matches!(segment, "{volume}" | "{cidr}") && segments.peek().is_none();
        let (value, after) = match rest.split_once('/') {
            Some((value, after)) if !takes_all => (value, Some(after)),
            _ => (rest, None),
        };
        match segment
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) if !value.is_empty() => values.push((name.to_owned(), value.to_owned())),
            None if segment == value => {}
            _ => return None,
        }
        if segments.peek().is_none() {
            return after.is_none().then_some(values);
        }
        rest = after?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, params: &[(&str, &str)]) -> Result<(), BTreeMap<String, String>> {
        let params: Vec<(String, String)> = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Contract::pve_9().check(&Method::POST, template, &params)
    }

    #[test]
    fn paths_find_their_template() {
        let find = |path| Contract::pve_9().find(&Method::DELETE, path);

        let (template, values) = find("/nodes/n1/storage/local/content/local:iso/a.iso").unwrap();
        assert_eq!(template, "/nodes/{node}/storage/{storage}/content/{volume}");
        assert_eq!(
            values[2],
            ("volume".to_owned(), "local:iso/a.iso".to_owned())
        );
        assert!(find("/nodes/n1/qemu/100/extra").is_none());
        assert!(find("/nodes//qemu/100").is_none());
        assert!(find("/nodes/n1/qemu").is_none());
    }

    #[test]
    fn unknown_missing_and_wrong_parameters_are_refused_in_the_servers_words() {
        let errors = check(
            "/nodes/{node}/qemu",
            &[
                ("node", "n1"),
                ("memoryy", "1"),
                ("cores", "x"),
                ("scsi31", "a:1"),
                ("onboot", "true"),
            ],
        )
        .unwrap_err();

        assert_eq!(errors["vmid"], "property is missing and it is not optional");
        assert_eq!(errors["memoryy"], UNDEFINED);
        assert_eq!(errors["scsi31"], UNDEFINED);
        assert_eq!(errors["cores"], "type check ('integer') failed - got 'x'");
        assert_eq!(
            errors["onboot"],
            "type check ('boolean') failed - got 'true'"
        );
    }

    #[test]
    fn checksum_and_algorithm_need_each_other() {
        let errors = check(
            "/nodes/{node}/storage/{storage}/download-url",
            &[
                ("node", "n1"),
                ("storage", "local"),
                ("content", "iso"),
                ("filename", "x.iso"),
                ("url", "https://example.org/x.iso"),
                ("checksum", "00"),
            ],
        )
        .unwrap_err();

        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors["checksum-algorithm"],
            "missing property required by 'checksum'"
        );
    }
}
