//! Talos releases: their defaults, and what fits together.

use std::fmt;
use std::str::FromStr;

use semver::{Prerelease, Version};

use super::contract::VersionContract;
use crate::error::{Error, Result};

/// A Talos release, or just a minor version.
///
/// `v1.10.7` is a release: its installer image and its default Kubernetes version are known. `v1.10` names only a minor
/// version; from v1.10 to v1.14 it stands for the release this crate was checked against (v1.10.7, v1.11.6, v1.12.11,
/// v1.13.9, v1.14.0-rc.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalosVersion {
    contract: VersionContract,
    release: Option<Version>,
}

/// The releases whose answers this crate was checked against, newest last.
const REFERENCES: [(u64, u64, &str); VersionContract::COUNT] = [
    (10, 7, ""),
    (11, 6, ""),
    (12, 11, ""),
    (13, 9, ""),
    (14, 0, "rc.1"),
];

/// Minor version, first patch release, and the components from that patch release on; newest patch release first.
const DEFAULTS: [(u16, u64, Components); 25] = [
    (10, 9, components("1.33.6", "v3.5.26", "v1.12.1")),
    (10, 8, components("1.33.6", "v3.5.21", "v1.12.1")),
    (10, 7, components("1.33.4", "v3.5.21", "v1.12.1")),
    (10, 6, components("1.33.3", "v3.5.21", "v1.12.1")),
    (10, 5, components("1.33.2", "v3.5.21", "v1.12.1")),
    (10, 3, components("1.33.1", "v3.5.21", "v1.12.1")),
    (10, 0, components("1.33.0", "v3.5.21", "v1.12.1")),
    (11, 3, components("1.34.1", "v3.6.5", "v1.12.4")),
    (11, 2, components("1.34.1", "v3.6.4", "v1.12.3")),
    (11, 1, components("1.34.0", "v3.6.4", "v1.12.3")),
    (11, 0, components("1.34.0", "v3.6.4", "v1.12.2")),
    (12, 9, components("1.35.4", "v3.6.11", "v1.14.2")),
    (12, 8, components("1.35.4", "v3.6.11", "v1.14.3")),
    (12, 7, components("1.35.4", "v3.6.9", "v1.13.2")),
    (12, 5, components("1.35.2", "v3.6.8", "v1.13.2")),
    (12, 0, components("1.35.0", "v3.6.7", "v1.13.2")),
    (13, 9, components("1.36.3", "v3.6.12", "v1.14.6")),
    (13, 8, components("1.36.2", "v3.6.12", "v1.14.6")),
    (13, 7, components("1.36.2", "v3.6.12", "v1.14.4")),
    (13, 5, components("1.36.2", "v3.6.12", "v1.14.2")),
    (13, 4, components("1.36.1", "v3.6.12", "v1.14.2")),
    (13, 3, components("1.36.1", "v3.6.11", "v1.14.2")),
    (13, 1, components("1.36.0", "v3.6.11", "v1.14.2")),
    (13, 0, components("1.36.0", "v3.6.9", "v1.14.2")),
    (14, 0, components("1.37.0-rc.0", "3.7.1", "v1.14.6")),
];

/// Versions of the components a Talos release runs when nothing else is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Components {
    /// Kubernetes, without `v`.
    pub kubernetes: &'static str,
    /// The tag of the etcd image.
    pub etcd: &'static str,
    /// The tag of the CoreDNS image.
    pub coredns: &'static str,
}

const fn components(
    kubernetes: &'static str,
    etcd: &'static str,
    coredns: &'static str,
) -> Components {
    Components {
        kubernetes,
        etcd,
        coredns,
    }
}

impl TalosVersion {
    /// The newest final release this crate was checked against; what generation uses when nothing else is said.
    #[must_use]
    pub fn latest() -> Self {
        Self {
            contract: VersionContract::V1_13,
            release: Some(reference(VersionContract::V1_13)),
        }
    }

    /// Parses `v1.10.7`, `1.10.7`, `v1.14.0-rc.1`, or a minor version such as `v1.10`.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text when it is not a version.
    pub fn parse(version: &str) -> Result<Self> {
        let contract = VersionContract::parse(version)?;
        let release = Version::parse(version.strip_prefix('v').unwrap_or(version)).ok();
        Ok(Self { contract, release })
    }

    /// The contract of documents for this release.
    #[must_use]
    pub const fn contract(&self) -> VersionContract {
        self.contract
    }

    /// Whether this names a release (`v1.10.7`) and not only a minor version (`v1.10`).
    #[must_use]
    pub const fn is_release(&self) -> bool {
        self.release.is_some()
    }

