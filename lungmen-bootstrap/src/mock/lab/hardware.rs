//! The Proxmox VE that specifications ask for.

use std::collections::{BTreeMap, BTreeSet};

use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{MockStorage, PveMock, PveMockBuilder};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::spec::Spec;
use crate::spec::machine::{MachineSpec, Placement};

/// The places of a Proxmox VE. They outlive the specification that asked for them: a machine that left it still has its disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Places {
    /// Each once. The first one is the one that clients contact.
    nodes: Vec<String>,
    storages: BTreeMap<String, Content>,
    bridges: BTreeSet<String>,
    pools: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    Disks,
    Images,
    Both,
}

impl Places {
    /// The places that a specification names.
    pub(super) fn of(spec: &Spec) -> Self {
        let mut places = Self::default();
        for placement in placements(spec) {
            places.add_node(placement.node);
            places.add_storage(placement.storage, Content::Disks);
            places.add_storage(placement.iso_storage, Content::Images);
        }
        let machines = spec.machines.iter();
        let networks = machines.clone().flat_map(MachineSpec::networks);
        places.bridges = networks.map(|network| network.bridge.clone()).collect();
        places.pools = machines
            .filter_map(|machine| machine.pool.clone())
            .collect();
        places
    }

    /// These places, and those of an earlier time.
    pub(super) fn and(mut self, earlier: Self) -> Self {
        for node in earlier.nodes {
            self.add_node(node);
        }
        for (name, content) in earlier.storages {
            self.add_storage(name, content);
        }
        self.bridges.extend(earlier.bridges);
        self.pools.extend(earlier.pools);
        self
    }

    fn add_node(&mut self, node: String) {
        if !self.nodes.contains(&node) {
            self.nodes.push(node);
        }
    }

    fn add_storage(&mut self, name: String, content: Content) {
        let known = self.storages.entry(name).or_insert(content);
        if *known != content {
            *known = Content::Both;
        }
    }

    /// Builder for a Proxmox VE with these places, and nothing else.
    ///
    /// # Errors
    ///
    /// `InvalidSpec` when a name cannot be one of Proxmox VE.
    pub(super) fn proxmox(&self) -> Result<PveMockBuilder> {
        let mut builder = PveMock::builder();
        for node in &self.nodes {
            builder = builder.node(NodeName::new(node.as_str())?);
        }
        for (name, content) in &self.storages {
            let name = StorageName::new(name.as_str())?;
            builder = builder.storage(match content {
                Content::Disks => MockStorage::lvm_thin(name),
                Content::Images => MockStorage::directory(name, &["iso", "import"]),
                Content::Both => MockStorage::directory(name, &["iso", "import", "images"]),
            });
        }
        for bridge in &self.bridges {
            builder = builder.bridge(bridge);
        }
        for pool in &self.pools {
            builder = builder.pool(pool);
        }
        Ok(builder)
    }
}

/// The placement of the cluster, then those of its machines.
fn placements(spec: &Spec) -> impl Iterator<Item = Placement> {
    let machines = spec.machines.iter();
    let own = machines.map(|machine| machine.placement.within(&spec.placement));
    std::iter::once(spec.placement.clone()).chain(own)
}
