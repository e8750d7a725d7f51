//! The form of a specification file: its sections and fields, as they are written and described.
//!
//! Reading goes through [`yaml`](super::yaml), which collects every finding. These types are what a
//! [`Spec`](super::Spec) is serialized to and what the JSON Schema and the table of fields come from; a test proves that
//! the reader knows the same fields.

mod convert;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::DEFAULT_MOUNT;
use crate::spec::machine::{ConfigDelivery, Disk, Efi, MachineSpec, Network, Role};
use crate::spec::release::TalosRelease;

/// A Talos Kubernetes cluster on Proxmox VE.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SpecDocument {
    /// The cluster itself.
    cluster: ClusterSection,
    /// The Talos release of the machines, unless a machine has a release of its own.
    talos: TalosSection,
    /// Where machines are placed.
    proxmox: ProxmoxSection,
    /// The machines, at least one; the number of control plane machines is odd.
    #[schemars(length(min = 1))]
    machines: Vec<MachineSection>,
    /// Where the secrets of the cluster are kept. Default: only in the output folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    openbao: Option<OpenBaoSection>,
    /// How the cluster is registered in Argo CD. Default: it is not registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    argocd: Option<ArgoCdSection>,
}

/// The cluster itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClusterSection {
    /// The name of the cluster, a DNS name.
    #[schemars(example = &"lungmen.akn")]
    name: String,
    /// The https URL of the Kubernetes API.
    #[schemars(example = &"https://kubernetes.example.org:6443")]
    endpoint: String,
}

/// The Talos release: ISO, installer image and configuration contract follow from it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TalosSection {
    /// A full Talos version, v1.10 to v1.14.
    #[schemars(example = &"1.10.7")]
    version: String,
    /// `amd64` or `arm64`. Default: `amd64`.
    #[schemars(default = "default_architecture")]
    architecture: String,
    /// A Talos platform. Default: `nocloud`, the one of Proxmox VE.
    #[schemars(default = "default_platform")]
    platform: String,
    /// Boots and installs the signed images. Default: false.
    #[schemars(default)]
    secure_boot: bool,
    /// Official system extensions; their order is part of the schematic ID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["siderolabs/qemu-guest-agent"])]
    extensions: Vec<String>,
    /// The schematic ID that the extensions must have, 64 hexadecimal digits. Default: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    schematic: Option<String>,
    /// A full Kubernetes version. Default: the one of the Talos release.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1.33.4")]
    kubernetes_version: Option<String>,
    /// The URL of an Image Factory. Default: the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://factory.example.org")]
    factory: Option<String>,
    /// Files with machine configuration patches for every machine, in order, relative to the specification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["cluster.patch.yaml"])]
    config_patches: Vec<String>,
}

/// The Proxmox VE node and storages of the machines, unless a machine has a placement of its own.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProxmoxSection {
    /// The URL of the Proxmox VE API. Default: the caller gives the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://pve-01.example.org:8006")]
    endpoint: Option<String>,
    /// The Proxmox node.
    #[schemars(example = &"pve-01")]
    node: String,
    /// The storage of the disks, with content type `images`.
    #[schemars(example = &"local-lvm")]
    storage: String,
    /// The storage of the ISO, with content type `iso`.
    #[schemars(example = &"local")]
    iso_storage: String,
    /// The storage of user data, with content type `snippets`. Needed for `configDelivery: userData`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"shared")]
    snippet_storage: Option<String>,
}

/// One machine: a Proxmox VE virtual machine that becomes a Talos node.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MachineSection {
    /// The name of the VM, a DNS name.
    #[schemars(example = &"tal01.example.org")]
    name: String,
    /// The VM id.
    #[schemars(range(min = 100, max = 999_999_999))]
    vm_id: u32,
    /// The address of the node once it is configured.
    #[schemars(example = &"10.0.2.10")]
    address: IpAddr,
    /// `controlplane` or `worker`. Default: `controlplane`.
    #[schemars(default = "default_role")]
    role: Role,
    /// CPU cores. Default: 4.
    #[schemars(default = "default_cores", range(min = 1))]
    cores: u32,
    /// Memory in MiB. Default: 8192.
    #[serde(rename = "memoryMiB")]
    #[schemars(default = "default_memory_mib", range(min = 1))]
    memory_mib: u64,
    /// The CPU model of the VM. Default: `x86-64-v2-AES`.
    #[schemars(default = "default_cpu")]
    cpu: String,
    /// The disks; the first one is the system disk. Default: one of 32 GiB.
    #[schemars(default = "default_disks")]
    disks: Vec<DiskSection>,
    /// Where this machine is placed. Default: as `proxmox` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<PlacementSection>,
    /// Where the Talos of this machine is another one. Default: as `talos` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    talos: Option<MachineTalosSection>,
    /// The first network device.
    network: NetworkSection,
    /// Further network devices, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    additional_networks: Vec<NetworkSection>,
    /// The first network device has the declared address from the first boot on, without DHCP. Default: DHCP at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    static_address: Option<StaticAddressSection>,
    /// How the machine gets its configuration for the first time: `maintenance` (over the network, in maintenance mode) or
    /// `userData` (on a drive of the VM, made from a file on the storage of user data). Default: `maintenance`.
    #[schemars(default)]
    config_delivery: ConfigDelivery,
    /// The variable store of the firmware: `4m` (needed for Secure Boot) or `2m`. Default: `4m`.
    #[schemars(default)]
    efi: Efi,
    /// Adds a TPM 2.0. Default: false.
    #[schemars(default)]
    tpm: bool,
    /// Uses the QEMU guest agent; needs the extension `siderolabs/qemu-guest-agent`. Default: true.
    #[schemars(default = "default_guest_agent")]
    guest_agent: bool,
    /// Tags of the VM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["talos-linux"])]
    tags: Vec<String>,
    /// Description of the VM; Proxmox VE shows Markdown and HTML.
    #[schemars(default)]
    description: String,
    /// The pool of Proxmox VE that the VM becomes a member of when it is created. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"talos")]
    pool: Option<String>,
    /// Starts the VM together with its Proxmox node. Default: not set at Proxmox VE, which does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_on_boot: Option<bool>,
    /// Any other option of the VM, by its name at Proxmox VE. Options that other fields set are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, example = BTreeMap::from([("hostpci0", "mapping=gpu,pcie=1")]))]
    options: BTreeMap<String, String>,
    /// Files with machine configuration patches for this machine, applied after those of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["tal01.patch.yaml"])]
    config_patches: Vec<String>,
}

