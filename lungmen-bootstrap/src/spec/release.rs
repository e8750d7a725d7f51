//! The Talos release that drives ISO, installer image and configuration contract, and where a machine differs from it.

use serde::Serialize;

/// Which Talos the nodes run.
///
/// The version is the only one: the ISO, the installer image and the version contract of the machine
/// configuration follow from it, so they cannot disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TalosRelease {
    pub(crate) version: String,
    pub(crate) extensions: Vec<String>,
    pub(crate) secure_boot: bool,
    pub(crate) architecture: String,
    pub(crate) platform: String,
    pub(crate) pinned_schematic: Option<String>,
    pub(crate) kubernetes_version: Option<String>,
}

impl TalosRelease {
    /// Talos `version` (`1.10.7`), amd64, platform `nocloud`, without Secure Boot and without extensions.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            extensions: Vec::new(),
            secure_boot: false,
            architecture: "amd64".into(),
            platform: "nocloud".into(),
            pinned_schematic: None,
            kubernetes_version: None,
        }
    }

    /// The official system extensions, in this order: the order is part of the schematic ID.
    #[must_use]
    pub fn extensions<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.extensions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Boots and installs the signed images.
    #[must_use]
    pub const fn secure_boot(mut self) -> Self {
        self.secure_boot = true;
        self
    }

    /// `amd64` or `arm64`.
    #[must_use]
    pub fn architecture(mut self, architecture: impl Into<String>) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// The Talos platform of the images; Proxmox VE machines are `nocloud`.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = platform.into();
        self
    }

    /// The schematic ID that the extensions must have. A different one is refused before anything is touched.
    #[must_use]
    pub fn pinned_schematic(mut self, id: impl Into<String>) -> Self {
        self.pinned_schematic = Some(id.into());
        self
    }

    /// Another Kubernetes version than the default of the Talos release.
    #[must_use]
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into());
        self
    }
}

/// Where one machine differs from the Talos release of its cluster: it boots and installs images of its own.
///
/// Machines with the same differences share their images. The machine configuration stays that of the cluster's version
/// contract, so a machine may run a later Talos than its cluster was created for, never an earlier minor release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MachineRelease {
    /// Another full Talos version.
    pub version: Option<String>,
    /// Other system extensions, in this order; an empty list is none.
    pub extensions: Option<Vec<String>>,
    /// The signed images, or not.
    pub secure_boot: Option<bool>,
    /// The schematic ID that the extensions of this machine must have.
    pub pinned_schematic: Option<String>,
}

impl MachineRelease {
    /// The release of the machine, given that of its cluster. A pinned schematic of the cluster is about the extensions of the
    /// cluster.
    #[must_use]
    pub fn within(&self, cluster: &TalosRelease) -> TalosRelease {
        let mut release = cluster.clone();
        if let Some(version) = &self.version {
            release.version.clone_from(version);
        }
        if let Some(extensions) = &self.extensions {
            release.extensions.clone_from(extensions);
            release.pinned_schematic = None;
        }
        if let Some(secure_boot) = self.secure_boot {
            release.secure_boot = secure_boot;
        }
        if let Some(schematic) = &self.pinned_schematic {
            release.pinned_schematic = Some(schematic.clone());
        }
        release
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_what_it_does_not_say_from_its_cluster() {
        let cluster = TalosRelease::new("1.12.0")
            .extensions(["siderolabs/qemu-guest-agent"])
            .secure_boot()
            .pinned_schematic("abc");
        let same = MachineRelease::default();
        let later = MachineRelease {
            version: Some("1.12.1".to_owned()),
            ..MachineRelease::default()
        };
        let bare = MachineRelease {
            extensions: Some(Vec::new()),
            secure_boot: Some(false),
            ..MachineRelease::default()
        };

        assert_eq!(same.within(&cluster), cluster);
        assert_eq!(
            later.within(&cluster),
            TalosRelease {
                version: "1.12.1".to_owned(),
                ..cluster.clone()
            }
        );
        assert_eq!(bare.within(&cluster), TalosRelease::new("1.12.0"));
    }
}
