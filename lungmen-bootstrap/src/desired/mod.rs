//! The desired cluster: a checked specification in the types of the clients.

mod check;
mod config;
pub(crate) mod nocloud;
mod options;
pub(crate) mod ownership;
pub(crate) mod release;
pub(crate) mod user_data;
mod vm;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::vm::{Smbios, VmSpec};
use talos_client::config::{ConfigPatch, VersionContract};
use url::Url;

use crate::desired::ownership::MachineUuid;
use crate::desired::release::{Iso, Release};
use crate::desired::user_data::Delivery;
use crate::error::Result;
use crate::spec::cluster_name::ClusterName;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::machine::{MachineSpec, Network, Role};
use crate::spec::{ArgoCdTarget, OpenBaoTarget};
use crate::state::artifacts::Artifact;
use crate::state::record::ClusterId;

pub(crate) use check::RawSpec;

/// What a run builds. It exists only for a valid specification.
#[derive(Debug, Clone)]
pub(crate) struct DesiredCluster {
    pub(crate) cluster: ClusterName,
    pub(crate) endpoint: Url,
    /// The release of the cluster, which decides the version contract. Machines may have others.
    pub(crate) release: Arc<Release>,
    pub(crate) kubernetes_version: String,
    pub(crate) machines: Vec<DesiredMachine>,
    pub(crate) patches: Vec<ConfigPatch>,
    pub(crate) components: Components,
    pub(crate) openbao: Option<OpenBaoTarget>,
    pub(crate) argocd: Option<ArgoCdTarget>,
    pub(crate) warnings: Vec<Diagnostic>,
    /// The addresses that patches name: a virtual address of the endpoint is one of them.
    pub(crate) patched_addresses: BTreeSet<IpAddr>,
}

/// A machine with the VM it becomes.
#[derive(Debug, Clone)]
pub(crate) struct DesiredMachine {
    pub(crate) spec: MachineSpec,
    pub(crate) place: Place,
    pub(crate) uuid: MachineUuid,
    pub(crate) vm: VmSpec,
    pub(crate) delivery: Delivery,
    pub(crate) release: Arc<Release>,
    /// The image that its configuration installs: that of its release, unless a patch names another one.
    pub(crate) installer: String,
    pub(crate) patches: Vec<ConfigPatch>,
}

/// Where a machine is at Proxmox VE.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) node: NodeName,
    pub(crate) storage: StorageName,
    pub(crate) iso_storage: StorageName,
}

/// A storage as one node sees it. Storages of the same name on two nodes are different ones, unless they are shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeStorage {
    pub(crate) node: NodeName,
    pub(crate) storage: StorageName,
}

impl fmt::Display for NodeStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on node {}", self.storage, self.node)
    }
}

/// Components of Kubernetes that the configuration switches off or brings along.
#[derive(Debug, Clone, Default)]
pub(crate) struct Components {
    pub(crate) cni: String,
    pub(crate) proxy_disabled: bool,
    pub(crate) coredns_disabled: bool,
    pub(crate) dns_domain: Option<String>,
}

impl DesiredCluster {
    /// The cluster with the VM identities that follow from its id.
    pub(crate) fn with_identity(&self, id: &ClusterId) -> Result<Self> {
        let mut desired = self.clone();
        for machine in &mut desired.machines {
            machine.uuid = MachineUuid::derive(id.as_str(), &machine.spec.name);
            let smbios = Smbios::with_uuid(&machine.uuid.to_string())?;
            machine.vm = machine.vm.clone().smbios(smbios);
        }
        Ok(desired)
    }

    /// The nodes that machines are on, in the order of the machines.
    pub(crate) fn nodes(&self) -> Vec<&NodeName> {
        let mut nodes = Vec::new();
        for machine in &self.machines {
            if !nodes.contains(&&machine.place.node) {
                nodes.push(&machine.place.node);
            }
        }
        nodes
    }

    /// The storages of the disks.
    pub(crate) fn disk_storages(&self) -> BTreeSet<NodeStorage> {
        self.storages(|place| &place.storage)
    }

    /// The storages of the ISO.
    pub(crate) fn iso_storages(&self) -> BTreeSet<NodeStorage> {
        self.storages(|place| &place.iso_storage)
    }

    /// The storages of user data.
    pub(crate) fn snippet_storages(&self) -> BTreeSet<&StorageName> {
        let machines = self.machines.iter();
        machines
            .filter_map(|machine| machine.delivery.storage())
            .collect()
    }

    /// The same storages with the nodes that read them.
    pub(crate) fn snippet_places(&self) -> BTreeSet<NodeStorage> {
        let machines = self.machines.iter();
        let places = machines.filter_map(|machine| {
            Some(NodeStorage {
                node: machine.place.node.clone(),
                storage: machine.delivery.storage()?.clone(),
            })
        });
        places.collect()
    }

    fn storages(&self, storage: impl Fn(&Place) -> &StorageName) -> BTreeSet<NodeStorage> {
        let places = self.machines.iter().map(|machine| &machine.place);
        places
            .map(|place| NodeStorage {
                node: place.node.clone(),
                storage: storage(place).clone(),
            })
            .collect()
    }

