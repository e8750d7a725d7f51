//! What to create.

use std::collections::BTreeMap;

use super::{
    Agent, Bios, BootOrder, Disk, Drive, EfiDisk, Machine, NetworkDevice, OsType, ScsiController,
    Slot, Smbios, Tags, TpmState,
};
use crate::id::{VmId, VolumeId};
use crate::vm::Cdrom;

/// A VM to create. Required things are arguments of [`new`](Self::new), the rest is set by name.
///
/// ```
/// use proxmox_client::id::{BridgeName, StorageName, VmId, VolumeId};
/// use proxmox_client::vm::{Disk, EfiDisk, NetworkDevice, Slot, VmSpec};
///
/// let storage = StorageName::new("nvme-lvm")?;
/// let spec = VmSpec::new(VmId::new(2_411_000)?, "tal01.example.org")
///     .cores(4)
///     .memory_mib(8192)
///     .uefi(EfiDisk::new(storage.clone()))
///     .disk(Slot::Scsi(0), Disk::new(storage, 32).iothread())
///     .cdrom(Slot::Ide(2), VolumeId::new("local:iso/talos.iso")?)
///     .network(0, NetworkDevice::virtio(BridgeName::new("vmbr1")?).vlan(2))
///     .boot_order([Slot::Scsi(0), Slot::Ide(2)]);
/// spec.validate()?;
/// # Ok::<(), proxmox_client::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a specification does nothing until it is given to `Node::create_vm`"]
pub struct VmSpec {
    pub(super) id: VmId,
    pub(super) name: String,
    pub(super) os_type: OsType,
    pub(super) machine: Machine,
    pub(super) bios: Bios,
    pub(super) scsi_controller: ScsiController,
    pub(crate) sockets: u32,
    pub(crate) cores: u32,
    pub(super) cpu: Option<String>,
    pub(super) memory_mib: u32,
    pub(super) balloon_mib: Option<u32>,
    pub(super) efi_disk: Option<EfiDisk>,
    pub(super) tpm: Option<TpmState>,
    pub(crate) drives: BTreeMap<Slot, Drive>,
    pub(crate) networks: BTreeMap<u8, NetworkDevice>,
    pub(super) boot_order: Option<BootOrder>,
    pub(super) agent: Option<Agent>,
    pub(super) smbios: Option<Smbios>,
    pub(super) tags: Tags,
    pub(super) description: Option<String>,
    pub(super) on_boot: Option<bool>,
    pub(super) pool: Option<String>,
    pub(super) other: BTreeMap<String, String>,
    pub(super) enrolls_keys: bool,
}

