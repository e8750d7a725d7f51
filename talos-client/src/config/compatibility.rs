//! Which Kubernetes and which upgrades a Talos release supports.

use semver::Version;

use super::version::TalosVersion;
use crate::error::{Error, ErrorKind, Result};

/// Minor versions of Talos: target, oldest and newest Kubernetes, oldest release to upgrade from, first release that is
/// too new to downgrade from.
const MATRIX: [(u64, u64, u64, u64, u64); 13] = [
    (2, 23, 25, 0, 3),
    (3, 24, 26, 0, 5),
    (4, 25, 27, 0, 6),
    (5, 26, 28, 2, 7),
    (6, 24, 29, 3, 8),
    (7, 25, 30, 4, 9),
    (8, 26, 31, 5, 10),
    (9, 27, 32, 8, 11),
    (10, 28, 33, 8, 12),
    (11, 29, 34, 9, 13),
    (12, 30, 35, 10, 14),
    (13, 31, 36, 11, 15),
    (14, 32, 37, 12, 16),
];

/// Kubernetes minor versions between which upgrades are known.
const KUBERNETES_UPGRADES: std::ops::RangeInclusive<u64> = 19..=37;

impl TalosVersion {
    /// Checks that Kubernetes `version` (with or without `v`) runs on this Talos release.
    ///
    /// `talosctl` does not check this when it generates, and Talos v1.10 does not check it at all; nodes from v1.11 refuse the
    /// configuration.
    ///
    /// # Errors
    /// `Unsupported` with the reference's text when it is too old or too new, or when this Talos release is not known;
    /// `InvalidInput` when `version` is not a version.
    pub fn check_kubernetes(&self, version: &str) -> Result<()> {
        let talos = self.release();
        let kubernetes = parse_kubernetes(version)?;
        let Some((_, min, max, _, _)) = row(&talos) else {
            return Err(unsupported(
                "check Kubernetes version",
                format!("compatibility with version {talos} is not supported"),
            ));
        };
        let verdict = if (kubernetes.major, kubernetes.minor) < (1, *min) {
            "too old"
        } else if (kubernetes.major, kubernetes.minor) > (1, *max) {
            "too new"
        } else {
            return Ok(());
        };
        Err(unsupported(
            "check Kubernetes version",
            format!(
                "version of Kubernetes {kubernetes} is {verdict} to be used with Talos {talos}"
            ),
        ))
    }

    /// Checks that a node that runs `host` can be upgraded, or downgraded, to this release.
    ///
    /// # Errors
    /// `Unsupported` with the reference's text.
    pub fn check_upgrade_from(&self, host: &Self) -> Result<()> {
        let (target, host) = (self.release(), host.release());
        let operation = "check Talos upgrade";
        let Some((_, _, _, oldest, too_new)) = row(&target) else {
            return Err(unsupported(
                operation,
                format!("upgrades to version {target} are not supported"),
            ));
        };
        if (host.major, host.minor) < (1, *oldest) {
            return Err(unsupported(
                operation,
                format!("host version {host} is too old to upgrade to Talos {target}"),
            ));
        }
        if (host.major, host.minor) >= (1, *too_new) {
            return Err(unsupported(
                operation,
                format!("host version {host} is too new to downgrade to Talos {target}"),
            ));
        }
        Ok(())
    }
}

/// Checks that Kubernetes can be upgraded from one version to the other in one go: the same minor version or the next.
///
/// # Errors
/// `Unsupported` with the reference's text for a skipped minor version, a downgrade, or a version out of range;
/// `InvalidInput` when one of them is not a version.
pub fn check_kubernetes_upgrade(from: &str, to: &str) -> Result<()> {
    let (old, new) = (parse_kubernetes(from)?, parse_kubernetes(to)?);
    let known =
        |version: &Version| version.major == 1 && KUBERNETES_UPGRADES.contains(&version.minor);
    if known(&old) && known(&new) && (new.minor == old.minor || new.minor == old.minor + 1) {
        return Ok(());
    }
    Err(unsupported(
        "check Kubernetes upgrade",
        format!(
            r#"unsupported upgrade path {}.{}->{}.{} (from "{old}" to "{new}")"#,
            old.major, old.minor, new.major, new.minor
        ),
    ))
}

fn row(talos: &Version) -> Option<&'static (u64, u64, u64, u64, u64)> {
    MATRIX
        .iter()
        .find(|(minor, ..)| talos.major == 1 && talos.minor == *minor)
}

fn parse_kubernetes(version: &str) -> Result<Version> {
    let plain = version.strip_prefix('v').unwrap_or(version);
    let padded = if plain.split('.').count() == 2 {
        format!("{plain}.0")
    } else {
        plain.to_owned()
    };
    Version::parse(&padded).map_err(|source| {
        Error::new(ErrorKind::InvalidInput, "parse Kubernetes version")
            .with_message(format!("error parsing Kubernetes version {version:?}"))
            .with_source(source)
    })
}

fn unsupported(operation: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Unsupported, operation).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talos(text: &str) -> TalosVersion {
        TalosVersion::parse(text).unwrap()
    }

    #[test]
    fn kubernetes_fits_from_its_oldest_to_its_newest_minor_version() {
        for fits in ["1.28.0", "v1.33.99", "1.30", "1.33.0-rc.1"] {
            talos("v1.10.7").check_kubernetes(fits).unwrap();
        }
        for (version, text) in [
            (
                "1.34.0",
                "version of Kubernetes 1.34.0 is too new to be used with Talos 1.10.7",
            ),
            (
                "v1.27.9",
                "version of Kubernetes 1.27.9 is too old to be used with Talos 1.10.7",
            ),
        ] {
            assert_eq!(
                talos("v1.10.7")
                    .check_kubernetes(version)
                    .unwrap_err()
                    .message(),
                text
            );
        }
        assert_eq!(
            talos("1.15.0")
                .check_kubernetes("1.37.0")
                .unwrap_err()
                .message(),
            "compatibility with version 1.15.0 is not supported"
        );
        assert_eq!(
            talos("1.10.7")
                .check_kubernetes("latest")
                .unwrap_err()
                .kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn an_upgrade_skips_one_minor_version_at_most() {
        talos("v1.12.11")
            .check_upgrade_from(&talos("v1.10.0"))
            .unwrap();
        talos("v1.10.7")
            .check_upgrade_from(&talos("v1.11.6"))
            .unwrap();
        for (target, host, text) in [
            (
                "1.13.9",
                "1.10.7",
                "host version 1.10.7 is too old to upgrade to Talos 1.13.9",
            ),
            (
                "1.10.7",
                "1.12.0",
                "host version 1.12.0 is too new to downgrade to Talos 1.10.7",
            ),
            (
                "1.15.0",
                "1.14.0",
                "upgrades to version 1.15.0 are not supported",
            ),
        ] {
            assert_eq!(
                talos(target)
                    .check_upgrade_from(&talos(host))
                    .unwrap_err()
                    .message(),
                text
            );
        }
    }

    #[test]
    fn kubernetes_is_upgraded_one_minor_version_at_a_time() {
        check_kubernetes_upgrade("1.31.0", "1.31.5").unwrap();
        check_kubernetes_upgrade("v1.31.0", "1.32.0").unwrap();
        for to in ["1.33.0", "1.30.0", "1.38.0"] {
            let error = check_kubernetes_upgrade("1.31.0", to).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(
            check_kubernetes_upgrade("1.31.0", "1.33.0")
                .unwrap_err()
                .message(),
            r#"unsupported upgrade path 1.31->1.33 (from "1.31.0" to "1.33.0")"#
        );
    }
}
