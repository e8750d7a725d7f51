//! What is wrong with a drive or a network card of a specification.

use super::update::unsendable;
use super::validate::Problems;
use super::{Disk, DiskSource, Drive, NetworkDevice, NetworkModel, ScsiController, Slot, VmSpec};

impl VmSpec {
    pub(super) fn check_drive(&self, slot: Slot, drive: &Drive, problems: &mut Problems) {
        let field = slot.to_string();
        problems.require(slot.is_valid(), &field, "there is no such slot");
        match drive {
            Drive::Cdrom(_) => problems.require(
                !matches!(slot, Slot::Virtio(_)),
                &field,
                "a CD drive cannot be attached to a virtio slot; use ide, sata or scsi",
            ),
            Drive::Disk(disk) => {
                self.check_disk(slot, disk, problems);
                if let Some(problem) = unsendable(&disk.to_property()) {
                    problems.add(field, problem);
                }
            }
        }
    }

    fn check_disk(&self, slot: Slot, disk: &Disk, problems: &mut Problems) {
        let field = slot.to_string();
        match &disk.source {
            DiskSource::New { size_gib, .. } => {
                problems.require(*size_gib >= 1, &field, "a new disk needs at least 1 GiB");
            }
            DiskSource::Import { from, .. } => problems.require(
                !from.name().starts_with("iso/"),
                &field,
                "an ISO volume cannot be imported; the source must be of content import or images",
            ),
            DiskSource::Volume(volume) => problems.require(
                !volume.name().starts_with("iso/"),
                &field,
                "an ISO image must be in a CD drive",
            ),
        }
        let virtio = matches!(slot, Slot::Virtio(_));
        problems.require(
            !(virtio && disk.ssd == Some(true)),
            &field,
            "virtio has no ssd option",
        );
        if disk.iothread == Some(true) {
            match slot {
                Slot::Virtio(_) => {}
                Slot::Scsi(_) => problems.require(
                    self.scsi_controller == ScsiController::VirtioScsiSingle,
                    &field,
                    "iothread on SCSI works with the controller virtio-scsi-single only",
                ),
                Slot::Ide(_) | Slot::Sata(_) => {
                    problems.add(field, "iothread works on scsi and virtio only");
                }
            }
        }
    }

    pub(super) fn check_network(&self, index: u8, device: &NetworkDevice, problems: &mut Problems) {
        let field = format!("net{index}");
        problems.require(index <= 31, &field, "there are net0 to net31 only");
        problems.require(
            device.vlan.is_none_or(|vlan| (1..=4094).contains(&vlan)),
            &field,
            "a VLAN id is 1 to 4094",
        );
        problems.require(
            device.vlan.is_none() || device.bridge.is_some(),
            &field,
            "a VLAN needs a bridge",
        );
        problems.require(
            device.mtu.is_none_or(|mtu| (1..=65520).contains(&mtu)),
            &field,
            "an MTU is 1 to 65520",
        );
        problems.require(
            device.mtu.is_none() || device.model == NetworkModel::Virtio,
            &field,
            "an MTU can be set for virtio only",
        );
        problems.require(
            device.queues.is_none_or(|queues| queues <= 64),
            &field,
            "at most 64 queues",
        );
        // Linux limits interface names to 15 characters; the firewall bridge has the longest.
        let bridge = format!("fwbr{}i{index}", self.id);
        problems.require(
            device.firewall != Some(true) || bridge.len() <= 15,
            &field,
            "the id is too long for the firewall's bridge name; use net0 to net9 or a shorter id",
        );
        if let Some(problem) = unsendable(&device.to_property()) {
            problems.add(field, problem);
        }
    }
}
