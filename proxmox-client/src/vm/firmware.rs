//! The disks of the firmware: UEFI variables and TPM state.

use std::fmt;
use std::str::FromStr;

use super::disk::DiskSource;
use super::options::TpmVersion;
use super::size::Size;
use super::text_enum::text_enum;
use crate::error::{Error, Result};
use crate::id::StorageName;
use crate::property::PropertyString;

text_enum!(
    /// The size class of the EFI variable store.
    EfiType {
        /// With Secure Boot variables.
        M4 = "4m",
        /// Legacy firmware **without Secure Boot**; what the server takes when nothing is said.
        M2 = "2m",
    }
);

/// The disk on which UEFI keeps its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EfiDisk {
    /// Where it is; the size is the firmware's, not ours.
    pub source: DiskSource,
    /// Which firmware build it is for.
    pub efi_type: EfiType,
    /// Whether the keys of Microsoft and distributions are enrolled. If not, the firmware is in
    /// setup mode and an image can enrol its own.
    pub pre_enrolled_keys: bool,
    /// The size that the server reads back.
    pub size: Option<Size>,
    /// Options that this crate has no name for.
    pub other: Vec<(String, String)>,
}

impl EfiDisk {
    /// A 4m variable store in setup mode: what a Talos SecureBoot image needs to enrol its keys.
    #[must_use]
    pub fn new(storage: StorageName) -> Self {
        Self {
            source: DiskSource::New {
                storage,
                size_gib: 1,
            },
            efi_type: EfiType::M4,
            pre_enrolled_keys: false,
            size: None,
            other: Vec::new(),
        }
    }

    /// Another firmware build.
    #[must_use]
    pub fn efi_type(mut self, efi_type: EfiType) -> Self {
        self.efi_type = efi_type;
        self
    }

    /// Enrols the keys of Microsoft and of distributions. An image can then not enrol its own keys.
    #[must_use]
    pub fn pre_enrolled_keys(mut self) -> Self {
        self.pre_enrolled_keys = true;
        self
    }
}

impl fmt::Display for EfiDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.source.to_property();
        text.push("efitype", &self.efi_type);
        text.push("pre-enrolled-keys", u8::from(self.pre_enrolled_keys));
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text.fmt(f)
    }
}

impl FromStr for EfiDisk {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        let source = DiskSource::take(&mut parsed)?;
        let size = parsed.take_parsed("size")?;
        Ok(Self {
            source,
            size,
            efi_type: parsed.take("efitype").as_deref().unwrap_or("2m").into(),
            pre_enrolled_keys: parsed.take_flag("pre-enrolled-keys")?.unwrap_or(false),
            other: parsed.into_rest(),
        })
    }
}

/// The disk on which a TPM keeps its state. The version cannot be changed later.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TpmState {
    /// Where it is; the size is always 4 MiB.
    pub source: DiskSource,
    /// The version.
    pub version: TpmVersion,
    /// The size that the server reads back.
    pub size: Option<Size>,
    /// Options that this crate has no name for.
    pub other: Vec<(String, String)>,
}

impl TpmState {
    /// A TPM 2.0.
    #[must_use]
    pub fn new(storage: StorageName) -> Self {
        Self {
            source: DiskSource::New {
                storage,
                size_gib: 1,
            },
            version: TpmVersion::V2,
            size: None,
            other: Vec::new(),
        }
    }
}

impl fmt::Display for TpmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.source.to_property();
        text.push("version", &self.version);
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text.fmt(f)
    }
}

impl FromStr for TpmState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        Ok(Self {
            source: DiskSource::take(&mut parsed)?,
            version: parsed.take("version").as_deref().unwrap_or("v1.2").into(),
            size: parsed.take_parsed("size")?,
            other: parsed.into_rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_efi_disk_is_ready_for_own_keys() {
        let disk = EfiDisk::new(StorageName::new("nvme-lvm").unwrap());

        assert_eq!(
            disk.to_string(),
            "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"
        );
    }

    #[test]
    fn an_efi_disk_without_a_type_is_the_one_without_secure_boot() {
        let disk: EfiDisk = "local:104/vm-104-disk-0.qcow2,size=528K".parse().unwrap();

        assert_eq!(disk.efi_type, EfiType::M2);
        assert!(!disk.pre_enrolled_keys);
    }

    #[test]
    fn a_tpm_without_a_version_is_the_old_one() {
        let read: TpmState = "nvme-lvm:vm-104-disk-3,size=4M".parse().unwrap();
        let made = TpmState::new(StorageName::new("nvme-lvm").unwrap());

        assert_eq!(read.version, TpmVersion::V1);
        assert_eq!(made.to_string(), "nvme-lvm:1,version=v2.0");
    }
}
