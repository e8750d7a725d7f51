//! Talos versions and the version of a factory.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A Talos version, with or without a pre-release part; ordered as semantic versions are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TalosVersion(Version);

impl TalosVersion {
    /// Version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(Version::new(major, minor, patch))
    }

    /// Reads `1.10.7`, `v1.10.7` or `v1.14.0-rc.1`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else, which the factory rejects with an opaque 500.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: String| {
            Err(Error::new(ErrorKind::InvalidInput, "parse Talos version")
                .with_target(text)
                .with_message(message))
        };
        match Version::parse(text.strip_prefix('v').unwrap_or(text)) {
            Ok(version) if version.build.is_empty() => Ok(Self(version)),
            Ok(_) => invalid("a Talos version has no build metadata".to_owned()),
            Err(error) => invalid(format!("{error}; use a form such as v1.10.7")),
        }
    }

    /// Whether this is no alpha, beta or release candidate.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.0.pre.is_empty()
    }

    /// The first number.
    #[must_use]
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// The second number.
    #[must_use]
    pub const fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The third number.
    #[must_use]
    pub const fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether this belongs to `major.minor` or a later one; a pre-release belongs to the version that it precedes.
    #[must_use]
    pub fn is_at_least(&self, major: u64, minor: u64) -> bool {
        (self.0.major, self.0.minor) >= (major, minor)
    }
}

impl fmt::Display for TalosVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for TalosVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// What a factory says about itself in its `Server` header (≥ v1.0.0-beta.0; a proxy may replace it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FactoryVersion {
    /// The version of the service.
    pub version: Version,
    /// Whether it is the Enterprise edition.
    pub is_enterprise: bool,
}

impl FactoryVersion {
    /// Reads the header's value; `None` when it does not come from an Image Factory.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let rest = header.strip_prefix("Image Factory ")?;
        let (is_enterprise, rest) = match rest.strip_prefix("Enterprise ") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let version = Version::parse(rest.strip_prefix('v').unwrap_or(rest)).ok()?;
        Some(Self {
            version,
            is_enterprise,
        })
    }
}

/// The newest version without a pre-release part.
#[must_use]
pub fn latest_stable(versions: &[TalosVersion]) -> Option<&TalosVersion> {
    versions.iter().filter(|version| version.is_stable()).max()
}

/// The newest stable patch of `major.minor`.
#[must_use]
pub fn latest_of_minor(versions: &[TalosVersion], major: u64, minor: u64) -> Option<&TalosVersion> {
    versions
        .iter()
        .filter(|version| (version.major(), version.minor()) == (major, minor))
        .filter(|version| version.is_stable())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_v_and_printed_with_it() {
        assert_eq!(
            TalosVersion::parse("1.10.7").unwrap(),
            TalosVersion::new(1, 10, 7)
        );
        assert_eq!(
            TalosVersion::parse("v1.14.0-rc.1").unwrap().to_string(),
            "v1.14.0-rc.1"
        );
        for text in ["", "v1.10", "1.10.7+x", "vv1.10.7", "latest", "1.010.7"] {
            let error = TalosVersion::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn the_latest_of_a_minor_is_stable_and_ordered_by_number() {
        let versions: Vec<_> = ["v1.10.9", "v1.10.10", "v1.11.0-rc.0", "v1.9.5"]
            .iter()
            .map(|text| TalosVersion::parse(text).unwrap())
            .collect();

        assert_eq!(
            latest_of_minor(&versions, 1, 10),
            Some(&TalosVersion::new(1, 10, 10))
        );
        assert_eq!(latest_of_minor(&versions, 1, 11), None);
        assert_eq!(
            latest_stable(&versions),
            Some(&TalosVersion::new(1, 10, 10))
        );
    }

    #[test]
    fn the_server_header_tells_edition_and_version() {
        let public = FactoryVersion::parse("Image Factory v1.3.3").unwrap();
        assert_eq!(public.version, Version::new(1, 3, 3));
        assert!(!public.is_enterprise);
        assert!(
            FactoryVersion::parse("Image Factory Enterprise v1.5.0")
                .unwrap()
                .is_enterprise
        );
        assert_eq!(FactoryVersion::parse("nginx"), None);
    }
}
