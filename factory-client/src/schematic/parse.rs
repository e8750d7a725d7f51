//! Decoding as the factory decodes: strict about fields, lenient about scalars in the way go-yaml is.

use std::collections::BTreeMap;

use super::resolve::{Resolved, old_bool};
use super::tree::{self, Kind, Node, Problem};
use super::{MetaValue, OptionValue, Overlay, Schematic};
use crate::error::{Error, ErrorKind, Result};

/// Keys beyond this length take the explicit form (`? key`), which this crate does not write.
const MAX_OPTION_KEY: usize = 128;

pub(super) fn parse(text: &str) -> Result<Schematic> {
    decode(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(ErrorKind::InvalidSchematic, "parse schematic").with_message(lines.join("; "))
    })
}

/// The schematic in `text`, or everything that is wrong with it.
pub(crate) fn decode(text: &str) -> Result<Schematic, Vec<Problem>> {
    let Some(root) = tree::load(text).map_err(|problem| vec![problem])? else {
        return Err(vec![Problem::end_of_file()]);
    };
    let mut decoder = Decoder::default();
    let schematic = decoder.schematic(&root);
    if decoder.problems.is_empty() {
        Ok(schematic)
    } else {
        Err(decoder.problems)
    }
}

#[derive(Default)]
struct Decoder {
    problems: Vec<Problem>,
}

impl Decoder {
    fn problem(&mut self, node: &Node, text: impl Into<String>) {
        self.problems.push(Problem::new(node.line, text));
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) {
        let found = node.description();
        self.problem(node, format!("cannot construct {found} into {wanted}"));
    }

