//! What Argo CD and Kubernetes accept as name and label of a cluster.

use std::fmt;

/// Why a text cannot be the name or a label of a cluster, as the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleBroken(&'static str);

impl fmt::Display for RuleBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RuleBroken {}

/// Checks a name of a cluster. Names are path segments of some calls, and the server unescapes them twice.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_name(name: &str) -> Result<(), RuleBroken> {
    let forbidden = |c: char| matches!(c, '/' | '%') || c.is_control();
    if name.trim().is_empty() || name.contains(forbidden) {
        return Err(RuleBroken("must not be empty or contain / or %"));
    }
    Ok(())
}

/// Checks a label of a cluster. Argo CD keeps it as a label of a Secret, so the rules are those of Kubernetes.
///
/// # Errors
/// The rule that the key or the value breaks.
pub fn check_label(key: &str, value: &str) -> Result<(), RuleBroken> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !prefix.is_none_or(is_subdomain) {
        return Err(RuleBroken(
            "the part of the key before the slash must be a DNS name of at most 253 characters",
        ));
    }
    if name.is_empty() || !is_label_text(name) {
        return Err(RuleBroken(
            "the key must be 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
        ));
    }
    if !is_label_text(value) {
        return Err(RuleBroken(
            "the value must be at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
        ));
    }
    Ok(())
}

/// A text of a label, which may be empty.
fn is_label_text(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    text.len() <= 63 && has_alphanumeric_ends(text) && text.as_bytes().iter().all(inner)
}

fn is_subdomain(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let is_part = |part: &str| {
        !part.is_empty() && has_alphanumeric_ends(part) && part.as_bytes().iter().all(inner)
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

fn has_alphanumeric_ends(text: &str) -> bool {
    let is_good = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    is_good(text.as_bytes().first()) && is_good(text.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_segments_of_a_path() {
        for name in ["lungmen.akn", "in cluster", "a?b"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " ", "a/b", "100%", "a\nb"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn labels_are_those_of_kubernetes() {
        let long = "a".repeat(63);
        for (key, value) in [
            ("environment", "prod"),
            ("lungmen.chezmoi.sh/Tier_1", ""),
            (long.as_str(), long.as_str()),
        ] {
            assert_eq!(check_label(key, value), Ok(()), "{key}={value}");
        }
        let longer = "a".repeat(64);
        for (key, value) in [
            ("", "x"),
            ("-a", "x"),
            ("a b", "x"),
            ("/a", "x"),
            ("a/", "x"),
            ("a/b/c", "x"),
            ("Example.org/a", "x"),
            (longer.as_str(), "x"),
            ("a", longer.as_str()),
            ("a", "prod "),
            ("a", "b/c"),
            ("a", "_b"),
        ] {
            assert!(check_label(key, value).is_err(), "{key}={value}");
        }
    }
}
