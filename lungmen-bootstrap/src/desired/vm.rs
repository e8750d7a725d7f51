//! From a machine to the VM it becomes.

use proxmox_client::id::{BridgeName, StorageName, VmId, VolumeId};
use proxmox_client::vm::{
    Agent, Disk as VmDisk, EfiDisk, EfiType, NetworkDevice, Slot, Smbios, Tags, TpmState, VmSpec,
};

use crate::desired::ownership::MachineUuid;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{Disk, Efi, MachineSpec};

/// Where the ISO is attached; the disks are on the SCSI controller.
const CD_DRIVE: Slot = Slot::Ide(2);

/// The places and the flavour that all machines share.
pub(super) struct Shared<'a> {
    pub(super) storage: &'a StorageName,
    pub(super) iso: &'a VolumeId,
    pub(super) secure_boot: bool,
}

/// The VM of `machine`, or its diagnostics under `path`.
pub(super) fn vm(
    path: &str,
    machine: &MachineSpec,
    uuid: MachineUuid,
    shared: &Shared<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VmSpec> {
    let id = diagnostics.check(
        &format!("{path}.vmId"),
        &machine.vm_id,
        VmId::new(machine.vm_id),
    );
    let bridge = &machine.network.bridge;
    let bridge = diagnostics.check(
        &format!("{path}.network.bridge"),
        bridge,
        BridgeName::new(bridge.as_str()),
    );
    let tag_text = machine.tags.join(", ");
    let tags = diagnostics.check(&format!("{path}.tags"), &tag_text, Tags::new(&machine.tags));
    let smbios = diagnostics.check(
        &format!("{path}.vmId"),
        &uuid,
        Smbios::with_uuid(&uuid.to_string()),
    );
    let memory = u32::try_from(machine.memory_mib);
    let memory = diagnostics.check(&format!("{path}.memoryMiB"), &machine.memory_mib, memory);

    let mut spec = VmSpec::new(id?, &machine.name)
        .cores(machine.cores)
        .cpu(&machine.cpu)
        .memory_mib(memory?)
        .uefi(efi_disk(machine.efi, shared.storage))
        .cdrom(CD_DRIVE, shared.iso.clone())
        .network(0, network(machine, bridge?))
        // The empty disk fails to boot and the firmware goes on to the CD; after the installation the disk wins. A
        // CD first would stop there: Talos ISOs halt when Talos is installed.
        .boot_order([Slot::Scsi(0), CD_DRIVE])
        .smbios(smbios?)
        .tags(tags?)
        .description(&machine.description);
    for (index, disk) in (0..).zip(&machine.disks) {
        spec = spec.disk(Slot::Scsi(index), vm_disk(disk, shared.storage));
    }
    if machine.guest_agent {
        spec = spec.agent(Agent::enabled());
    }
    if machine.tpm {
        spec = spec.tpm(TpmState::new(shared.storage.clone()));
    }
    if shared.secure_boot {
        spec = spec.enrolls_secure_boot_keys();
    }
    report(path, machine, &spec, diagnostics).then_some(spec)
}

fn efi_disk(efi: Efi, storage: &StorageName) -> EfiDisk {
    let kind = match efi {
        Efi::FourMib => EfiType::M4,
        Efi::TwoMib => EfiType::M2,
    };
    // Without Microsoft's keys the firmware is in setup mode, and Talos enrolls its own at the first boot.
    EfiDisk::new(storage.clone()).efi_type(kind)
}

fn vm_disk(disk: &Disk, storage: &StorageName) -> VmDisk {
    let mut vm_disk = VmDisk::new(storage.clone(), disk.size_gib);
    if disk.io_thread {
        vm_disk = vm_disk.iothread();
    }
    if disk.ssd {
        vm_disk = vm_disk.ssd();
    }
    if disk.discard {
        vm_disk = vm_disk.discard();
    }
    vm_disk
}

fn network(machine: &MachineSpec, bridge: BridgeName) -> NetworkDevice {
    let mut device = NetworkDevice::virtio(bridge);
    if let Some(tag) = machine.network.vlan {
        device = device.vlan(tag);
    }
    if machine.network.firewall {
        device = device.firewall();
    }
    device
}

/// What the server would refuse or could not work, under the names of the specification.
fn report(path: &str, machine: &MachineSpec, spec: &VmSpec, diagnostics: &mut Diagnostics) -> bool {
    let Err(error) = spec.validate() else {
        return true;
    };
    for diagnostic in error.diagnostics() {
        let (field, value) = origin(&diagnostic.field, machine);
        diagnostics.add(Diagnostic::new(
            format!("{path}.{field}"),
            value,
            diagnostic.message.as_str(),
        ));
    }
    false
}

/// The field of the specification that a VM option comes from, with its value.
fn origin(option: &str, machine: &MachineSpec) -> (String, String) {
    if let Some(index) = option
        .strip_prefix("scsi")
        .and_then(|index| index.parse::<usize>().ok())
    {
        let size = machine.disks.get(index).map_or(0, |disk| disk.size_gib);
        return (format!("disks[{index}]"), format!("{size} GiB"));
    }
    let efi = || match machine.efi {
        Efi::FourMib => "4m".to_owned(),
        Efi::TwoMib => "2m".to_owned(),
    };
    match option {
        "name" => ("name".into(), machine.name.clone()),
        "cores" | "sockets" => ("cores".into(), machine.cores.to_string()),
        "memory" | "balloon" => ("memoryMiB".into(), machine.memory_mib.to_string()),
        "cpu" => ("cpu".into(), machine.cpu.clone()),
        "efidisk0" | "bios" => ("efi".into(), efi()),
        "tpmstate0" => ("tpm".into(), machine.tpm.to_string()),
        "net0" => ("network".into(), machine.network.bridge.clone()),
        "description" => (
            "description".into(),
            format!("{} characters", machine.description.chars().count()),
        ),
        "boot" => ("disks".into(), format!("{} disks", machine.disks.len())),
        other => (other.to_owned(), String::new()),
    }
}
