//! Resources about the machine's hardware and the image it booted.

use super::resource::resource_spec;
use crate::api::pb::definitions::{block, extensions, hardware, runtime};
use serde::{Deserialize, Serialize};

/// How the node was booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecurityState {
    /// Whether Secure Boot is enforced (enabled, and not in setup mode).
    pub is_secure_boot: bool,
    /// PublicKeyFingerprint of the key that signed the kernel image.
    pub uki_signing_key_fingerprint: String,
    /// Whether it was booted from a unified kernel image.
    pub is_booted_with_uki: bool,
}

impl From<runtime::SecurityStateSpec> for SecurityState {
    fn from(spec: runtime::SecurityStateSpec) -> Self {
        Self {
            is_secure_boot: spec.secure_boot,
            uki_signing_key_fingerprint: spec.uki_signing_key_fingerprint,
            is_booted_with_uki: spec.booted_with_uki,
        }
    }
}

resource_spec!(
    SecurityState,
    "SecurityStates.talos.dev",
    "runtime",
    runtime::SecurityStateSpec,
    id "securitystate"
);

/// A system extension of the booted image. Image Factory adds one named `schematic`, whose version is the ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtensionStatus {
    /// File name of its layer.
    pub image: String,
    /// Its name, for example `iscsi-tools`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its author.
    pub author: String,
    /// What it is for.
    pub description: String,
    /// More; for `schematic` the schematic itself.
    pub extra_info: String,
}

impl From<extensions::Layer> for ExtensionStatus {
    fn from(layer: extensions::Layer) -> Self {
        let metadata = layer.metadata.unwrap_or_default();
        Self {
            image: layer.image,
            name: metadata.name,
            version: metadata.version,
            author: metadata.author,
            description: metadata.description,
            extra_info: metadata.extra_info,
        }
    }
}

resource_spec!(
    ExtensionStatus,
    "ExtensionStatuses.runtime.talos.dev",
    "runtime",
    extensions::Layer
);

/// What SMBIOS says about the machine. The UUID of a virtual machine is the one its hypervisor knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemInformation {
    /// Its maker, for example `QEMU`.
    pub manufacturer: String,
    /// Its model.
    pub product_name: String,
    /// Its serial number.
    pub serial_number: String,
    /// Its UUID: proves which machine answers.
    pub uuid: String,
}

impl From<hardware::SystemInformationSpec> for SystemInformation {
    fn from(spec: hardware::SystemInformationSpec) -> Self {
        Self {
            manufacturer: spec.manufacturer,
            product_name: spec.product_name,
            serial_number: spec.serial_number,
            uuid: spec.uuid,
        }
    }
}

resource_spec!(
    SystemInformation,
    "SystemInformations.hardware.talos.dev",
    "hardware",
    hardware::SystemInformationSpec,
    id "systeminformation"
);

/// The disk that Talos is installed on; missing as long as it is not installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemDisk {
    /// Its id, for example `sda`.
    pub id: String,
    /// Its device file.
    pub device: String,
}

impl From<block::SystemDiskSpec> for SystemDisk {
    fn from(spec: block::SystemDiskSpec) -> Self {
        Self {
            id: spec.disk_id,
            device: spec.dev_path,
        }
    }
}

resource_spec!(
    SystemDisk,
    "SystemDisks.block.talos.dev",
    "runtime",
    block::SystemDiskSpec,
    id "system-disk"
);

/// A block device, with what a disk selector can match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockDevice {
    /// Its device file.
    pub device: String,
    /// Size in bytes.
    pub size: u64,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// How it is attached: `virtio`, `nvme`, `sata`.
    pub transport: String,
    /// Whether it spins.
    pub is_rotational: bool,
    /// Whether it is a CD drive.
    pub is_cdrom: bool,
    /// Whether it cannot be written.
    pub is_readonly: bool,
    /// Other names of the device file.
    pub symlinks: Vec<String>,
}

impl From<block::DiskSpec> for BlockDevice {
    fn from(spec: block::DiskSpec) -> Self {
        Self {
            device: spec.dev_path,
            size: spec.size,
            model: spec.model,
            serial: spec.serial,
            transport: spec.transport,
            is_rotational: spec.rotational,
            is_cdrom: spec.cdrom,
            is_readonly: spec.readonly,
            symlinks: spec.symlinks,
        }
    }
}

resource_spec!(
    BlockDevice,
    "Disks.block.talos.dev",
    "runtime",
    block::DiskSpec
);
