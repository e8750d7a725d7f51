//! Everything that is wrong with a specification, at once and before anything is sent: what the
//! server would refuse, and what it accepts although it cannot work.

use super::{Bios, BootDevice, Cdrom, Drive, EfiType, VmSpec, split_index};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::{Error, ErrorKind, Result};
use crate::rule;

/// Options that the server keeps for `root@pam` with a password; no API token may set them.
const ROOT_ONLY: &[&str] = &[
    "affinity",
    "amd-sev",
    "arch",
    "args",
    "hookscript",
    "hugepages",
    "intel-tdx",
    "ivshmem",
    "keephugepages",
    "lock",
    "spice_enhancements",
    "vmgenid",
];

/// Options that have a setter of their own.
const TYPED: &[&str] = &[
    "vmid",
    "name",
    "ostype",
    "machine",
    "bios",
    "scsihw",
    "sockets",
    "cores",
    "memory",
    "cpu",
    "balloon",
    "efidisk0",
    "tpmstate0",
    "boot",
    "agent",
    "smbios1",
    "tags",
    "description",
    "onboot",
    "pool",
    "cdrom",
];

#[derive(Default)]
pub(super) struct Problems(Diagnostics);

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Diagnostic::error(field, problem));
    }

    pub(super) fn require(&mut self, holds: bool, field: &str, problem: &str) {
        if !holds {
            self.add(field, problem);
        }
    }
}

