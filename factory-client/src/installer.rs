//! References of installer images.

use serde::{Deserialize, Serialize};

use crate::id::SchematicId;
use crate::platform::Platform;
use crate::version::TalosVersion;

/// The installer image of a schematic, for `machine.install.image` and for upgrades.
///
/// From Talos 1.10 on the platform is baked into it: plain `installer-secureboot` is the metal one, and a nocloud
/// node that is installed from it loses its cloud-init data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[must_use]
pub struct Installer {
    platform: Platform,
    schematic: SchematicId,
    version: TalosVersion,
    secure_boot: bool,
}

impl Installer {
    /// The installer of `platform`, without secure boot.
    pub const fn new(platform: Platform, schematic: SchematicId, version: TalosVersion) -> Self {
        Self {
            platform,
            schematic,
            version,
            secure_boot: false,
        }
    }

    /// Selects the secure boot flavour; the node must have been booted from that flavour too.
    pub const fn secure_boot(mut self) -> Self {
        self.secure_boot = true;
        self
    }

    /// The image name: `nocloud-installer-secureboot`, or `installer-secureboot` before Talos 1.10, whose installer
    /// takes the platform from the running system.
    #[must_use]
    pub fn name(&self) -> String {
        let flavour = if self.secure_boot { "-secureboot" } else { "" };
        if self.version.is_at_least(1, 10) {
            format!("{}-installer{flavour}", self.platform)
        } else {
            format!("installer{flavour}")
        }
    }

    /// The schematic.
    #[must_use]
    pub const fn schematic(&self) -> &SchematicId {
        &self.schematic
    }

    /// The Talos version.
    #[must_use]
    pub const fn version(&self) -> &TalosVersion {
        &self.version
    }

    /// The reference at a registry, given as `host` or `host:port`.
    #[must_use]
    pub fn reference(&self, registry: &str) -> String {
        let (name, schematic, version) = (self.name(), &self.schematic, &self.version);
        format!("{registry}/{name}/{schematic}:{version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(platform: Platform, version: TalosVersion, secure_boot: bool) -> String {
        let id = SchematicId::of_text("");
        let installer = Installer::new(platform, id, version);
        if secure_boot {
            installer.secure_boot().name()
        } else {
            installer.name()
        }
    }

    #[test]
    fn the_platform_is_part_of_the_name_from_talos_1_10_on() {
        let new = TalosVersion::new(1, 10, 0);
        let old = TalosVersion::new(1, 9, 5);

        assert_eq!(
            name(Platform::Nocloud, new.clone(), true),
            "nocloud-installer-secureboot"
        );
        assert_eq!(name(Platform::Metal, new, false), "metal-installer");
        assert_eq!(name(Platform::Nocloud, old, true), "installer-secureboot");
    }
}
