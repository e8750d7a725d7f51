//! The name of a cluster.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a cluster: a DNS name of at most 63 characters, because it becomes part of kubeconfig contexts,
/// certificate subjects and Argo CD cluster names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct ClusterName(String);

/// The text is no cluster name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a DNS name: lower-case letters, digits, '-' and '.', at most 63 characters")]
pub struct InvalidClusterName;

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = InvalidClusterName;

    fn from_str(text: &str) -> Result<Self, InvalidClusterName> {
        let good = text.len() <= 63 && text.split('.').all(is_label);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClusterName)
        }
    }
}

fn is_label(label: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.as_bytes().iter().all(inner)
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ClusterName {
    type Error = InvalidClusterName;

    fn try_from(text: String) -> Result<Self, InvalidClusterName> {
        text.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names() {
        for good in ["lungmen.akn", "a", "a-1.b"] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        for bad in ["", "Lungmen", "a..b", "-a", "a-", "a_b", &"a".repeat(64)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }
}
