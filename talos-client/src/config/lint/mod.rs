//! Lints: configurations that a node accepts but that do not work on the machine. The reference has none of them.
//!
//! Each compares a configuration with what is known about the machine, and says how to fix it.

mod boot;
mod context;
mod disks;
mod install_disk;
mod installer;
mod machine;

use std::fmt;

pub use context::{LintContext, LintDisk};

use super::validate::view::View;
use super::{Diagnostic, Diagnostics, MachineConfig};

/// Which lint found something. The names never change, so they can be used to ignore one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LintId {
    /// Nothing says where to install, so the machine stays on its ISO.
    InstallMissing,
    /// Both an install disk and a selector: the selector wins silently.
    InstallDiskAndSelector,
    /// The machine has no such install disk.
    InstallDiskUnknown,
    /// The installer is no image, or one that cannot be right.
    InstallerImage,
    /// The installer is for another platform than the machine.
    InstallerPlatform,
    /// The installer is signed and the machine has no secure boot, or the other way round.
    InstallerSecureBoot,
    /// The installer lacks the extensions that the ISO was built with.
    InstallerSchematic,
    /// The installer is another release than the ISO and this configuration.
    InstallerVersion,
    /// Kernel arguments that nothing reads.
    KernelArgsIgnored,
    /// The hostname is set in two places.
    HostnameTwice,
    /// The release does not run this Kubernetes version.
    KubernetesVersion,
    /// Disk keys are to be sealed in a TPM and there is none.
    TpmMissing,
    /// Disk keys are to be sealed in a TPM without secure boot.
    TpmWithoutSecureBoot,
    /// No disk of the machine fits a selector.
    SelectorMatchesNothing,
    /// No disk that fits the selector is as large as the volume.
    VolumeTooLarge,
    /// `EPHEMERAL` takes the system disk before the volume is made.
    EphemeralTakesDisk,
    /// A disk of `machine.disks` has no device.
    DiskWithoutDevice,
    /// A file of `machine.files` has no operation, or one that Talos does not know.
    FileWithoutOperation,
}

impl LintId {
    /// The name, as reports and ignore lists spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstallMissing => "install-missing",
            Self::InstallDiskAndSelector => "install-disk-and-selector",
            Self::InstallDiskUnknown => "install-disk-unknown",
            Self::InstallerImage => "installer-image",
            Self::InstallerPlatform => "installer-platform",
            Self::InstallerSecureBoot => "installer-secure-boot",
            Self::InstallerSchematic => "installer-schematic",
            Self::InstallerVersion => "installer-version",
            Self::KernelArgsIgnored => "kernel-args-ignored",
            Self::HostnameTwice => "hostname-twice",
            Self::KubernetesVersion => "kubernetes-version",
            Self::TpmMissing => "tpm-missing",
            Self::TpmWithoutSecureBoot => "tpm-without-secure-boot",
            Self::SelectorMatchesNothing => "selector-matches-nothing",
            Self::VolumeTooLarge => "volume-too-large",
            Self::EphemeralTakesDisk => "ephemeral-takes-disk",
            Self::DiskWithoutDevice => "disk-without-device",
            Self::FileWithoutOperation => "file-without-operation",
        }
    }
}

impl fmt::Display for LintId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a lint looks at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    config: &'a MachineConfig,
    context: &'a LintContext,
}

impl<'a> Subject<'a> {
    fn v1alpha1(self, path: &str) -> View<'a> {
        View::new(self.config.v1alpha1()).at(path)
    }

    fn documents(self, kind: &'static str) -> impl Iterator<Item = (&'a str, View<'a>)> {
        let documents = self.config.documents().iter();
        documents
            .filter(move |document| document.kind() == kind)
            .map(|document| (document.name(), View::new(Some(document.node()))))
    }
}

impl MachineConfig {
    /// Looks for what a node accepts but what will not work on the machine that `context` describes.
    ///
    /// A finding is advice, not an error: only validation decides what a node refuses. What the context does not tell is
    /// not checked. Nothing is sent and nothing is changed.
    ///
    /// ```
    /// use talos_client::config::{LintContext, LintDisk, LintId, MachineConfig, TalosVersion};
    ///
    /// let version = TalosVersion::parse("v1.10.7")?;
    /// let config = MachineConfig::load("machine: {install: {disk: /dev/vda}}", &version)?;
    /// let context = LintContext::new(&version).disks([LintDisk::new("/dev/sda", 32 << 30)]);
    /// assert_eq!(config.lint(&context).as_slice()[0].id, Some(LintId::InstallDiskUnknown));
    /// # Ok::<(), talos_client::Error>(())
    /// ```
    pub fn lint(&self, context: &LintContext) -> Diagnostics {
        let subject = Subject {
            config: self,
            context,
        };
        let mut found = Vec::new();
        installer::check(subject, &mut found);
        machine::check(subject, &mut found);
        disks::check(subject, &mut found);
        boot::check(subject, &mut found);
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TalosVersion;

    #[test]
    fn a_finding_reads_as_one_line_with_its_fix() {
        let config = MachineConfig::parse("machine:\n  install: {disk: /dev/sda}\n").unwrap();
        let version = TalosVersion::parse("v1.10.7").unwrap();
        let context = LintContext::new(&version).platform("nocloud");

        let found = config.lint(&context);

        assert_eq!(found.as_slice().len(), 1);
        assert_eq!(
            found.as_slice()[0].to_string(),
            "installer-platform: machine.install.image: without an image the installer for \"metal\" is used, and the \
             machine loses what \"nocloud\" gave it, such as its address; use an image named \
             \"nocloud-installer\" of the Image Factory"
        );
    }
}
