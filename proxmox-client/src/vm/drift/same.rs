//! Whether a device is the wanted one, in spite of what the server adds.

use crate::id::VolumeId;
use crate::vm::{Cdrom, Disk, DiskSource, Drive, EfiDisk, NetworkDevice, Size};

pub(super) fn same_efi_disk(wanted: &EfiDisk, found: &EfiDisk) -> bool {
    wanted.efi_type == found.efi_type
        && wanted.pre_enrolled_keys == found.pre_enrolled_keys
        && same_source(&wanted.source, &found.source)
}

pub(super) fn same_drive(wanted: &Drive, found: &Drive) -> bool {
    match (wanted, found) {
        (Drive::Disk(wanted), Drive::Disk(found)) => same_disk(wanted, found),
        (Drive::Cdrom(Cdrom::Image(wanted)), Drive::Cdrom(Cdrom::Image(found))) => {
            wanted == found || (wanted.name() == "cloudinit" && is_cloud_init_of(wanted, found))
        }
        (Drive::Cdrom(wanted), Drive::Cdrom(found)) => wanted == found,
        _ => false,
    }
}

/// `STORAGE:cloudinit` becomes `STORAGE:vm-104-cloudinit`, on a storage of files `STORAGE:104/vm-104-cloudinit.qcow2`.
fn is_cloud_init_of(wanted: &VolumeId, found: &VolumeId) -> bool {
    let stem = found.file_name().split('.').next().unwrap_or_default();
    wanted.storage() == found.storage() && stem.ends_with("-cloudinit")
}

fn same_disk(wanted: &Disk, found: &Disk) -> bool {
    let flag = |wanted: Option<bool>, found: Option<bool>, default: bool| {
        wanted.is_none_or(|wanted| found.unwrap_or(default) == wanted)
    };
    let large_enough = match (&wanted.source, found.size) {
        (DiskSource::New { size_gib, .. }, Some(size)) => size >= Size::gib(*size_gib),
        _ => true,
    };
    // Storages without a choice of formats drop `format=raw`.
    let format = match (&wanted.format, &found.format) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    same_source(&wanted.source, &found.source)
        && large_enough
        && format
        && flag(wanted.iothread, found.iothread, false)
        && flag(wanted.ssd, found.ssd, false)
        && flag(wanted.discard, found.discard, false)
        && flag(wanted.backup, found.backup, true)
        && flag(wanted.replicate, found.replicate, true)
        && wanted
            .other
            .iter()
            .all(|option| found.other.contains(option))
}

fn same_source(wanted: &DiskSource, found: &DiskSource) -> bool {
    match wanted {
        DiskSource::Volume(_) => wanted == found,
        _ => wanted.storage() == found.storage(),
    }
}

pub(super) fn same_network(wanted: &NetworkDevice, found: &NetworkDevice) -> bool {
    let flag = |wanted: Option<bool>, found: Option<bool>| {
        wanted.is_none_or(|wanted| found.unwrap_or(false) == wanted)
    };
    wanted.model == found.model
        && wanted
            .mac
            .as_ref()
            .is_none_or(|mac| found.mac.as_ref() == Some(mac))
        && wanted.bridge == found.bridge
        && wanted.vlan == found.vlan
        && flag(wanted.firewall, found.firewall)
        && flag(wanted.link_down, found.link_down)
        && wanted.mtu.is_none_or(|mtu| found.mtu == Some(mtu))
        && wanted
            .queues
            .is_none_or(|queues| found.queues == Some(queues))
        && wanted
            .other
            .iter()
            .all(|option| found.other.contains(option))
}