    /// The release itself, or the one that stands for the minor version.
    ///
    /// A minor version older than v1.10 is generated as v1.10.7 does it, a newer one than v1.14 as the newest release does.
    #[must_use]
    pub fn release(&self) -> Version {
        self.release
            .clone()
            .unwrap_or_else(|| reference(self.contract))
    }

    /// The contract of the reference release that knows this version: v1.10 for everything older, v1.14 for everything newer.
    pub(crate) fn generator(&self) -> VersionContract {
        self.contract
            .clamp(VersionContract::OLDEST, VersionContract::NEWEST)
    }

    /// The component versions this release runs by default.
    ///
    /// A release that is not in the table has those of the nearest older patch release; see [`TalosVersion::release`] for
    /// minor versions outside of v1.10 to v1.14.
    #[must_use]
    pub fn default_components(&self) -> Components {
        let minor = self.generator().minor();
        let patch = if minor == self.contract.minor() {
            self.release().patch
        } else {
            reference(self.generator()).patch
        };
        DEFAULTS
            .iter()
            .find(|(of, from, _)| *of == minor && *from <= patch)
            .map_or(DEFAULTS[DEFAULTS.len() - 1].2, |(_, _, components)| {
                *components
            })
    }

    /// The installer image without extensions that `gen config` of this release writes: `ghcr.io/siderolabs/installer`, and
    /// since v1.14 the metal installer of the public Image Factory for the empty schematic.
    #[must_use]
    pub fn default_install_image(&self) -> String {
        let repository = if self.generator() >= VersionContract::V1_14 {
            FACTORY_INSTALLER
        } else {
            "ghcr.io/siderolabs/installer"
        };
        format!("{repository}:v{}", self.release())
    }
}

/// The metal installer for the schematic that adds nothing.
const FACTORY_INSTALLER: &str = "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

fn reference(contract: VersionContract) -> Version {
    let contract = contract.clamp(VersionContract::OLDEST, VersionContract::NEWEST);
    let index = usize::from(contract.minor() - VersionContract::OLDEST.minor());
    let (minor, patch, pre) = REFERENCES[index];
    Version {
        pre: Prerelease::new(pre).unwrap_or(Prerelease::EMPTY),
        ..Version::new(1, minor, patch)
    }
}

impl Default for TalosVersion {
    fn default() -> Self {
        Self::latest()
    }
}

impl fmt::Display for TalosVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "v{release}"),
            None => self.contract.fmt(f),
        }
    }
}

impl FromStr for TalosVersion {
    type Err = Error;

    fn from_str(version: &str) -> Result<Self> {
        Self::parse(version)
    }
}

impl From<VersionContract> for TalosVersion {
    fn from(contract: VersionContract) -> Self {
        Self {
            contract,
            release: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> TalosVersion {
        TalosVersion::parse(text).unwrap()
    }

    #[test]
    fn defaults_follow_the_patch_release() {
        for (talos, kubernetes, etcd) in [
            ("v1.10.2", "1.33.0", "v3.5.21"),
            ("1.10.4", "1.33.1", "v3.5.21"),
            ("v1.10.7", "1.33.4", "v3.5.21"),
            ("v1.10.9", "1.33.6", "v3.5.26"),
            ("v1.11.6", "1.34.1", "v3.6.5"),
            ("v1.12.11", "1.35.4", "v3.6.11"),
            ("v1.13.9", "1.36.3", "v3.6.12"),
            ("v1.14.0-rc.1", "1.37.0-rc.0", "3.7.1"),
        ] {
            let components = version(talos).default_components();
            assert_eq!(
                (components.kubernetes, components.etcd),
                (kubernetes, etcd),
                "{talos}"
            );
        }
    }

    #[test]
    fn a_minor_version_stands_for_the_release_that_was_checked() {
        assert_eq!(version("v1.12").default_components().kubernetes, "1.35.4");
        assert_eq!(
            version("v1.10").default_install_image(),
            "ghcr.io/siderolabs/installer:v1.10.7"
        );
        assert_eq!(
            version("1.10.4").default_install_image(),
            "ghcr.io/siderolabs/installer:v1.10.4"
        );
        assert_eq!(
            version("v1.14.0-rc.1").default_install_image(),
            "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.14.0-rc.1"
        );
        assert_eq!(version("v1.5").default_components().kubernetes, "1.33.4");
        assert_eq!(version("v1.9.3").default_components().kubernetes, "1.33.4");
        assert_eq!(
            version("v1.15.2").default_components().kubernetes,
            "1.37.0-rc.0"
        );
    }

    #[test]
    fn versions_print_as_they_are_named_on_images() {
        assert_eq!(version("1.14.0-rc.1").to_string(), "v1.14.0-rc.1");
        assert_eq!(version("1.14").to_string(), "v1.14");
        assert_eq!(TalosVersion::latest().to_string(), "v1.13.9");
    }
}
