//! The Proxmox VE that a specification asks for.

use std::collections::{BTreeMap, BTreeSet};

use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{MockStorage, PveMock, PveMockBuilder};

use crate::error::Result;
use crate::spec::Spec;
use crate::spec::machine::Placement;

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
    let bridges: BTreeSet<&str> = spec
        .machines
        .iter()
        .map(|machine| machine.network.bridge.as_str())
        .collect();
    for bridge in bridges {
        builder = builder.bridge(bridge);
    }
    Ok(builder)
}

/// Every placement of the specification.
fn placements(spec: &Spec) -> impl Iterator<Item = &Placement> {
    std::iter::once(&spec.placement)
}

/// The nodes, each once. The first one is the one that clients contact.
fn nodes(spec: &Spec) -> Vec<&str> {
    let mut nodes = Vec::new();
    for placement in placements(spec) {
        if !nodes.contains(&placement.node.as_str()) {
            nodes.push(placement.node.as_str());
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

fn storages(spec: &Spec) -> BTreeMap<&str, Content> {
    let mut storages = BTreeMap::new();
    for placement in placements(spec) {
        for (name, content) in [
            (placement.storage.as_str(), Content::Disks),
            (placement.iso_storage.as_str(), Content::Images),
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
