//! A Talos release that machines run: one version and one schematic, from which their images follow.

use std::fmt;
use std::sync::Arc;

use factory_client::{Image, Schematic, SchematicId};
use talos_client::config::TalosVersion;

use super::NodeStorage;

/// What machines boot and install.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: TalosVersion,
    pub(crate) schematic: Schematic,
    pub(crate) schematic_id: SchematicId,
    pub(crate) image: Image,
    /// The reference of the installer image.
    pub(crate) installer: String,
    /// The file name of the ISO, which no other release has.
    pub(crate) iso_file: String,
}

impl Release {
    /// The version with `v`, as nodes tell it.
    pub(crate) fn talos_version(&self) -> String {
        self.image.version().to_string()
    }

    pub(crate) fn is_secure_boot(&self) -> bool {
        self.image.request().is_secure_boot()
    }

    /// Whether the image has this official extension, named with or without its owner.
    pub(crate) fn has_extension(&self, name: &str) -> bool {
        let extensions = self.schematic.extensions();
        extensions
            .iter()
            .any(|known| known == name || known.rsplit('/').next() == Some(name))
    }
}

/// The ISO of a release on one storage.
#[derive(Debug, Clone)]
pub(crate) struct Iso {
    pub(crate) release: Arc<Release>,
    pub(crate) at: NodeStorage,
}

impl Iso {
    pub(crate) fn file(&self) -> &str {
        &self.release.iso_file
    }

    fn key(&self) -> (&str, &NodeStorage) {
        (self.file(), &self.at)
    }
}

impl PartialEq for Iso {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:iso/{} on node {}",
            self.at.storage,
            self.file(),
            self.at.node
        )
    }
}
