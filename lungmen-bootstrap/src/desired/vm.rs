//! From a machine to the VM it becomes.

use proxmox_client::id::{BridgeName, MacAddress, StorageName, VmId, VolumeId};
use proxmox_client::vm::{
    Agent, Disk as VmDisk, EfiDisk, EfiType, NetworkDevice, Slot, Smbios, Tags, TpmState, VmSpec,
};

use super::nocloud;
use super::options;
use crate::desired::ownership::MachineUuid;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{Disk, Efi, MachineSpec, Network};

/// Where the ISO is attached; the disks are on the SCSI controller.
const CD_DRIVE: Slot = Slot::Ide(2);

/// Stands for a memory that has a finding of its own.
const ANY_MEMORY: u32 = 2048;

/// The place of the machine and the flavour of its image.
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
    let id = diagnostics.identifier(
        &format!("{path}.vmId"),
        &machine.vm_id,
        VmId::new(machine.vm_id),
    );
    let networks = networks(path, machine, diagnostics);
    let static_address = nocloud::options(path, machine, diagnostics);
    let options = options::check(path, machine, diagnostics);
    let tag_text = machine.tags.join(", ");
    let tags = diagnostics.identifier(&format!("{path}.tags"), &tag_text, Tags::new(&machine.tags));
    let smbios = diagnostics.identifier(
        &format!("{path}.vmId"),
        &uuid,
        Smbios::with_uuid(&uuid.to_string()),
    );
    let memory = u32::try_from(machine.memory_mib);
    let memory = diagnostics.check(&format!("{path}.memoryMiB"), &machine.memory_mib, memory);

    // A wrong id or size keeps nothing else from being checked.
    let is_complete = id.is_some() && memory.is_some() && tags.is_some();
    let any = VmId::new(100).ok();
    let mut spec = VmSpec::new(id.or(any)?, &machine.name)
        .cores(machine.cores)
        .cpu(&machine.cpu)
        .memory_mib(memory.unwrap_or(ANY_MEMORY))
        .uefi(efi_disk(machine.efi, shared.storage))
        .cdrom(CD_DRIVE, shared.iso.clone())
        // The empty disk fails to boot and the firmware goes on to the CD; after the installation the disk wins. A
        // CD first would stop there: Talos ISOs halt when Talos is installed.
        .boot_order([Slot::Scsi(0), CD_DRIVE])
        .smbios(smbios?)
        .tags(tags.unwrap_or_default())
        .description(&machine.description);
    for (index, disk) in (0..).zip(&machine.disks) {
        spec = spec.disk(Slot::Scsi(index), vm_disk(disk, shared.storage));
    }
    for (index, device) in (0..).zip(networks?) {
        spec = spec.network(index, device);
    }
    if machine.has_nocloud_drive() {
        spec = spec.cdrom(
            nocloud::DRIVE,
            diagnostics.identifier(
                &format!("{path}.placement.storage"),
                shared.storage,
                VolumeId::new(format!("{}:cloudinit", shared.storage)),
            )?,
        );
    }
    for (name, value) in static_address?.into_iter().chain(options?) {
        spec = match name.as_str() {
            "balloon" => {
                let least =
                    diagnostics.check(&format!("{path}.options.balloon"), &value, value.parse());
                spec.balloon_mib(least?)
            }
            _ => spec.option(name, value),
        };
    }
    if let Some(pool) = &machine.pool {
        spec = spec.pool(pool);
    }
    match machine.start_on_boot {
        Some(true) => spec = spec.on_boot(),
        Some(false) => spec = spec.not_on_boot(),
        None => {}
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
    let is_valid = report(path, machine, &spec, diagnostics);
    (is_valid && is_complete).then_some(spec)
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

/// The path of a network device in the specification.
pub(super) fn network_path(path: &str, device: usize) -> String {
    match device.checked_sub(1) {
        None => format!("{path}.network"),
        Some(index) => format!("{path}.additionalNetworks[{index}]"),
    }
}

/// All network devices in order; `None` when one of them has a finding.
fn networks(
    path: &str,
    machine: &MachineSpec,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<NetworkDevice>> {
    let devices: Vec<Option<NetworkDevice>> = machine
        .networks()
        .enumerate()
        .map(|(index, wanted)| network(&network_path(path, index), wanted, diagnostics))
        .collect();
    devices.into_iter().collect()
}

fn network(path: &str, wanted: &Network, diagnostics: &mut Diagnostics) -> Option<NetworkDevice> {
    let bridge = diagnostics.identifier(
        &format!("{path}.bridge"),
        &wanted.bridge,
        BridgeName::new(wanted.bridge.as_str()),
    );
    let mut device = NetworkDevice::virtio(bridge?);
    if let Some(mac) = &wanted.mac {
        let parsed = mac.parse::<MacAddress>();
        device = device.mac(diagnostics.identifier(&format!("{path}.mac"), mac, parsed)?);
    }
    if let Some(tag) = wanted.vlan {
        device = device.vlan(tag);
    }
    if wanted.firewall {
        device = device.firewall();
    }
    if let Some(mtu) = wanted.mtu {
        device = device.mtu(mtu);
    }
    device.queues = wanted.queues;
    Some(device)
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
        "ide0" => ("staticAddress".into(), String::new()),
        "onboot" => ("startOnBoot".into(), String::new()),
        net if net
            .strip_prefix("net")
            .is_some_and(|n| n.parse::<usize>().is_ok()) =>
        {
            let index = net[3..].parse().unwrap_or_default();
            let bridge = machine
                .networks()
                .nth(index)
                .map(|network| network.bridge.clone());
            let field = network_path("", index);
            (
                field.trim_start_matches('.').to_owned(),
                bridge.unwrap_or_default(),
            )
        }
        "description" => (
            "description".into(),
            format!("{} characters", machine.description.chars().count()),
        ),
        "boot" => ("disks".into(), format!("{} disks", machine.disks.len())),
        other => match machine.options.get(other) {
            Some(value) => (format!("options.{other}"), value.clone()),
            None => (other.to_owned(), String::new()),
        },
    }
}
