//! The version contract: which Talos a document is written for.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The Talos minor version a document must be understood by, as `talosctl --talos-version` takes it.
///
/// A contract is older or newer than another by major and minor version only, and [`VersionContract::CURRENT`] is newer
/// than every named one. There is no upper limit: a contract newer than the generating release gives what that release
/// writes by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionContract {
    major: u16,
    minor: u16,
}

impl VersionContract {
    /// What the reference uses when no version is given: newer than every named contract.
    pub const CURRENT: Self = Self::new(u16::MAX, u16::MAX);
    /// Talos v1.10, the first release this crate generates for by default rules of its own.
    pub const V1_10: Self = Self::new(1, 10);
    /// Talos v1.11.
    pub const V1_11: Self = Self::new(1, 11);
    /// Talos v1.12, the first whose configuration has several documents.
    pub const V1_12: Self = Self::new(1, 12);
    /// Talos v1.13.
    pub const V1_13: Self = Self::new(1, 13);
    /// Talos v1.14, whose Kubernetes settings are documents of their own.
    pub const V1_14: Self = Self::new(1, 14);

    /// The oldest minor version whose configuration this crate generates, patches and validates as the reference does.
    pub const OLDEST: Self = Self::V1_10;
    /// The newest such minor version. Everything that depends on the newest release follows from this constant.
    pub const NEWEST: Self = Self::V1_14;
    /// How many minor versions there are from [`OLDEST`](Self::OLDEST) to [`NEWEST`](Self::NEWEST).
    pub(crate) const COUNT: usize = (Self::NEWEST.minor - Self::OLDEST.minor + 1) as usize;

    /// The contract of Talos `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Parses `v1.10`, `1.10`, `v1.10.7` or `1.10.0-beta.1`; everything after the minor version is ignored.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text, for example for `v1.10-beta`.
    pub fn parse(version: &str) -> Result<Self> {
        let text = format!("v{}", version.strip_prefix('v').unwrap_or(version));
        Self::split(&text)
            .map(|(contract, _)| contract)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "parse Talos version").with_message(format!(
                    "invalid talos-version: error parsing version {text:?}"
                ))
            })
    }

    /// Splits `v1.10.7-x` into its contract and the rest after the dot that ends the minor version.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        let (major, rest) = text.strip_prefix('v')?.split_once('.')?;
        let (minor, rest) = rest.split_once('.').unwrap_or((rest, ""));
        Some((Self::new(number(major)?, number(minor)?), rest))
    }

    /// The major version; meaningless for [`VersionContract::CURRENT`].
    #[must_use]
    pub const fn major(self) -> u16 {
        self.major
    }

    /// The minor version; meaningless for [`VersionContract::CURRENT`].
    #[must_use]
    pub const fn minor(self) -> u16 {
        self.minor
    }

    const fn is_newer_than(self, minor: u16) -> bool {
        self.major > 1 || (self.major == 1 && self.minor > minor)
    }

    /// The API server gets the PodSecurity admission plugin.
    #[must_use]
    pub const fn has_pod_security_admission(self) -> bool {
        self.is_newer_than(0)
    }

    /// The host name is derived from the machine's identity (`features.stableHostname`, later a `HostnameConfig`).
    #[must_use]
    pub const fn has_stable_hostname(self) -> bool {
        self.is_newer_than(1)
    }

    /// Kubelets run pods with the runtime's default seccomp profile.
    #[must_use]
    pub const fn has_default_seccomp_profile(self) -> bool {
        self.is_newer_than(1)
    }

    /// Discovery no longer uses the Kubernetes API.
    #[must_use]
    pub const fn disables_kubernetes_discovery(self) -> bool {
        self.is_newer_than(1)
    }

    /// `k8s.gcr.io` is mirrored to `registry.k8s.io`, which only v1.2 needed.
    #[must_use]
    pub const fn mirrors_legacy_kubernetes_registry(self) -> bool {
        self.major == 1 && self.minor == 2
    }

    /// The API server gets an audit policy.
    #[must_use]
    pub const fn has_audit_policy(self) -> bool {
        self.is_newer_than(2)
    }

    /// The API checks the extended key usage of client certificates.
    #[must_use]
    pub const fn checks_extended_key_usage(self) -> bool {
        self.is_newer_than(2)
    }

    /// Kubelets do not read static pods from a directory.
    #[must_use]
    pub const fn disables_manifests_directory(self) -> bool {
        self.is_newer_than(2)
    }

    /// Kubernetes secrets are encrypted with secretbox instead of AES-CBC.
    #[must_use]
    pub const fn uses_secretbox_encryption(self) -> bool {
        self.is_newer_than(2)
    }

    /// Disk quotas are supported.
    #[must_use]
    pub const fn has_disk_quota(self) -> bool {
        self.is_newer_than(4)
    }

    /// KubePrism, the node-local balancer of API servers, is on.
    #[must_use]
    pub const fn has_kube_prism(self) -> bool {
        self.is_newer_than(5)
    }

    /// Host DNS is on.
    #[must_use]
    pub const fn has_host_dns(self) -> bool {
        self.is_newer_than(6)
    }

    /// The service account key is RSA 4096 instead of ECDSA P-256.
    #[must_use]
    pub const fn uses_rsa_service_account_key(self) -> bool {
        self.is_newer_than(6)
    }

    /// Host DNS serves pods too.
    #[must_use]
    pub const fn forwards_kube_dns_to_host(self) -> bool {
        self.is_newer_than(7)
    }

    /// Workers know the cluster's name.
    #[must_use]
    pub const fn names_cluster_on_workers(self) -> bool {
        self.is_newer_than(7)
    }

    /// Control plane nodes are kept out of external load balancers by a label.
    #[must_use]
    pub const fn excludes_from_load_balancers(self) -> bool {
        self.is_newer_than(7)
    }

    /// Subject key identifiers of new authorities are random instead of the SHA-1 of the public key.
    #[must_use]
    pub const fn has_random_key_identifiers(self) -> bool {
        self.is_newer_than(10)
    }

    /// Host names and registry mirrors are documents of their own, and switches that are always on are not written.
    #[must_use]
    pub const fn has_network_documents(self) -> bool {
        self.is_newer_than(11)
    }

    /// KubeSpan is a document of its own, and the empty `machine.network` is left out.
    #[must_use]
    pub const fn has_kubespan_document(self) -> bool {
        self.is_newer_than(12)
    }

    /// Kubernetes, discovery, installation and resolvers are documents of their own.
    #[must_use]
    pub const fn has_kubernetes_documents(self) -> bool {
        self.is_newer_than(13)
    }
}

