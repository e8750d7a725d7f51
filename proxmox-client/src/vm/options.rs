//! The smaller options of a VM: firmware, machine, controller, agent, TPM, SMBIOS.

use std::fmt;
use std::str::FromStr;

use super::text_enum::text_enum;
use crate::error::{Error, Result};
use crate::property::{PropertyString, duplicate};

text_enum!(
    /// The firmware.
    Bios {
        /// Legacy BIOS, the server's default.
        SeaBios = "seabios",
        /// UEFI; keeps its variables on an [`EfiDisk`](super::EfiDisk).
        Ovmf = "ovmf",
    }
);

text_enum!(
    /// The guest operating system, which selects defaults.
    OsType {
        /// Linux 2.6 to 6.x.
        Linux = "l26",
        /// Anything else, the server's default.
        Unspecified = "other",
    }
);

text_enum!(
    /// The SCSI controller.
    ScsiController {
        /// One controller per disk; the only one with which `iothread` works.
        VirtioScsiSingle = "virtio-scsi-single",
        /// One controller for all disks.
        VirtioScsi = "virtio-scsi-pci",
        /// LSI 53C895A, the server's default.
        Lsi = "lsi",
    }
);

text_enum!(
    /// How a disk image is stored in a file.
    ImageFormat {
        /// Plain bytes.
        Raw = "raw",
        /// QEMU's format, with snapshots.
        Qcow2 = "qcow2",
        /// The format of VMware.
        Vmdk = "vmdk",
    }
);

text_enum!(
    /// A file of a cloud-init drive.
    CloudInitPart {
        /// The user data.
        User = "user",
        /// The network configuration.
        Network = "network",
        /// The metadata.
        Meta = "meta",
    }
);

text_enum!(
    /// The version of a TPM.
    TpmVersion {
        /// What Talos' disk encryption needs.
        V2 = "v2.0",
        /// The server's default.
        V1 = "v1.2",
    }
);

/// Whether the VM has a port for the QEMU guest agent, and how it behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agent {
    /// Whether the server talks to the agent.
    pub enabled: bool,
    /// Options that this crate has no name for, in the order of the server.
    pub other: Vec<(String, String)>,
}

impl Agent {
    /// The agent is used. The extension or package must be in the guest as well.
    #[must_use]
    pub fn enabled() -> Self {
        Self {
            enabled: true,
            other: Vec::new(),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = PropertyString::default();
        text.push("enabled", u8::from(self.enabled));
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text.fmt(f)
    }
}

impl FromStr for Agent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        let bare = parsed.take_bare();
        let named = parsed.take_flag("enabled")?;
        let enabled = match bare {
            Some(_) if named.is_some() => return Err(duplicate("enabled")),
            Some(value) => crate::wire::truth_of_text(&value),
            None => named,
        };
        Ok(Self {
            enabled: enabled.unwrap_or(false),
            other: parsed.into_rest(),
        })
    }
}

/// The identity that the VM shows in its SMBIOS tables.
///
/// The UUID is what Talos reports about the machine, so setting it tells nodes and VMs apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Smbios {
    /// The UUID, in lower case.
    pub uuid: Option<String>,
    /// Serial, manufacturer and so on, as the server has them (usually in Base64).
    pub other: Vec<(String, String)>,
}

impl Smbios {
    /// An identity with this UUID.
    ///
    /// # Errors
    /// `InvalidInput` when the text is not a UUID.
    pub fn with_uuid(uuid: &str) -> Result<Self> {
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        let digits = uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if groups == [8, 4, 4, 4, 12] && digits {
            Ok(Self {
                uuid: Some(uuid.to_ascii_lowercase()),
                other: Vec::new(),
            })
        } else {
            Err(Error::field(
                "check SMBIOS",
                "smbios1",
                format!("`{uuid}` is not a UUID"),
            ))
        }
    }
}

impl fmt::Display for Smbios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = PropertyString::default();
        text.push_some("uuid", self.uuid.as_ref());
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text.fmt(f)
    }
}

impl FromStr for Smbios {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        let uuid = parsed.take("uuid").map(|uuid| uuid.to_ascii_lowercase());
        Ok(Self {
            uuid,
            other: parsed.into_rest(),
        })
    }
}

/// The default value of a property string that is otherwise kept as text: `q35` of
/// `q35,viommu=intel` or `type=q35`, `8192` of `current=8192`.
pub(super) fn default_value(text: &str, key: &str) -> Option<String> {
    let mut parsed = PropertyString::parse(text).ok()?;
    parsed.take_bare().or_else(|| parsed.take(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_option_has_a_default_key() {
        for text in ["1", "enabled=1", "enabled=on"] {
            assert_eq!(text.parse::<Agent>().unwrap(), Agent::enabled(), "{text}");
        }
        let agent: Agent = "1,fstrim_cloned_disks=1".parse().unwrap();
        assert_eq!(agent.to_string(), "enabled=1,fstrim_cloned_disks=1");
    }

    #[test]
    fn a_uuid_is_compared_in_lower_case() {
        let ours = Smbios::with_uuid("2B1F0D4E-0001-4A6B-9C1D-AABBCCDDEEFF").unwrap();

        assert_eq!(
            ours,
            "uuid=2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff".parse().unwrap()
        );
        assert!(Smbios::with_uuid("2b1f0d4e").is_err());
    }

    #[test]
    fn unknown_words_are_kept() {
        assert_eq!(Bios::from("ovmf"), Bios::Ovmf);
        assert_eq!(Bios::from("coreboot").as_str(), "coreboot");
    }

    #[test]
    fn defaults_are_found_with_and_without_their_key() {
        assert_eq!(
            default_value("q35,viommu=intel", "type").as_deref(),
            Some("q35")
        );
        assert_eq!(default_value("type=q35", "type").as_deref(), Some("q35"));
        assert_eq!(default_value("viommu=intel", "type"), None);
    }
}
