//! The machine type with its options.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::property::PropertyString;

/// The machine type with its options: `q35`, `pc-q35-9.2+pve1,viommu=intel`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// The type, for example `q35` or a pinned `pc-q35-9.2+pve1`; `None` is the server's default.
    pub kind: Option<String>,
    /// Its options (`viommu`, `enable-s3`, …), in the order of the server.
    pub other: Vec<(String, String)>,
}

impl Machine {
    /// A machine type without options.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: Some(kind.into()),
            other: Vec::new(),
        }
    }

    /// Adds an option, for example `viommu=intel`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((key.into(), value.into()));
        self
    }

    /// Whether `other` is of this type and has all options of this one, in any order. The default type is `pc`.
    pub(super) fn is_fulfilled_by(&self, other: &Self) -> bool {
        let kind = |machine: &Self| machine.kind.clone().unwrap_or_else(|| "pc".to_owned());
        kind(self) == kind(other) && self.other.iter().all(|option| other.other.contains(option))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match &self.kind {
            Some(kind) => PropertyString::with_default("type", kind),
            None => PropertyString::default(),
        };
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text.fmt(f)
    }
}

impl FromStr for Machine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        Ok(Self {
            kind: parsed.take_default(&["type"])?,
            other: parsed.into_rest(),
        })
    }
}

impl From<&str> for Machine {
    /// Reads the text; what is no property string is taken as the type, so that the check of the specification names it.
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self::new(text))
    }
}

impl From<String> for Machine {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_machine_survive() {
        for text in [
            "q35",
            "pc-q35-9.2+pve1,viommu=intel",
            "viommu=virtio",
            "q35,viommu=intel,enable-s3=1",
        ] {
            assert_eq!(Machine::from(text).to_string(), text);
        }
        assert_eq!(
            Machine::from("type=q35,viommu=intel").to_string(),
            "q35,viommu=intel"
        );
    }

    #[test]
    fn machines_are_compared_with_their_options_in_any_order() {
        let one = Machine::from("q35,viommu=intel,enable-s3=1");

        assert!(one.is_fulfilled_by(&Machine::from("type=q35,enable-s3=1,viommu=intel")));
        assert!(!one.is_fulfilled_by(&Machine::from("q35")));
        assert!(Machine::from("viommu=intel").is_fulfilled_by(&Machine::from("pc,viommu=intel")));
    }
}