fn number(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for VersionContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::CURRENT {
            f.write_str("current")
        } else {
            write!(f, "v{}.{}", self.major, self.minor)
        }
    }
}

impl FromStr for VersionContract {
    type Err = Error;

    fn from_str(version: &str) -> Result<Self> {
        Self::parse(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_release_and_a_pre_release_mean_their_minor_version() {
        for version in [
            "1.10",
            "v1.10",
            "v1.10.7",
            "1.10.7",
            "v1.10.0-beta.1",
            "v1.10.",
        ] {
            assert_eq!(
                VersionContract::parse(version).unwrap(),
                VersionContract::V1_10,
                "{version}"
            );
        }
    }

    #[test]
    fn what_the_reference_refuses_is_refused_with_its_text() {
        for version in [
            "",
            "v",
            "v1",
            "vv1.10",
            "v1.x",
            "v1.10-beta",
            " 1.10",
            "v1.+1",
        ] {
            assert!(VersionContract::parse(version).is_err(), "{version}");
        }
        assert_eq!(
            VersionContract::parse("1.10-beta").unwrap_err().message(),
            r#"invalid talos-version: error parsing version "v1.10-beta""#
        );
    }

    #[test]
    fn contracts_are_ordered_and_current_is_the_newest() {
        assert!(VersionContract::V1_10 > VersionContract::new(1, 9));
        assert!(VersionContract::new(2, 0) > VersionContract::V1_14);
        assert!(VersionContract::CURRENT > VersionContract::new(2, 0));
        assert!(VersionContract::CURRENT.has_kubernetes_documents());
    }

    #[test]
    fn features_switch_right_after_the_version_they_are_named_by() {
        assert!(!VersionContract::new(1, 6).uses_rsa_service_account_key());
        assert!(VersionContract::new(1, 7).uses_rsa_service_account_key());
        assert!(!VersionContract::V1_11.has_network_documents());
        assert!(VersionContract::V1_12.has_network_documents());
        assert!(VersionContract::new(1, 2).mirrors_legacy_kubernetes_registry());
        assert!(!VersionContract::new(1, 3).mirrors_legacy_kubernetes_registry());
    }
}