impl VmSpec {
    /// Checks the specification without sending anything; [`Node::create_vm`] does so too.
    ///
    /// # Errors
    /// `InvalidInput` with all problems in [`Error::diagnostics`], under the server's option names.
    ///
    /// [`Node::create_vm`]: crate::Node::create_vm
    pub fn validate(&self) -> Result<()> {
        let mut problems = Problems::default();
        self.check_basics(&mut problems);
        self.check_firmware(&mut problems);
        for (slot, drive) in &self.drives {
            self.check_drive(*slot, drive, &mut problems);
        }
        for (index, device) in &self.networks {
            self.check_network(*index, device, &mut problems);
        }
        self.check_boot_order(&mut problems);
        self.check_other(&mut problems);
        if problems.0.is_empty() {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::InvalidInput, "check VM specification")
                .with_target(format!("VM {}", self.id))
                .with_message("invalid specification")
                .with_diagnostics(problems.0),
        )
    }

    fn check_basics(&self, problems: &mut Problems) {
        let dns_name = self.name.len() <= 253 && rule::is_dns_name(&self.name);
        if !dns_name {
            let problem = format!(
                "`{}` is not a DNS name (labels of letters, digits and inner hyphens, joined by dots)",
                self.name
            );
            problems.add("name", problem);
        }
        problems.require(
            self.sockets >= 1,
            "sockets",
            "at least one socket is needed",
        );
        problems.require(self.cores >= 1, "cores", "at least one core is needed");
        problems.require(
            self.memory_mib >= 16,
            "memory",
            "at least 16 MiB are needed",
        );
        problems.require(
            self.balloon_mib
                .is_none_or(|balloon| balloon <= self.memory_mib),
            "balloon",
            "must not be more than the memory",
        );
        let pool = self.pool.as_deref();
        if let Some(problem) = pool.and_then(|pool| rule::POOL.problem("pool", pool)) {
            problems.0.push(problem);
        }
        let length = self
            .description
            .as_deref()
            .map_or(0, |text| text.chars().count());
        problems.require(
            length <= 8192,
            "description",
            "may only be 8192 characters long",
        );
        let smbios = self
            .smbios
            .as_ref()
            .map_or(0, |smbios| smbios.to_string().len());
        problems.require(smbios <= 512, "smbios1", "may only be 512 characters long");
        for (field, text) in [
            ("cpu", self.cpu.as_deref()),
            ("machine", self.machine.kind.as_deref()),
        ] {
            let filled = text.is_none_or(|text| !text.trim().is_empty());
            problems.require(filled, field, "must not be empty");
        }
    }

    fn check_firmware(&self, problems: &mut Problems) {
        problems.require(
            self.efi_disk.is_none() || self.bios == Bios::Ovmf,
            "efidisk0",
            "has no effect without bios ovmf",
        );
        if !self.enrolls_keys {
            return;
        }
        problems.require(self.bios == Bios::Ovmf, "bios", "Secure Boot needs ovmf");
        match &self.efi_disk {
            None => problems.add(
                "efidisk0",
                "Secure Boot needs an EFI disk to keep its keys on",
            ),
            Some(disk) => {
                problems.require(
                    disk.efi_type == EfiType::M4,
                    "efidisk0",
                    "the 2m EFI disk has no Secure Boot; use efitype 4m",
                );
                problems.require(
                    !disk.pre_enrolled_keys,
                    "efidisk0",
                    "with pre-enrolled keys the firmware is not in setup mode and the image cannot \
                     enrol its own; use pre-enrolled-keys=0",
                );
            }
        }
    }

    fn check_boot_order(&self, problems: &mut Problems) {
        let Some(order) = &self.boot_order else {
            return;
        };
        let devices = order.devices();
        problems.require(!devices.is_empty(), "boot", "the order is empty");
        for (position, device) in devices.iter().enumerate() {
            let known = match device {
                BootDevice::Drive(slot) => self.drives.contains_key(slot),
                BootDevice::Network(index) => self.networks.contains_key(index),
                BootDevice::Usb(_) | BootDevice::HostPci(_) => {
                    self.other.contains_key(&device.to_string())
                }
            };
            if !known {
                problems.add(
                    "boot",
                    format!("device '{device}' does not exist in this VM"),
                );
            }
            if devices[..position].contains(device) {
                problems.add("boot", format!("device '{device}' is listed twice"));
            }
        }
        if self.enrolls_keys {
            self.check_disk_before_cd(devices, problems);
        }
    }

    /// An installer image that comes before the installed disk stops instead of booting it.
    fn check_disk_before_cd(&self, devices: &[BootDevice], problems: &mut Problems) {
        let position = |wanted: fn(&Drive) -> bool| {
            devices.iter().position(|device| match device {
                BootDevice::Drive(slot) => self.drives.get(slot).is_some_and(wanted),
                _ => false,
            })
        };
        let cd = position(|drive| matches!(drive, Drive::Cdrom(Cdrom::Image(_))));
        let disk = position(|drive| matches!(drive, Drive::Disk(_)));
        let reversed = matches!((cd, disk), (Some(cd), Some(disk)) if cd < disk);
        problems.require(
            !reversed,
            "boot",
            "the disk must come before the CD, or the image starts again after the installation",
        );
    }

    fn check_other(&self, problems: &mut Problems) {
        for (name, value) in &self.other {
            let class = split_index(name).map_or(name.as_str(), |(class, _)| class);
            if ROOT_ONLY.contains(&name.as_str()) || class == "parallel" {
                problems.add(name, "only root@pam with a password may set this");
            } else if TYPED.contains(&name.as_str())
                || matches!(class, "ide" | "sata" | "scsi" | "virtio" | "net")
            {
                problems.add(name, "has a setter of its own");
            } else if value.is_empty() {
                problems.add(name, "must not be empty");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BridgeName, StorageName, VmId, VolumeId};
    use crate::vm::EfiDisk;
    use crate::vm::{Disk, DiskSource, NetworkDevice, ScsiController, Slot};

    fn storage() -> StorageName {
        StorageName::new("nvme-lvm").unwrap()
    }

    fn image() -> VolumeId {
        VolumeId::new("local:iso/talos.iso").unwrap()
    }

    fn good() -> VmSpec {
        VmSpec::new(VmId::new(2_411_000).unwrap(), "tal01.example.org")
            .uefi(EfiDisk::new(storage()))
            .enrolls_secure_boot_keys()
            .disk(Slot::Scsi(0), Disk::new(storage(), 32).iothread())
            .cdrom(Slot::Ide(2), image())
            .network(
                0,
                NetworkDevice::virtio(BridgeName::new("vmbr1").unwrap()).vlan(2),
            )
            .boot_order([Slot::Scsi(0), Slot::Ide(2)])
    }

    fn problem(spec: &VmSpec, field: &str) -> String {
        let error = spec.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error
            .diagnostics()
            .message_of(field)
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("{field}: {error}"))
    }

    #[test]
    fn a_good_specification_passes() {
        good().validate().unwrap();
    }

    #[test]
    fn all_problems_are_reported_together() {
        let spec = VmSpec::new(VmId::new(100).unwrap(), "tal_01")
            .cores(0)
            .memory_mib(8)
            .balloon_mib(16)
            .option("args", "-cpu host")
            .boot_order([Slot::Scsi(9)]);
        let error = spec.validate().unwrap_err();

        let fields: Vec<&str> = error
            .diagnostics()
            .iter()
            .map(|known| known.field.as_str())
            .collect();
        assert_eq!(
            fields,
            ["args", "balloon", "boot", "cores", "memory", "name"]
        );
    }

    #[test]
    fn secure_boot_needs_an_empty_4m_variable_store() {
        let with = |disk: EfiDisk| good().uefi(disk);

        let small = with(EfiDisk::new(storage()).efi_type(EfiType::M2));
        assert!(problem(&small, "efidisk0").contains("2m EFI disk has no Secure Boot"));
        let enrolled = with(EfiDisk::new(storage()).pre_enrolled_keys());
        assert!(problem(&enrolled, "efidisk0").contains("setup mode"));
        assert!(problem(&good().bios(Bios::SeaBios), "bios").contains("ovmf"));
    }

    #[test]
    fn an_image_must_be_in_a_cd_drive_behind_the_disk() {
        let as_disk = Disk::from_source(DiskSource::Volume(image()));
        assert!(problem(&good().disk(Slot::Scsi(1), as_disk), "scsi1").contains("CD drive"));

        let reversed = good().boot_order([Slot::Ide(2), Slot::Scsi(0)]);
        assert!(problem(&reversed, "boot").contains("disk must come before the CD"));
    }

    #[test]
    fn devices_that_cannot_be_are_refused() {
        for (spec, field) in [
            (good().disk(Slot::Ide(4), Disk::new(storage(), 1)), "ide4"),
            (
                good().disk(Slot::Sata(0), Disk::new(storage(), 1).iothread()),
                "sata0",
            ),
            (good().scsi_controller(ScsiController::Lsi), "scsi0"),
            (
                good().disk(Slot::Virtio(0), Disk::new(storage(), 1).ssd()),
                "virtio0",
            ),
            (good().disk(Slot::Scsi(1), Disk::new(storage(), 0)), "scsi1"),
            (
                good().disk(
                    Slot::Scsi(1),
                    Disk::new(storage(), 1).option("serial", "a,b"),
                ),
                "scsi1",
            ),
            (good().empty_cdrom(Slot::Virtio(0)), "virtio0"),
            (good().option("net1", "virtio"), "net1"),
        ] {
            problem(&spec, field);
        }
    }

    #[test]
    fn a_vlan_has_a_range_and_the_firewall_a_longest_name() {
        let card = |vlan| NetworkDevice::virtio(BridgeName::new("vmbr1").unwrap()).vlan(vlan);

        problem(&good().network(0, card(4095)), "net0");
        problem(&good().network(0, card(0)), "net0");
        let long = good().with_id(VmId::new(999_999_999).unwrap());
        long.clone()
            .network(9, card(2).firewall())
            .validate()
            .unwrap();
        problem(&long.network(10, card(2).firewall()), "net10");
    }
}