/// Where a machine differs from the placement of its cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlacementSection {
    /// The Proxmox node. Default: `proxmox.node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"pve-02")]
    node: Option<String>,
    /// The storage of the disks. Default: `proxmox.storage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"local-lvm")]
    storage: Option<String>,
    /// The storage of the ISO. Default: `proxmox.isoStorage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"local")]
    iso_storage: Option<String>,
    /// The storage of user data. Default: `proxmox.snippetStorage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"shared")]
    snippet_storage: Option<String>,
}

/// Where a machine differs from the Talos release of its cluster. Machines with the same release share their images.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MachineTalosSection {
    /// A full Talos version, of the minor release of `talos.version` or of a later one. Default: `talos.version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1.10.9")]
    version: Option<String>,
    /// Boots and installs the signed images. Default: `talos.secureBoot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_boot: Option<bool>,
    /// Official system extensions, all of them; an empty list is none. Default: `talos.extensions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = ["siderolabs/qemu-guest-agent", "siderolabs/i915"])]
    extensions: Option<Vec<String>>,
    /// The schematic ID that the extensions must have, 64 hexadecimal digits. Default: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    schematic: Option<String>,
}

/// An address without DHCP, on a nocloud drive of the VM.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StaticAddressSection {
    /// The length of the network prefix of the declared address.
    #[schemars(range(min = 1, max = 128), example = 24)]
    prefix_length: u8,
    /// The gateway of the default route. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10.0.2.1")]
    gateway: Option<IpAddr>,
    /// The name servers. Default: those of the Proxmox node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["10.0.2.1"])]
    name_servers: Vec<String>,
    /// The DNS search domain. Default: that of the Proxmox node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"example.org")]
    search_domain: Option<String>,
}

/// One disk of a machine.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiskSection {
    /// Size in GiB.
    #[serde(rename = "sizeGiB")]
    #[schemars(range(min = 1), example = 32)]
    size_gib: u32,
    /// The guest sees an SSD. Default: false.
    #[schemars(default)]
    ssd: bool,
    /// The disk has its own I/O thread. Default: true.
    #[schemars(default = "default_io_thread")]
    io_thread: bool,
    /// Freed blocks are handed back to the storage. Default: false.
    #[schemars(default)]
    discard: bool,
}

/// A network device of a machine.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NetworkSection {
    /// The bridge or vnet on the Proxmox node.
    #[schemars(example = &"vmbr0")]
    bridge: String,
    /// VLAN tag. Default: untagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    vlan: Option<u16>,
    /// The Proxmox VE firewall filters the device. Default: false.
    #[schemars(default)]
    firewall: bool,
    /// The MAC address, for example for a DHCP reservation. Default: Proxmox VE makes one up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"BC:24:11:00:00:01")]
    mac: Option<String>,
    /// The MTU in bytes; 1 takes that of the bridge. Default: 1500.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65520))]
    mtu: Option<u16>,
    /// The number of packet queues. Default: one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    queues: Option<u8>,
}

/// A secret in OpenBao.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OpenBaoSection {
    /// The URL of the OpenBao server. Default: the caller gives the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://bao.example.org:8200")]
    address: Option<String>,
    /// The mount of a KV version 2 engine. Default: `secret`.
    #[schemars(default = "default_mount")]
    mount: String,
    /// The path of the secret below the mount.
    #[schemars(example = &"talos/lungmen.akn")]
    path: String,
}

/// The cluster in Argo CD.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArgoCdSection {
    /// The host or URL of the Argo CD server. Default: the caller gives the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"argocd.example.org")]
    server: Option<String>,
    /// The name of the cluster in Argo CD. Default: the name of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"lungmen.akn")]
    cluster_name: Option<String>,
    /// Labels of the cluster, each `key=value`; ApplicationSets select on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, example = ["environment=production"])]
    labels: Vec<String>,
}

fn default_architecture() -> String {
    TalosRelease::new("").architecture
}

fn default_platform() -> String {
    TalosRelease::new("").platform
}

fn default_role() -> Role {
    default_machine().role
}

fn default_cores() -> u32 {
    default_machine().cores
}

fn default_memory_mib() -> u64 {
    default_machine().memory_mib
}

fn default_cpu() -> String {
    default_machine().cpu
}

fn default_disks() -> Vec<DiskSection> {
    default_machine()
        .disks
        .iter()
        .map(DiskSection::from)
        .collect()
}

fn default_guest_agent() -> bool {
    default_machine().guest_agent
}

fn default_io_thread() -> bool {
    Disk::new(1).io_thread
}

fn default_mount() -> String {
    DEFAULT_MOUNT.into()
}

/// A machine with nothing but what is required.
fn default_machine() -> MachineSpec {
    MachineSpec::new("", 100, IpAddr::from([0, 0, 0, 0]), Network::new(""))
}