impl VmSpec {
    /// A Linux VM on a q35 machine with `virtio-scsi-single`, one core, 2048 MiB, legacy BIOS, no
    /// drives and no network. The name must be a DNS name; it need not be unique.
    pub fn new(id: VmId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            os_type: OsType::Linux,
            machine: Machine::new("q35"),
            bios: Bios::SeaBios,
            scsi_controller: ScsiController::VirtioScsiSingle,
            sockets: 1,
            cores: 1,
            cpu: None,
            memory_mib: 2048,
            balloon_mib: None,
            efi_disk: None,
            tpm: None,
            drives: BTreeMap::new(),
            networks: BTreeMap::new(),
            boot_order: None,
            agent: None,
            smbios: None,
            tags: Tags::default(),
            description: None,
            on_boot: None,
            pool: None,
            other: BTreeMap::new(),
            enrolls_keys: false,
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> VmId {
        self.id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same VM under another id, after `AlreadyExists`.
    pub fn with_id(mut self, id: VmId) -> Self {
        self.id = id;
        self
    }

    /// Cores per socket.
    pub fn cores(mut self, cores: u32) -> Self {
        self.cores = cores;
        self
    }

    /// Sockets.
    pub fn sockets(mut self, sockets: u32) -> Self {
        self.sockets = sockets;
        self
    }

    /// The CPU type, for example `x86-64-v2-AES` or `host`, with flags if need be.
    pub fn cpu(mut self, cpu: impl Into<String>) -> Self {
        self.cpu = Some(cpu.into());
        self
    }

    /// Memory in MiB.
    pub fn memory_mib(mut self, memory: u32) -> Self {
        self.memory_mib = memory;
        self
    }

    /// The least memory in MiB that ballooning leaves; 0 removes the device, which is right for
    /// Kubernetes nodes.
    pub fn balloon_mib(mut self, memory: u32) -> Self {
        self.balloon_mib = Some(memory);
        self
    }

    /// The machine type, for example `q35` or a pinned `pc-q35-9.2+pve1`.
    pub fn machine(mut self, machine: impl Into<Machine>) -> Self {
        self.machine = machine.into();
        self
    }

    /// The guest operating system.
    pub fn os_type(mut self, os_type: OsType) -> Self {
        self.os_type = os_type;
        self
    }

    /// The SCSI controller.
    pub fn scsi_controller(mut self, controller: ScsiController) -> Self {
        self.scsi_controller = controller;
        self
    }

    /// UEFI firmware with its variables on this disk.
    pub fn uefi(mut self, disk: EfiDisk) -> Self {
        self.bios = Bios::Ovmf;
        self.efi_disk = Some(disk);
        self
    }

    /// The firmware alone. UEFI without a disk for its variables forgets them at each power-off.
    pub fn bios(mut self, bios: Bios) -> Self {
        self.bios = bios;
        self
    }

    /// Demands that the image can enrol its own Secure Boot keys at the first start: UEFI, a 4m
    /// variable store, no keys in it yet, the image in a CD drive. Only checked, not sent.
    pub fn enrolls_secure_boot_keys(mut self) -> Self {
        self.enrolls_keys = true;
        self
    }

    /// A TPM.
    pub fn tpm(mut self, tpm: TpmState) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// A hard disk.
    pub fn disk(mut self, slot: Slot, disk: Disk) -> Self {
        self.drives.insert(slot, Drive::Disk(disk));
        self
    }

    /// A CD drive with this image in it.
    pub fn cdrom(mut self, slot: Slot, image: VolumeId) -> Self {
        self.drives.insert(slot, Drive::Cdrom(Cdrom::Image(image)));
        self
    }

    /// A CD drive without an image.
    pub fn empty_cdrom(mut self, slot: Slot) -> Self {
        self.drives.insert(slot, Drive::Cdrom(Cdrom::Empty));
        self
    }

    /// A network card, `net{index}`.
    pub fn network(mut self, index: u8, device: NetworkDevice) -> Self {
        self.networks.insert(index, device);
        self
    }

    /// Which devices the firmware tries, in this order.
    pub fn boot_order<D: Into<super::BootDevice>>(
        mut self,
        devices: impl IntoIterator<Item = D>,
    ) -> Self {
        self.boot_order = Some(BootOrder::new(devices));
        self
    }

    /// The guest agent.
    pub fn agent(mut self, agent: Agent) -> Self {
        self.agent = Some(agent);
        self
    }

    /// The SMBIOS identity.
    pub fn smbios(mut self, smbios: Smbios) -> Self {
        self.smbios = Some(smbios);
        self
    }

    /// The tags.
    pub fn tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// The description, at most 8192 characters of Markdown or HTML. Blanks at its end are lost.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Starts the VM together with the node.
    pub fn on_boot(mut self) -> Self {
        self.on_boot = Some(true);
        self
    }

    /// Does not start the VM together with the node, which is the server's default.
    pub fn not_on_boot(mut self) -> Self {
        self.on_boot = Some(false);
        self
    }

    /// The pool it becomes a member of.
    pub fn pool(mut self, pool: impl Into<String>) -> Self {
        self.pool = Some(pool.into());
        self
    }

    /// Any other option by the server's name. Those that have a setter here cannot be set so.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.insert(name.into(), value.into());
        self
    }

    /// The form fields of the creation, in a fixed order.
    pub(crate) fn to_params(&self) -> Vec<(String, String)> {
        let mut params = vec![
            ("vmid".to_owned(), self.id.to_string()),
            ("name".to_owned(), self.name.clone()),
            ("ostype".to_owned(), self.os_type.to_string()),
            ("machine".to_owned(), self.machine.to_string()),
            ("bios".to_owned(), self.bios.to_string()),
            ("scsihw".to_owned(), self.scsi_controller.to_string()),
            ("sockets".to_owned(), self.sockets.to_string()),
            ("cores".to_owned(), self.cores.to_string()),
            ("memory".to_owned(), self.memory_mib.to_string()),
        ];
        let mut add = |name: &str, value: Option<String>| {
            params.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("cpu", self.cpu.clone());
        add(
            "balloon",
            self.balloon_mib.as_ref().map(ToString::to_string),
        );
        add("efidisk0", self.efi_disk.as_ref().map(ToString::to_string));
        add("tpmstate0", self.tpm.as_ref().map(ToString::to_string));
        for (slot, drive) in &self.drives {
            add(&slot.to_string(), Some(drive.to_string()));
        }
        for (index, device) in &self.networks {
            add(&format!("net{index}"), Some(device.to_string()));
        }
        add("boot", self.boot_order.as_ref().map(ToString::to_string));
        add("agent", self.agent.as_ref().map(ToString::to_string));
        add("smbios1", self.smbios.as_ref().map(ToString::to_string));
        add(
            "tags",
            Some(self.tags.to_string()).filter(|tags| !tags.is_empty()),
        );
        add(
            "description",
            self.description.clone().filter(|text| !text.is_empty()),
        );
        add(
            "onboot",
            self.on_boot.map(|value| u8::from(value).to_string()),
        );
        add("pool", self.pool.clone());
        for (name, value) in &self.other {
            add(name, Some(value.clone()));
        }
        params
    }
}
