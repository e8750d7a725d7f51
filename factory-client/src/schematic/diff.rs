//! The difference between two schematics, in words.

use std::fmt;

use super::{MetaValue, Schematic};

/// One difference between a wanted and a found schematic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The field, as it is named in a schematic.
    pub field: &'static str,
    /// What differs.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.text)
    }
}

pub(super) fn diff(wanted: &Schematic, found: &Schematic) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut add = |field, text: Option<String>| {
        differences.extend(text.map(|text| Difference { field, text }));
    };
    add(
        "systemExtensions.officialExtensions",
        lists(&wanted.official_extensions, &found.official_extensions),
    );
    add(
        "extraKernelArgs",
        lists(&wanted.extra_kernel_args, &found.extra_kernel_args),
    );
    let meta = |values: &[MetaValue]| -> Vec<String> {
        let entry = |meta: &MetaValue| format!("{}={}", meta.key, meta.value);
        values.iter().map(entry).collect()
    };
    add("meta", lists(&meta(&wanted.meta), &meta(&found.meta)));
    add(
        "bootloader",
        values(wanted.bootloader.as_str(), found.bootloader.as_str()),
    );
    add(
        "secureboot.enrollKeys",
        values(&wanted.enroll_keys, &found.enroll_keys),
    );
    add(
        "secureboot.includeWellKnownCertificates",
        values(
            &wanted.include_well_known_certificates.to_string(),
            &found.include_well_known_certificates.to_string(),
        ),
    );
    add(
        "diskImage.sectorSize",
        values(
            &wanted.sector_size.to_string(),
            &found.sector_size.to_string(),
        ),
    );
    add(
        "overlay.image",
        values(&wanted.overlay.image, &found.overlay.image),
    );
    add(
        "overlay.name",
        values(&wanted.overlay.name, &found.overlay.name),
    );
    let options_differ = wanted.overlay.options != found.overlay.options;
    add(
        "overlay.options",
        options_differ.then(|| "not the same".to_owned()),
    );
    let configuration_differs =
        wanted.embedded_machine_configuration != found.embedded_machine_configuration;
    add(
        "embeddedMachineConfiguration",
        configuration_differs.then(|| "not the same".to_owned()),
    );
    add("owner", values(&wanted.owner, &found.owner));
    differences
}

fn values(wanted: &str, found: &str) -> Option<String> {
    let shown = |value: &str| {
        if value.is_empty() {
            "nothing".to_owned()
        } else {
            value.to_owned()
        }
    };
    (wanted != found).then(|| format!("{} instead of {}", shown(found), shown(wanted)))
}

fn lists(wanted: &[String], found: &[String]) -> Option<String> {
    if wanted == found {
        return None;
    }
    let missing = surplus(wanted, found);
    let extra = surplus(found, wanted);
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("without {}", missing.join(", ")));
    }
    if !extra.is_empty() {
        parts.push(format!("with {} in addition", extra.join(", ")));
    }
    if parts.is_empty() {
        return Some("the same entries in another order, which gives another ID".to_owned());
    }
    Some(parts.join("; "))
}

/// The entries of `list` that `other` does not have as often.
fn surplus<'a>(list: &'a [String], other: &[String]) -> Vec<&'a str> {
    let mut rest: Vec<&String> = other.iter().collect();
    list.iter()
        .filter(
            |entry| match rest.iter().position(|candidate| candidate == entry) {
                Some(at) => {
                    rest.swap_remove(at);
                    false
                }
                None => true,
            },
        )
        .map(String::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extensions: &[&str]) -> Schematic {
        Schematic {
            official_extensions: extensions.iter().map(ToString::to_string).collect(),
            ..Schematic::default()
        }
    }

    fn words(wanted: &[&str], found: &[&str]) -> Vec<String> {
        let differences = diff(&with(wanted), &with(found));
        differences.iter().map(|d| d.text.clone()).collect()
    }

    #[test]
    fn equal_schematics_do_not_differ() {
        assert_eq!(words(&["a"], &["a"]), [""; 0]);
    }

    #[test]
    fn lists_say_what_is_missing_and_what_is_too_much() {
        assert_eq!(
            words(&["iscsi", "agent"], &["iscsi", "ucode"]),
            ["without agent; with ucode in addition"]
        );
        assert_eq!(words(&["a"], &["a", "a"]), ["with a in addition"]);
    }

    #[test]
    fn another_order_is_a_difference_of_its_own() {
        assert_eq!(
            words(&["a", "b"], &["b", "a"]),
            ["the same entries in another order, which gives another ID"]
        );
    }
}
