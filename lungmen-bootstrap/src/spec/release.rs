//! The one Talos release that drives ISO, installer image and configuration contract.

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
