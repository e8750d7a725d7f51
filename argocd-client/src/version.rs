//! The version of the server, and reading versions leniently.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::nullable;

/// The response of `GET /api/version`; anonymous callers get the version only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerVersion {
    /// For example `v3.0.6+db93798`.
    #[serde(default, rename = "Version", deserialize_with = "nullable")]
    pub version: String,
    /// RFC 3339; empty for anonymous callers.
    #[serde(default, rename = "BuildDate", deserialize_with = "nullable")]
    pub build_date: String,
    /// Commit it was built from; empty for anonymous callers.
    #[serde(default, rename = "GitCommit", deserialize_with = "nullable")]
    pub git_commit: String,
    /// For example `linux/amd64`; empty for anonymous callers.
    #[serde(default, rename = "Platform", deserialize_with = "nullable")]
    pub platform: String,
}

impl ServerVersion {
    /// Major, minor and patch, when the text has this form.
    #[must_use]
    pub fn number(&self) -> Option<(u64, u64, u64)> {
        number(&self.version)
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Reads `v3.5.1+abc`, `1.31` or `v1.31.4-rc.1`: an optional `v`, two or three numbers, any suffix.
pub(crate) fn number(text: &str) -> Option<(u64, u64, u64)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['+', '-']).next()?;
    let mut parts = core.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().map_or(Some(0), |patch| patch.parse().ok())?;
    parts.next().is_none().then_some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently() {
        assert_eq!(number("v3.0.6+db93798"), Some((3, 0, 6)));
        assert_eq!(number("1.31"), Some((1, 31, 0)));
        assert_eq!(number("v1.33.4-rc.1"), Some((1, 33, 4)));
        for text in ["", "v", "3", "a.b", "1.2.3.4"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
