//! The desired virtual machines of a cluster.

mod delivery;
mod hardware;
mod placement;
mod role;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::spec::patch::PatchSource;
use crate::spec::release::MachineRelease;

pub use delivery::ConfigDelivery;
pub use hardware::{Disk, Efi, Network};
pub use placement::{MachinePlacement, Placement, StaticAddress};
pub use role::{Role, UnknownWord};

/// One machine of the cluster: a Proxmox VM that becomes a Talos node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineSpec {
    pub(crate) name: String,
    pub(crate) vm_id: u32,
    pub(crate) address: IpAddr,
    pub(crate) role: Role,
    pub(crate) cores: u32,
    pub(crate) memory_mib: u64,
    pub(crate) cpu: String,
    pub(crate) disks: Vec<Disk>,
    pub(crate) placement: MachinePlacement,
    pub(crate) release: MachineRelease,
    pub(crate) network: Network,
    pub(crate) additional_networks: Vec<Network>,
    pub(crate) static_address: Option<StaticAddress>,
    pub(crate) config_delivery: ConfigDelivery,
    pub(crate) efi: Efi,
    pub(crate) tpm: bool,
    pub(crate) guest_agent: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) description: String,
    pub(crate) pool: Option<String>,
    pub(crate) start_on_boot: Option<bool>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) patches: Vec<PatchSource>,
}

impl MachineSpec {
    /// A control plane machine `name` (a DNS name) with VM id `vm_id`, reachable under `address` once it is
    /// configured: 4 cores, 8192 MiB, `x86-64-v2-AES`, one 32 GiB disk, guest agent on.
    #[must_use]
    pub fn new(name: impl Into<String>, vm_id: u32, address: IpAddr, network: Network) -> Self {
        Self {
            name: name.into(),
            vm_id,
            address,
            role: Role::ControlPlane,
            cores: 4,
            memory_mib: 8192,
            cpu: "x86-64-v2-AES".into(),
            disks: vec![Disk::new(32)],
            placement: MachinePlacement::default(),
            release: MachineRelease::default(),
            network,
            additional_networks: Vec::new(),
            static_address: None,
            config_delivery: ConfigDelivery::default(),
            efi: Efi::FourMib,
            tpm: false,
            guest_agent: true,
            tags: Vec::new(),
            description: String::new(),
            pool: None,
            start_on_boot: None,
            options: BTreeMap::new(),
            patches: Vec::new(),
        }
    }

    /// What the node does in the cluster.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Number of CPU cores.
    #[must_use]
    pub const fn cores(mut self, cores: u32) -> Self {
        self.cores = cores;
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub const fn memory_mib(mut self, memory_mib: u64) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// The CPU model of the VM.
    #[must_use]
    pub fn cpu(mut self, cpu: impl Into<String>) -> Self {
        self.cpu = cpu.into();
        self
    }

    /// All disks; the first one is the system disk.
    #[must_use]
    pub fn disks(mut self, disks: impl IntoIterator<Item = Disk>) -> Self {
        self.disks = disks.into_iter().collect();
        self
    }

    /// The Proxmox node, when it is not that of the cluster.
    #[must_use]
    pub fn on_node(mut self, node: impl Into<String>) -> Self {
        self.placement.node = Some(node.into());
        self
    }

    /// The storage of the disks, when it is not that of the cluster.
    #[must_use]
    pub fn storage(mut self, storage: impl Into<String>) -> Self {
        self.placement.storage = Some(storage.into());
        self
    }

    /// The storage of the ISO, when it is not that of the cluster.
    #[must_use]
    pub fn iso_storage(mut self, storage: impl Into<String>) -> Self {
        self.placement.iso_storage = Some(storage.into());
        self
    }

    /// The full Talos version, when it is not that of the cluster: of the same minor release or of a later one.
    #[must_use]
    pub fn talos_version(mut self, version: impl Into<String>) -> Self {
        self.release.version = Some(version.into());
        self
    }

    /// The official system extensions, in this order, instead of those of the cluster.
    #[must_use]
    pub fn extensions<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.release.extensions = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Boots and installs the signed images, whatever the cluster does.
    #[must_use]
    pub const fn secure_boot(mut self) -> Self {
        self.release.secure_boot = Some(true);
        self
    }

    /// Boots and installs the images without signature, whatever the cluster does.
    #[must_use]
    pub const fn without_secure_boot(mut self) -> Self {
        self.release.secure_boot = Some(false);
        self
    }

    /// The schematic ID that the extensions of the machine must have. A different one is refused before anything is touched.
    #[must_use]
    pub fn pinned_schematic(mut self, id: impl Into<String>) -> Self {
        self.release.pinned_schematic = Some(id.into());
        self
    }

    /// The storage of user data, when it is not that of the cluster.
    #[must_use]
    pub fn snippet_storage(mut self, storage: impl Into<String>) -> Self {
        self.placement.snippet_storage = Some(storage.into());
        self
    }

    /// Adds a network device after the first one; repeatable.
    #[must_use]
    pub fn additional_network(mut self, network: Network) -> Self {
        self.additional_networks.push(network);
        self
    }

    /// Gives the first network device the declared address from the first boot on, without DHCP.
    #[must_use]
    pub fn static_address(mut self, address: StaticAddress) -> Self {
        self.static_address = Some(address);
        self
    }

    /// How the machine gets its configuration for the first time. User data needs a storage for snippets, and its folder
    /// ([`ClusterBootstrapBuilder::snippets`](crate::ClusterBootstrapBuilder::snippets)).
    #[must_use]
    pub const fn config_delivery(mut self, delivery: ConfigDelivery) -> Self {
        self.config_delivery = delivery;
        self
    }

    /// The pool of Proxmox VE that the VM becomes a member of. Only the creation of the VM sets it.
    #[must_use]
    pub fn pool(mut self, pool: impl Into<String>) -> Self {
        self.pool = Some(pool.into());
        self
    }

    /// Starts the VM together with its Proxmox node.
    #[must_use]
    pub const fn start_on_boot(mut self) -> Self {
        self.start_on_boot = Some(true);
        self
    }

    /// Any other option of the VM by its name at Proxmox VE, such as `hostpci0`. An option that another field sets is
    /// refused when the specification is checked.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// The variable store of the firmware.
    #[must_use]
    pub const fn efi(mut self, efi: Efi) -> Self {
        self.efi = efi;
        self
    }

    /// Adds a TPM 2.0. It cannot be changed later.
    #[must_use]
    pub const fn tpm(mut self) -> Self {
        self.tpm = true;
        self
    }

    /// Switches the QEMU guest agent off; the declared address is then the only one that is tried.
    #[must_use]
    pub const fn without_guest_agent(mut self) -> Self {
        self.guest_agent = false;
        self
    }

    /// The tags of the VM.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// The description of the VM; Proxmox VE shows Markdown and HTML.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// A machine configuration patch for this machine only; repeatable, applied after those of the cluster.
    #[must_use]
    pub fn config_patch(mut self, patch: PatchSource) -> Self {
        self.patches.push(patch);
        self
    }

    /// The address of the machine.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the VM has a cloud-init drive, which Talos reads at every boot.
    pub(crate) fn has_nocloud_drive(&self) -> bool {
        self.static_address.is_some() || self.config_delivery == ConfigDelivery::UserData
    }

    /// The first network device and the additional ones, in order.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &Network> {
        std::iter::once(&self.network).chain(&self.additional_networks)
    }

    /// The same machine at another address.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
