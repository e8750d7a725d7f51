//! The Proxmox VE that specifications ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    /// Storages for snippets.
    snippets: BTreeSet<String>,
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
            places.snippets.extend(placement.snippet_storage);
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
        self.snippets.extend(earlier.snippets);
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

    fn storage(&self, name: &str) -> Result<MockStorage> {
        let has_snippets = self.snippets.contains(name);
        let content: &[&str] = match self.storages.get(name) {
            Some(Content::Disks) if !has_snippets => {
                return Ok(MockStorage::lvm_thin(StorageName::new(name)?));
            }
            Some(Content::Disks) => &["images"],
            Some(Content::Images) => &["iso", "import"],
            Some(Content::Both) => &["iso", "import", "images"],
            // What is written in one folder is read by every node.
            None => {
                let name = StorageName::new(name)?;
                return Ok(MockStorage::directory(name, &["snippets"]).shared());
            }
        };
        let snippets = has_snippets.then_some("snippets");
        let content: Vec<&str> = content.iter().copied().chain(snippets).collect();
        Ok(MockStorage::directory(StorageName::new(name)?, &content))
    }

    /// Builder for a Proxmox VE with these places, and nothing else. `folders` are those of storages for snippets.
    ///
    /// # Errors
    ///
    /// `InvalidSpec` when a name cannot be one of Proxmox VE.
    pub(super) fn proxmox(&self, folders: &BTreeMap<String, PathBuf>) -> Result<PveMockBuilder> {
        let mut builder = PveMock::builder();
        for node in &self.nodes {
            builder = builder.node(NodeName::new(node.as_str())?);
        }
        let names: BTreeSet<&String> = self.storages.keys().chain(&self.snippets).collect();
        for name in names {
            let storage = self.storage(name)?;
            builder = builder.storage(match folders.get(name) {
                Some(folder) => storage.snippets_in(folder),
                None => storage,
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