    /// Calls `set` for every field of a mapping; a null in place of the mapping or of a field leaves things unset.
    /// `set` says whether it knows the field.
    fn fields(
        &mut self,
        node: &Node,
        kind: &str,
        mut set: impl FnMut(&mut Self, &str, &Node) -> bool,
    ) {
        if node.is_null() {
            return;
        }
        let Kind::Mapping(entries) = &node.kind else {
            return self.mismatch(node, kind);
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries {
            let Kind::Scalar(scalar) = &key.kind else {
                self.mismatch(key, "string");
                continue;
            };
            let name = scalar.text.as_str();
            if seen.contains(&name) {
                self.problem(key, format!("field {name} already set in type {kind}"));
                continue;
            }
            seen.push(name);
            if !set(self, name, value) {
                self.problem(key, format!("field {name} not found in type {kind}"));
            }
        }
    }

    fn schematic(&mut self, root: &Node) -> Schematic {
        let mut schematic = Schematic::default();
        self.fields(root, "schematic.Schematic", |decoder, name, node| {
            match name {
                "owner" => schematic.owner = decoder.string(node),
                "overlay" => schematic.overlay = decoder.overlay(node),
                "customization" => decoder.customization(node, &mut schematic),
                _ => return false,
            }
            true
        });
        schematic
    }

    fn overlay(&mut self, node: &Node) -> Overlay {
        let mut overlay = Overlay::default();
        self.fields(node, "schematic.Overlay", |decoder, name, node| {
            match name {
                "image" => overlay.image = decoder.string(node),
                "name" => overlay.name = decoder.string(node),
                "options" => overlay.options = decoder.options(node),
                _ => return false,
            }
            true
        });
        overlay
    }

    fn customization(&mut self, node: &Node, schematic: &mut Schematic) {
        self.fields(node, "schematic.Customization", |decoder, name, node| {
            match name {
                "embeddedMachineConfiguration" => {
                    schematic.embedded_machine_configuration = decoder.string(node);
                }
                "extraKernelArgs" => schematic.extra_kernel_args = decoder.strings(node),
                "meta" => schematic.meta = decoder.list(node, "[]schematic.MetaValue", Self::meta),
                "systemExtensions" => {
                    schematic.official_extensions = decoder.system_extensions(node);
                }
                "bootloader" => decoder.bootloader(node, schematic),
                "secureboot" => decoder.secure_boot(node, schematic),
                "diskImage" => decoder.disk_image(node, schematic),
                _ => return false,
            }
            true
        });
    }

    fn system_extensions(&mut self, node: &Node) -> Vec<String> {
        let mut extensions = Vec::new();
        self.fields(node, "schematic.SystemExtensions", |decoder, name, node| {
            let known = name == "officialExtensions";
            if known {
                extensions = decoder.strings(node);
            }
            known
        });
        extensions
    }

    fn secure_boot(&mut self, node: &Node, schematic: &mut Schematic) {
        let kind = "schematic.SecureBootCustomization";
        self.fields(node, kind, |decoder, name, node| {
            match name {
                "enrollKeys" => schematic.enroll_keys = decoder.string(node),
                "includeWellKnownCertificates" => {
                    schematic.include_well_known_certificates = decoder.boolean(node);
                }
                _ => return false,
            }
            true
        });
    }

    fn disk_image(&mut self, node: &Node, schematic: &mut Schematic) {
        self.fields(node, "schematic.DiskImage", |decoder, name, node| {
            let known = name == "sectorSize";
            if known {
                schematic.sector_size = decoder.unsigned(node, "uint", u64::MAX);
            }
            known
        });
    }

    fn bootloader(&mut self, node: &Node, schematic: &mut Schematic) {
        if node.is_null() {
            return;
        }
        let Kind::Scalar(scalar) = &node.kind else {
            return self.mismatch(node, "profile.BootloaderKind");
        };
        match scalar.text.parse() {
            Ok(bootloader) => schematic.bootloader = bootloader,
            Err(_) => {
                let text = format!("{} does not belong to BootloaderKind values", scalar.text);
                self.problem(node, text);
            }
        }
    }

    fn meta(&mut self, node: &Node) -> Option<MetaValue> {
        if node.is_null() {
            return None;
        }
        let mut meta = MetaValue::new(0, "");
        self.fields(node, "schematic.MetaValue", |decoder, name, node| {
            match name {
                "key" => {
                    let key = decoder.unsigned(node, "uint8", u8::MAX.into());
                    meta.key = u8::try_from(key).unwrap_or_default();
                }
                "value" => meta.value = decoder.string(node),
                _ => return false,
            }
            true
        });
        Some(meta)
    }

    fn list<T>(
        &mut self,
        node: &Node,
        kind: &str,
        item: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match &node.kind {
            _ if node.is_null() => Vec::new(),
            Kind::Sequence(items) => items.iter().filter_map(|node| item(self, node)).collect(),
            _ => {
                self.mismatch(node, kind);
                Vec::new()
            }
        }
    }

    fn strings(&mut self, node: &Node) -> Vec<String> {
        self.list(node, "[]string", |decoder, node| {
            (!node.is_null()).then(|| decoder.string(node))
        })
    }

    /// Numbers and booleans keep the text that they were written with.
    fn string(&mut self, node: &Node) -> String {
        match &node.kind {
            Kind::Scalar(scalar) => match scalar.resolved() {
                Ok(Resolved::Null) => String::new(),
                Ok(_) => scalar.text.clone(),
                Err(_) => {
                    self.mismatch(node, "string");
                    String::new()
                }
            },
            _ => {
                self.mismatch(node, "string");
                String::new()
            }
        }
    }

    fn boolean(&mut self, node: &Node) -> bool {
        let value = match &node.kind {
            Kind::Scalar(scalar) => match scalar.resolved() {
                Ok(Resolved::Null) => Some(false),
                Ok(Resolved::Bool(value)) => Some(value),
                Ok(Resolved::String) => old_bool(&scalar.text),
                _ => None,
            },
            _ => None,
        };
        value.unwrap_or_else(|| {
            self.mismatch(node, "bool");
            false
        })
    }

    fn unsigned(&mut self, node: &Node, kind: &str, max: u64) -> u64 {
        let value = match &node.kind {
            Kind::Scalar(scalar) => match scalar.resolved() {
                Ok(Resolved::Null) => Some(0),
                Ok(Resolved::Integer(value)) => u64::try_from(value).ok(),
                Ok(Resolved::Float(value)) => truncated(value),
                _ => None,
            },
            _ => None,
        };
        value.filter(|value| *value <= max).unwrap_or_else(|| {
            self.mismatch(node, kind);
            0
        })
    }

    fn options(&mut self, node: &Node) -> BTreeMap<String, OptionValue> {
        match self.option_value(node) {
            OptionValue::Map(map) => map,
            OptionValue::Null => BTreeMap::new(),
            _ => {
                self.mismatch(node, "map[string]interface {}");
                BTreeMap::new()
            }
        }
    }

    fn option_value(&mut self, node: &Node) -> OptionValue {
        match &node.kind {
            Kind::Sequence(items) => {
                OptionValue::List(items.iter().map(|item| self.option_value(item)).collect())
            }
            Kind::Mapping(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    let value = self.option_value(value);
                    let Some(key) = self.option_key(key) else {
                        continue;
                    };
                    if map.insert(key.clone(), value).is_some() {
                        self.problem(node, format!("mapping key \"{key}\" already defined"));
                    }
                }
                OptionValue::Map(map)
            }
            Kind::Scalar(scalar) => match scalar.resolved() {
                Ok(Resolved::Null) => OptionValue::Null,
                Ok(Resolved::Bool(value)) => OptionValue::Bool(value),
                Ok(Resolved::Integer(value)) => OptionValue::Integer(value),
                Ok(Resolved::Float(value)) => OptionValue::Float(value),
                Ok(Resolved::Timestamp(value)) => OptionValue::Timestamp(value.to_string()),
                Ok(Resolved::Merge | Resolved::String) => OptionValue::String(scalar.text.clone()),
                Err(_) => {
                    self.mismatch(node, "interface {}");
                    OptionValue::Null
                }
            },
        }
    }

