//! From a [`Spec`] to the form of its file.

use super::{
    ArgoCdSection, ClusterSection, DiskSection, MachineSection, MachineTalosSection,
    NetworkSection, OpenBaoSection, PlacementSection, ProxmoxSection, SpecDocument,
    StaticAddressSection, TalosSection,
};
use crate::spec::machine::{Disk, MachinePlacement, MachineSpec, Network, StaticAddress};
use crate::spec::patch::PatchSource;
use crate::spec::release::MachineRelease;
use crate::spec::{ArgoCdTarget, OpenBaoTarget, Spec};

impl From<&Spec> for SpecDocument {
    fn from(spec: &Spec) -> Self {
        Self {
            cluster: ClusterSection {
                name: spec.name.clone(),
                endpoint: spec.endpoint.clone(),
            },
            talos: TalosSection::of(spec),
            proxmox: ProxmoxSection {
                endpoint: spec.proxmox_endpoint.as_ref().map(ToString::to_string),
                node: spec.placement.node.clone(),
                storage: spec.placement.storage.clone(),
                iso_storage: spec.placement.iso_storage.clone(),
                snippet_storage: spec.placement.snippet_storage.clone(),
            },
            machines: spec.machines.iter().map(MachineSection::from).collect(),
            openbao: spec.openbao.as_ref().map(OpenBaoSection::from),
            argocd: spec.argocd.as_ref().map(ArgoCdSection::from),
        }
    }
}

impl TalosSection {
    fn of(spec: &Spec) -> Self {
        let release = &spec.release;
        Self {
            version: release.version.clone(),
            architecture: release.architecture.clone(),
            platform: release.platform.clone(),
            secure_boot: release.secure_boot,
            extensions: release.extensions.clone(),
            schematic: release.pinned_schematic.clone(),
            kubernetes_version: release.kubernetes_version.clone(),
            factory: spec.factory.as_ref().map(ToString::to_string),
            config_patches: origins(&spec.patches),
        }
    }
}

impl From<&MachineSpec> for MachineSection {
    fn from(machine: &MachineSpec) -> Self {
        Self {
            name: machine.name.clone(),
            vm_id: machine.vm_id,
            address: machine.address,
            role: machine.role,
            cores: machine.cores,
            memory_mib: machine.memory_mib,
            cpu: machine.cpu.clone(),
            disks: machine.disks.iter().map(DiskSection::from).collect(),
            placement: PlacementSection::of(&machine.placement),
            talos: MachineTalosSection::of(&machine.release),
            network: NetworkSection::from(&machine.network),
            additional_networks: machine
                .additional_networks
                .iter()
                .map(NetworkSection::from)
                .collect(),
            static_address: machine
                .static_address
                .as_ref()
                .map(StaticAddressSection::from),
            config_delivery: machine.config_delivery,
            efi: machine.efi,
            tpm: machine.tpm,
            guest_agent: machine.guest_agent,
            tags: machine.tags.clone(),
            description: machine.description.clone(),
            pool: machine.pool.clone(),
            start_on_boot: machine.start_on_boot,
            options: machine.options.clone(),
            config_patches: origins(&machine.patches),
        }
    }
}

impl From<&Disk> for DiskSection {
    fn from(disk: &Disk) -> Self {
        Self {
            size_gib: disk.size_gib,
            ssd: disk.ssd,
            io_thread: disk.io_thread,
            discard: disk.discard,
        }
    }
}

impl From<&Network> for NetworkSection {
    fn from(network: &Network) -> Self {
        Self {
            bridge: network.bridge.clone(),
            vlan: network.vlan,
            firewall: network.firewall,
            mac: network.mac.clone(),
            mtu: network.mtu,
            queues: network.queues,
        }
    }
}

impl PlacementSection {
    /// `None` for a machine that is placed as its cluster.
    fn of(placement: &MachinePlacement) -> Option<Self> {
        (*placement != MachinePlacement::default()).then(|| Self {
            node: placement.node.clone(),
            storage: placement.storage.clone(),
            iso_storage: placement.iso_storage.clone(),
            snippet_storage: placement.snippet_storage.clone(),
        })
    }
}

impl MachineTalosSection {
    /// `None` for a machine with the release of its cluster.
    fn of(release: &MachineRelease) -> Option<Self> {
        (*release != MachineRelease::default()).then(|| Self {
            version: release.version.clone(),
            secure_boot: release.secure_boot,
            extensions: release.extensions.clone(),
            schematic: release.pinned_schematic.clone(),
        })
    }
}

impl From<&StaticAddress> for StaticAddressSection {
    fn from(address: &StaticAddress) -> Self {
        Self {
            prefix_length: address.prefix_length,
            gateway: address.gateway,
            name_servers: address
                .name_servers
                .iter()
                .map(ToString::to_string)
                .collect(),
            search_domain: address.search_domain.clone(),
        }
    }
}

impl From<&OpenBaoTarget> for OpenBaoSection {
    fn from(target: &OpenBaoTarget) -> Self {
        Self {
            address: target.address.as_ref().map(ToString::to_string),
            mount: target.mount.clone(),
            path: target.path.clone(),
        }
    }
}

impl From<&ArgoCdTarget> for ArgoCdSection {
    fn from(target: &ArgoCdTarget) -> Self {
        let labels = target.labels.iter();
        Self {
            server: target.server.clone(),
            cluster_name: Some(target.cluster_name.clone()),
            labels: labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        }
    }
}

/// The file names of patches. Their texts are not written: a patch may hold secrets.
fn origins(patches: &[PatchSource]) -> Vec<String> {
    patches
        .iter()
        .map(|patch| patch.origin().to_owned())
        .collect()
}
