//! What a VM with empty disks boots, and the reasons for which it does not. The Talos mock plays the rest of its life.

use std::fmt;

use factory_client::mock::{ImageIdentity, inspect_image};
use proxmox_client::mock::{PveMock, VmRecord};
use proxmox_client::vm::{Bios, BootDevice, Cdrom, Drive, EfiType, Slot};

/// What a started VM runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Boot {
    /// The ISO.
    Iso(Box<ImageIdentity>),
    /// Nothing.
    Nothing(NoBoot),
}

/// Why a VM does not boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoBoot {
    /// No device of the boot order is bootable.
    NothingBootable,
    /// The variable store has no Secure Boot: a 2m EFI disk, none at all, or no UEFI.
    NoSecureBoot,
    /// Keys are enrolled already, so those of Talos cannot be enrolled.
    NotInSetupMode,
    /// The image is for another architecture.
    WrongArchitecture,
}

impl fmt::Display for NoBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingBootable => "no device of the boot order is bootable",
            Self::NoSecureBoot => {
                "the image needs Secure Boot, which only a 4m EFI disk of a q35 machine has"
            }
            Self::NotInSetupMode => "the firmware has keys already and rejects those of Talos",
            Self::WrongArchitecture => "the image is for another architecture",
        })
    }
}

/// Tries the devices in the boot order of the VM. Empty disks are skipped.
pub(super) fn boot(pve: &PveMock, vm: &VmRecord) -> Boot {
    for slot in order(vm) {
        if let Some(Drive::Cdrom(Cdrom::Image(volume))) = vm.config.drives.get(&slot) {
            let image = pve
                .volume_on(&vm.node, volume)
                .and_then(|volume| inspect_image(&volume.body));
            if let Some(image) = image.filter(ImageIdentity::is_iso) {
                return boot_iso(vm, image);
            }
        }
    }
    Boot::Nothing(NoBoot::NothingBootable)
}

fn order(vm: &VmRecord) -> Vec<Slot> {
    if let Some(order) = &vm.config.boot_order {
        let drives = order.devices().iter().filter_map(|device| match device {
            BootDevice::Drive(slot) => Some(*slot),
            _ => None,
        });
        return drives.collect();
    }
    // Without an order: disks first, then CD drives.
    let drives = &vm.config.drives;
    let mut slots: Vec<Slot> = drives.keys().copied().collect();
    slots.sort_by_key(|slot| !matches!(drives.get(slot), Some(Drive::Disk(_))));
    slots
}

fn boot_iso(vm: &VmRecord, image: ImageIdentity) -> Boot {
    if image.arch() != factory_client::Arch::Amd64 {
        return Boot::Nothing(NoBoot::WrongArchitecture);
    }
    if image.is_secure_boot() {
        let efi = vm.config.efi_disk.as_ref();
        let is_q35 = vm
            .config
            .machine
            .as_ref()
            .and_then(|machine| machine.kind.as_deref())
            .is_some_and(|machine| machine.contains("q35"));
        let has_variables = efi.is_some_and(|disk| disk.efi_type == EfiType::M4);
        if vm.config.bios != Some(Bios::Ovmf) || !is_q35 || !has_variables {
            return Boot::Nothing(NoBoot::NoSecureBoot);
        }
        if efi.is_some_and(|disk| disk.pre_enrolled_keys) {
            return Boot::Nothing(NoBoot::NotInSetupMode);
        }
    }
    Boot::Iso(Box::new(image))
}