    fn option_key(&mut self, key: &Node) -> Option<String> {
        let Kind::Scalar(scalar) = &key.kind else {
            self.mismatch(key, "string");
            return None;
        };
        if scalar.text.len() > MAX_OPTION_KEY {
            self.problem(key, "option keys of more than 128 bytes are not supported");
            return None;
        }
        Some(scalar.text.clone())
    }
}

/// Go converts a float to an unsigned integer by cutting the fraction off.
fn truncated(value: f64) -> Option<u64> {
    let whole = value.trunc();
    if !(0.0..=9_007_199_254_740_992.0).contains(&whole) {
        return None;
    }
    format!("{whole:.0}").trim_start_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSchematic);
        error.message().to_owned()
    }

    #[test]
    fn unknown_repeated_and_misplaced_fields_are_refused_with_their_line() {
        assert_eq!(
            problem("customization:\n  foo: 1\nbar: 2\n"),
            "line 2: field foo not found in type schematic.Customization; \
             line 3: field bar not found in type schematic.Schematic"
        );
        assert!(problem("customization: {}\ncustomization: {}\n").contains("customization"));
        assert!(problem("- a\n").contains("cannot construct !!seq into schematic.Schematic"));
        assert_eq!(problem(""), "EOF");
        assert_eq!(problem("# nothing\n"), "EOF");
    }

    #[test]
    fn nulls_mean_the_empty_schematic() {
        for text in ["null", "~", "{}", "---\n", "customization:", "overlay: ~"] {
            assert_eq!(parse(text).unwrap(), Schematic::default(), "{text}");
        }
    }

    #[test]
    fn meta_keys_are_numbers_of_any_base_up_to_255() {
        let key = |text: &str| {
            let text = format!("customization: {{meta: [{{key: {text}}}]}}");
            parse(&text).map(|schematic| schematic.meta[0].key)
        };
        for (text, value) in [
            ("10", 10),
            ("0xa", 10),
            ("0o12", 10),
            ("012", 10),
            ("1_0", 10),
            ("10.0", 10),
        ] {
            assert_eq!(key(text).unwrap(), value, "{text}");
        }
        for text in ["\"10\"", "256", "-1", "ten"] {
            assert!(key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_follow_yaml_1_1_but_not_in_quotes() {
        let flag = |text: &str| {
            let text =
                format!("customization: {{secureboot: {{includeWellKnownCertificates: {text}}}}}");
            parse(&text).map(|schematic| schematic.include_well_known_certificates)
        };
        assert!(flag("true").unwrap());
        assert!(flag("yes").unwrap());
        assert!(!flag("Off").unwrap());
        assert!(flag("\"true\"").is_err());
        assert!(flag("1").is_err());
    }

    #[test]
    fn scalars_in_string_lists_keep_their_text_and_nulls_disappear() {
        let text = "customization: {extraKernelArgs: [1, true, 0x1f, 1.50, null, ~, off, '']}";

        assert_eq!(
            parse(text).unwrap().kernel_args(),
            ["1", "true", "0x1f", "1.50", "off", ""]
        );
    }

    #[test]
    fn anchors_merges_and_further_documents_are_understood() {
        let text = "customization: &c\n  extraKernelArgs: [a]\n---\nfoo: bar\n";
        assert_eq!(parse(text).unwrap().kernel_args(), ["a"]);

        let text = "overlay:\n  options:\n    x: &x {a: 1, b: 2}\n    y: {<<: *x, b: 3}\n";
        let schematic = parse(text).unwrap();
        let OptionValue::Map(merged) = &schematic.overlay.options["y"] else {
            panic!("not a map");
        };
        assert_eq!(merged["a"], OptionValue::Integer(1));
        assert_eq!(merged["b"], OptionValue::Integer(3));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("overlay:\n  options:\n    a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n");
        for level in 1..12 {
            let before = level - 1;
            let items = vec![format!("*a{before}"); 8].join(", ");
            text.push_str(&format!("    a{level}: &a{level} [{items}]\n"));
        }

        assert!(problem(&text).contains("excessive aliasing"));
    }
}
