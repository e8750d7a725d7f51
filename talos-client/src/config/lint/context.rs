//! What is known about the machine a configuration is for.

use std::collections::BTreeMap;

use crate::config::TalosVersion;
use crate::config::validate::cel::Value;

/// The machine a configuration is for. What is not given is not checked.
#[derive(Debug, Clone)]
#[must_use]
pub struct LintContext {
    pub(super) version: TalosVersion,
    pub(super) platform: Option<String>,
    pub(super) secure_boot: Option<bool>,
    pub(super) tpm: Option<bool>,
    pub(super) schematic: Option<String>,
    pub(super) disks: Vec<LintDisk>,
}

impl LintContext {
    /// A machine that runs a release of Talos.
    pub fn new(version: &TalosVersion) -> Self {
        Self {
            version: version.clone(),
            platform: None,
            secure_boot: None,
            tpm: None,
            schematic: None,
            disks: Vec::new(),
        }
    }

    /// The platform of the boot image, for example `nocloud` or `metal`.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// The machine boots with secure boot.
    pub const fn secure_boot(mut self) -> Self {
        self.secure_boot = Some(true);
        self
    }

    /// The machine boots without secure boot.
    pub const fn without_secure_boot(mut self) -> Self {
        self.secure_boot = Some(false);
        self
    }

    /// The machine has a TPM 2.0.
    pub const fn tpm(mut self) -> Self {
        self.tpm = Some(true);
        self
    }

    /// The machine has no TPM 2.0.
    pub const fn without_tpm(mut self) -> Self {
        self.tpm = Some(false);
        self
    }

    /// The id of the schematic that the boot image was made from.
    pub fn schematic(mut self, id: impl Into<String>) -> Self {
        self.schematic = Some(id.into());
        self
    }

    /// All disks of the machine, in the order in which the system lists them.
    pub fn disks(mut self, disks: impl IntoIterator<Item = LintDisk>) -> Self {
        self.disks = disks.into_iter().collect();
        self
    }
}

/// A disk as selectors see it. A selector that asks for something not given here is taken to match.
#[derive(Debug, Clone)]
#[must_use]
pub struct LintDisk {
    pub(super) path: String,
    pub(super) size: u64,
    fields: BTreeMap<&'static str, Value>,
}

impl LintDisk {
    /// A writable disk with its device, for example `/dev/sda`, and its size in bytes.
    pub fn new(path: impl Into<String>, size: u64) -> Self {
        let path = path.into();
        let fields = [
            ("dev_path", Value::Text(path.clone())),
            ("size", Value::Number(i128::from(size))),
            ("readonly", Value::Bool(false)),
            ("cdrom", Value::Bool(false)),
        ];
        Self {
            path,
            size,
            fields: fields.into(),
        }
    }

    /// How the disk is attached, in the words of Talos: `virtio` (also a SCSI disk behind a VirtIO controller), `sata`, `nvme`,
    /// `usb`, …
    pub fn transport(self, transport: impl Into<String>) -> Self {
        self.with("transport", Value::Text(transport.into()))
    }

    /// The model, for example `QEMU HARDDISK`.
    pub fn model(self, model: impl Into<String>) -> Self {
        self.with("model", Value::Text(model.into()))
    }

    /// The serial number.
    pub fn serial(self, serial: impl Into<String>) -> Self {
        self.with("serial", Value::Text(serial.into()))
    }

    /// The world wide identifier.
    pub fn wwid(self, wwid: impl Into<String>) -> Self {
        self.with("wwid", Value::Text(wwid.into()))
    }

    /// The path on the bus, for example `/pci0000:00/0000:00:05.0/virtio2`.
    pub fn bus_path(self, path: impl Into<String>) -> Self {
        self.with("bus_path", Value::Text(path.into()))
    }

    /// The disk reports that it spins. A virtual disk does unless its hypervisor presents it as an SSD.
    pub fn rotational(self) -> Self {
        self.with("rotational", Value::Bool(true))
    }

    /// The disk reports that it does not spin.
    pub fn non_rotational(self) -> Self {
        self.with("rotational", Value::Bool(false))
    }

    fn with(mut self, field: &'static str, value: Value) -> Self {
        self.fields.insert(field, value);
        self
    }

    pub(super) fn field(&self, name: &str) -> Value {
        self.fields.get(name).cloned().unwrap_or(Value::Unknown)
    }
}
