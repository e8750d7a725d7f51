//! The desired virtual machines of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::patch::PatchSource;

/// What a node does in the cluster.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane.
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

impl Role {
    /// The name Talos gives the role: `controlplane` or `worker`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not one of the words that are allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of {allowed}")]
pub struct UnknownWord {
    text: String,
    allowed: &'static str,
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "controlplane" => Ok(Self::ControlPlane),
            "worker" => Ok(Self::Worker),
            _ => Err(UnknownWord {
                text: text.to_owned(),
                allowed: "controlplane, worker",
            }),
        }
    }
}

/// The variable store of the firmware.
///
/// Only [`Efi::FourMib`] has Secure Boot variables; Proxmox VE itself defaults to 2m when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
#[non_exhaustive]
pub enum Efi {
    /// `efitype=4m`, in setup mode so that Talos enrolls its own keys.
    #[default]
    #[serde(rename = "4m")]
    FourMib,
    /// `efitype=2m`: no Secure Boot.
    #[serde(rename = "2m")]
    TwoMib,
}

impl FromStr for Efi {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "4m" => Ok(Self::FourMib),
            "2m" => Ok(Self::TwoMib),
            _ => Err(UnknownWord {
                text: text.to_owned(),
                allowed: "4m, 2m",
            }),
        }
    }
}

/// One disk of a machine. The first one is the system disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Disk {
    /// Size in GiB.
    pub size_gib: u32,
    /// Whether the guest sees an SSD.
    pub ssd: bool,
    /// Whether the disk has its own I/O thread.
    pub io_thread: bool,
    /// Whether freed blocks are handed back to the storage.
    pub discard: bool,
}

impl Disk {
    /// A disk of `size_gib` GiB with its own I/O thread.
    #[must_use]
    pub const fn new(size_gib: u32) -> Self {
        Self {
            size_gib,
            ssd: false,
            io_thread: true,
            discard: false,
        }
    }

    /// The guest sees an SSD.
    #[must_use]
    pub const fn ssd(mut self) -> Self {
        self.ssd = true;
        self
    }

    /// The disk shares the I/O thread of the machine.
    #[must_use]
    pub const fn without_io_thread(mut self) -> Self {
        self.io_thread = false;
        self
    }

    /// Freed blocks are handed back to the storage.
    #[must_use]
    pub const fn discard(mut self) -> Self {
        self.discard = true;
        self
    }
}

/// A network device of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Network {
    /// The bridge or vnet on the Proxmox node.
    pub bridge: String,
    /// VLAN tag, 1 to 4094.
    pub vlan: Option<u16>,
    /// Whether the Proxmox firewall filters the device.
    pub firewall: bool,
    /// The MAC address; `None` lets Proxmox VE make one up, which the VM keeps.
    pub mac: Option<String>,
    /// The MTU in bytes, 1 for that of the bridge; `None` is Proxmox VE's default, 1500.
    pub mtu: Option<u16>,
    /// The number of packet queues, 1 to 64; `None` is one queue.
    pub queues: Option<u8>,
}

impl Network {
    /// An untagged virtio device on `bridge`.
    #[must_use]
    pub fn new(bridge: impl Into<String>) -> Self {
        Self {
            bridge: bridge.into(),
            vlan: None,
            firewall: false,
            mac: None,
            mtu: None,
            queues: None,
        }
    }

    /// Tags the traffic with VLAN `tag`.
    #[must_use]
    pub const fn vlan(mut self, tag: u16) -> Self {
        self.vlan = Some(tag);
        self
    }

    /// Lets the Proxmox firewall filter the device.
    #[must_use]
    pub const fn firewall(mut self) -> Self {
        self.firewall = true;
        self
    }

    /// Gives the device this MAC address, `BC:24:11:00:00:01`, for example for a DHCP reservation.
    #[must_use]
    pub fn mac(mut self, mac: impl Into<String>) -> Self {
        self.mac = Some(mac.into());
        self
    }

    /// Sets the MTU in bytes; 1 takes that of the bridge.
    #[must_use]
    pub const fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Sets the number of packet queues.
    #[must_use]
    pub const fn queues(mut self, queues: u8) -> Self {
        self.queues = Some(queues);
        self
    }
}

/// How a machine gets its declared address without DHCP: Proxmox VE writes it to a nocloud drive, which Talos reads at every
/// boot, before it has a configuration too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaticAddress {
    /// The length of the network prefix, 24 for a network of 256 IPv4 addresses.
    pub prefix_length: u8,
    /// The gateway of the default route.
    pub gateway: Option<IpAddr>,
    /// The name servers; none leaves those of the Proxmox node.
    pub name_servers: Vec<IpAddr>,
    /// The DNS search domain. Talos reads it from v1.11 on.
    pub search_domain: Option<String>,
}

impl StaticAddress {
    /// The declared address in a network with this prefix length, without a gateway.
    #[must_use]
    pub const fn new(prefix_length: u8) -> Self {
        Self {
            prefix_length,
            gateway: None,
            name_servers: Vec::new(),
            search_domain: None,
        }
    }

    /// The gateway of the default route.
    #[must_use]
    pub const fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// Adds a name server.
    #[must_use]
    pub fn name_server(mut self, address: IpAddr) -> Self {
        self.name_servers.push(address);
        self
    }

    /// The DNS search domain.
    #[must_use]
    pub fn search_domain(mut self, domain: impl Into<String>) -> Self {
        self.search_domain = Some(domain.into());
        self
    }
}

/// Where machines are placed on Proxmox VE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Placement {
    /// The Proxmox node.
    pub node: String,
    /// The storage of the disks (content type `images`).
    pub storage: String,
    /// The storage of the ISO (content type `iso`).
    pub iso_storage: String,
}

impl Placement {
    /// Machines on `node`, their disks on `storage`, the ISO on `iso_storage`.
    #[must_use]
    pub fn new(
        node: impl Into<String>,
        storage: impl Into<String>,
        iso_storage: impl Into<String>,
    ) -> Self {
        Self {
            node: node.into(),
            storage: storage.into(),
            iso_storage: iso_storage.into(),
        }
    }
}

/// Where one machine differs from the placement of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MachinePlacement {
    /// Another Proxmox node.
    pub node: Option<String>,
    /// Another storage of the disks.
    pub storage: Option<String>,
    /// Another storage of the ISO.
    pub iso_storage: Option<String>,
}

impl MachinePlacement {
    /// The placement of the machine, given that of its cluster.
    #[must_use]
    pub fn within(&self, cluster: &Placement) -> Placement {
        let own = |own: &Option<String>, shared: &String| own.as_ref().unwrap_or(shared).clone();
        Placement {
            node: own(&self.node, &cluster.node),
            storage: own(&self.storage, &cluster.storage),
            iso_storage: own(&self.iso_storage, &cluster.iso_storage),
        }
    }
}

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
    pub(crate) network: Network,
    pub(crate) additional_networks: Vec<Network>,
    pub(crate) static_address: Option<StaticAddress>,
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
            network,
            additional_networks: Vec::new(),
            static_address: None,
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