    /// The releases that machines run, in the order of the machines.
    pub(crate) fn releases(&self) -> Vec<&Arc<Release>> {
        let mut releases: Vec<&Arc<Release>> = Vec::new();
        for DesiredMachine { release, .. } in &self.machines {
            let is_known = |known: &&Arc<Release>| known.iso_file == release.iso_file;
            if !releases.iter().any(is_known) {
                releases.push(release);
            }
        }
        releases
    }

    /// The ISO of each release on each storage that one of its machines boots it from, in the order of the machines.
    pub(crate) fn isos(&self) -> Vec<Iso> {
        let mut isos = Vec::new();
        for machine in &self.machines {
            let iso = machine.iso();
            if !isos.contains(&iso) {
                isos.push(iso);
            }
        }
        isos
    }

    /// The volumes of the ISOs, in the order of the machines.
    pub(crate) fn iso_volumes(&self) -> Vec<String> {
        let mut volumes = Vec::new();
        for machine in &self.machines {
            let storage = &machine.place.iso_storage;
            let volume = format!("{storage}:iso/{}", machine.release.iso_file);
            if !volumes.contains(&volume) {
                volumes.push(volume);
            }
        }
        volumes
    }

    /// The contract that the configurations of all machines follow.
    pub(crate) fn contract(&self) -> VersionContract {
        self.release.version.contract()
    }

    pub(crate) fn control_planes(&self) -> impl Iterator<Item = &DesiredMachine> {
        self.machines
            .iter()
            .filter(|machine| machine.spec.role == Role::ControlPlane)
    }

    /// The control plane machine that is bootstrapped and asked first. A desired always has one.
    pub(crate) fn first_control_plane(&self) -> &DesiredMachine {
        self.control_planes().next().unwrap_or(&self.machines[0])
    }

    pub(crate) fn control_plane_addresses(&self) -> Vec<String> {
        self.control_planes()
            .map(|machine| machine.spec.address.to_string())
            .collect()
    }

    /// `controlplane.yaml` for the only machine of its role, `controlplane-tal01.yaml` among several.
    pub(crate) fn artifact_of(&self, machine: &DesiredMachine) -> Artifact {
        let role = machine.spec.role;
        let several = self
            .machines
            .iter()
            .filter(|other| other.spec.role == role)
            .count()
            > 1;
        Artifact::MachineConfig {
            role,
            host: several.then(|| machine.host().to_owned()),
        }
    }

    /// Every file of the output directory.
    pub(crate) fn artifacts(&self) -> Vec<Artifact> {
        std::iter::once(Artifact::Secrets)
            .chain(
                self.machines
                    .iter()
                    .map(|machine| self.artifact_of(machine)),
            )
            .chain([Artifact::Talosconfig, Artifact::Kubeconfig])
            .collect()
    }
}

impl DesiredMachine {
    /// The ISO that its VM boots first.
    pub(crate) fn iso(&self) -> Iso {
        Iso {
            release: Arc::clone(&self.release),
            at: NodeStorage {
                node: self.place.node.clone(),
                storage: self.place.iso_storage.clone(),
            },
        }
    }

    /// The VM in one line: processor, memory, disks, networks, firmware and place.
    pub(crate) fn hardware(&self) -> String {
        let Self { spec, place, .. } = self;
        let disks: Vec<String> = spec
            .disks
            .iter()
            .map(|disk| format!("{} GiB", disk.size_gib))
            .collect();
        let networks: Vec<String> = spec.networks().map(network).collect();
        let mut parts = vec![
            format!("{} cores of {}", spec.cores, spec.cpu),
            format!("{} MiB", spec.memory_mib),
            format!("disks {} on {}", disks.join(" + "), place.storage),
            networks.join(" + "),
            match self.release.is_secure_boot() {
                true => "UEFI with Secure Boot".to_owned(),
                false => "UEFI".to_owned(),
            },
        ];
        if spec.tpm {
            parts.push("TPM 2.0".to_owned());
        }
        if spec.guest_agent {
            parts.push("guest agent".to_owned());
        }
        parts.extend(spec.pool.iter().map(|pool| format!("pool {pool}")));
        let options = spec.options.iter();
        parts.extend(options.map(|(name, value)| format!("{name} {value}")));
        parts.push(format!("node {}", place.node));
        parts.join(", ")
    }

    /// The name up to its first dot.
    pub(crate) fn host(&self) -> &str {
        let name = self.spec.name.as_str();
        name.split_once('.').map_or(name, |(host, _)| host)
    }
}

fn network(network: &Network) -> String {
    let mut text = format!("bridge {}", network.bridge);
    if let Some(vlan) = network.vlan {
        text.push_str(&format!(" VLAN {vlan}"));
    }
    if let Some(mtu) = network.mtu {
        text.push_str(&format!(" MTU {mtu}"));
    }
    if network.firewall {
        text.push_str(" with firewall");
    }
    text
}
