//! The Proxmox VE that a specification asks for.

use std::collections::{BTreeMap, BTreeSet};

use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{MockStorage, PveMock, PveMockBuilder};

use crate::error::Result;
use crate::spec::Spec;
use crate::spec::machine::{MachineSpec, Placement};

/// Builder for a Proxmox VE with the nodes, storages and bridges that `spec` names, and nothing else.
///
/// # Errors
///
/// `InvalidSpec` when a name cannot be one of Proxmox VE.
pub(super) fn proxmox(spec: &Spec) -> Result<PveMockBuilder> {
    let mut builder = PveMock::builder();
    for node in nodes(spec) {
        builder = builder.node(NodeName::new(node)?);
    }
    for (name, content) in storages(spec) {
        let name = StorageName::new(name)?;
        builder = builder.storage(match content {
            Content::Disks => MockStorage::lvm_thin(name),
            Content::Images => MockStorage::directory(name, &["iso", "import"]),
            Content::Both => MockStorage::directory(name, &["iso", "import", "images"]),
        });
    }
    let machines = spec.machines.iter();
    let bridges: BTreeSet<&str> = machines
        .clone()
        .flat_map(MachineSpec::networks)
        .map(|network| network.bridge.as_str())
        .collect();
    for bridge in bridges {
        builder = builder.bridge(bridge);
    }
    let pools: BTreeSet<&str> = machines
        .filter_map(|machine| machine.pool.as_deref())
        .collect();
    for pool in pools {
        builder = builder.pool(pool);
    }
    Ok(builder)
}

/// The placement of the cluster, then those of its machines.
fn placements(spec: &Spec) -> impl Iterator<Item = Placement> {
    let machines = spec.machines.iter();
    let own = machines.map(|machine| machine.placement.within(&spec.placement));
    std::iter::once(spec.placement.clone()).chain(own)
}

/// The nodes, each once. The first one is the one that clients contact.
fn nodes(spec: &Spec) -> Vec<String> {
    let mut nodes = Vec::new();
    for placement in placements(spec) {
        if !nodes.contains(&placement.node) {
            nodes.push(placement.node);
        }
    }
    nodes
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Disks,
    Images,
    Both,
}

fn storages(spec: &Spec) -> BTreeMap<String, Content> {
    let mut storages = BTreeMap::new();
    for placement in placements(spec) {
        for (name, content) in [
            (placement.storage, Content::Disks),
            (placement.iso_storage, Content::Images),
        ] {
            storages
                .entry(name)
                .and_modify(|known| {
                    if *known != content {
                        *known = Content::Both;
                    }
                })
                .or_insert(content);
        }
    }
    storages
}
