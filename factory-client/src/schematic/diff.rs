//! The differences between two schematics.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MetaValue, Schematic};

/// One difference between two schematics, each value in its textual form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diff {
    /// The field, as a schematic names it.
    pub path: String,
    /// The value, or the entry of a list, in the first schematic.
    pub from: Option<String>,
    /// The value, or the entry of a list, in the second schematic.
    pub to: Option<String>,
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{path}: {to} instead of {from}"),
            (Some(from), None) => write!(f, "{path}: without {from}"),
            (None, Some(to)) => write!(f, "{path}: with {to} in addition"),
            (None, None) => write!(f, "{path}: different"),
        }
    }
}

pub(super) fn diff(from: &Schematic, to: &Schematic) -> Vec<Diff> {
    let mut found = Differences::default();
    found.lists(
        "systemExtensions.officialExtensions",
        &from.official_extensions,
        &to.official_extensions,
    );
    found.lists(
        "extraKernelArgs",
        &from.extra_kernel_args,
        &to.extra_kernel_args,
    );
    found.lists("meta", &entries(&from.meta), &entries(&to.meta));
    found.values(
        "bootloader",
        from.bootloader.as_str(),
        to.bootloader.as_str(),
    );
    found.values("secureboot.enrollKeys", &from.enroll_keys, &to.enroll_keys);
    found.values(
        "secureboot.includeWellKnownCertificates",
        &from.include_well_known_certificates.to_string(),
        &to.include_well_known_certificates.to_string(),
    );
    found.values(
        "diskImage.sectorSize",
        &from.sector_size.to_string(),
        &to.sector_size.to_string(),
    );
    found.values("overlay.image", &from.overlay.image, &to.overlay.image);
    found.values("overlay.name", &from.overlay.name, &to.overlay.name);
    // Their values may be long, and an embedded configuration contains secrets.
    found.unequal(
        "overlay.options",
        from.overlay.options != to.overlay.options,
    );
    found.unequal(
        "embeddedMachineConfiguration",
        from.embedded_machine_configuration != to.embedded_machine_configuration,
    );
    found.values("owner", &from.owner, &to.owner);
    found.all
}

fn entries(values: &[MetaValue]) -> Vec<String> {
    let entry = |meta: &MetaValue| format!("{}={}", meta.key, meta.value);
    values.iter().map(entry).collect()
}

#[derive(Default)]
struct Differences {
    all: Vec<Diff>,
}

impl Differences {
    fn add(&mut self, path: &str, from: Option<&str>, to: Option<&str>) {
        self.all.push(Diff {
            path: path.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        });
    }

    fn values(&mut self, path: &str, from: &str, to: &str) {
        if from != to {
            let given = |value| Some(value).filter(|value: &&str| !value.is_empty());
            self.add(path, given(from), given(to));
        }
    }

    fn unequal(&mut self, path: &str, is_unequal: bool) {
        if is_unequal {
            self.add(path, None, None);
        }
    }

    /// Entries that only one list has; the same entries in another order are one difference.
    fn lists(&mut self, path: &str, from: &[String], to: &[String]) {
        if from == to {
            return;
        }
        let before = self.all.len();
        for missing in surplus(from, to) {
            self.add(path, Some(missing), None);
        }
        for extra in surplus(to, from) {
            self.add(path, None, Some(extra));
        }
        if self.all.len() == before {
            self.add(path, Some(&from.join(", ")), Some(&to.join(", ")));
        }
    }
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

    fn words(from: &[&str], to: &[&str]) -> Vec<String> {
        let differences = diff(&with(from), &with(to));
        differences
            .iter()
            .map(|diff| {
                diff.to_string()
                    .split_off("systemExtensions.officialExtensions: ".len())
            })
            .collect()
    }

    #[test]
    fn equal_schematics_do_not_differ() {
        assert_eq!(words(&["a"], &["a"]), [""; 0]);
    }

    #[test]
    fn lists_differ_by_missing_and_additional_entries() {
        assert_eq!(
            words(&["iscsi", "agent"], &["iscsi", "ucode"]),
            ["without agent", "with ucode in addition"]
        );
        assert_eq!(words(&["a"], &["a", "a"]), ["with a in addition"]);
    }

    #[test]
    fn another_order_is_a_difference_of_its_own() {
        assert_eq!(words(&["a", "b"], &["b", "a"]), ["b, a instead of a, b"]);
    }

    #[test]
    fn an_embedded_configuration_is_not_quoted() {
        let from = Schematic {
            embedded_machine_configuration: "token: canary".to_owned(),
            ..Schematic::default()
        };

        let differences = diff(&from, &Schematic::default());

        assert_eq!(
            differences[0].to_string(),
            "embeddedMachineConfiguration: different"
        );
    }
}
