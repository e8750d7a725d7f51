//! The state of the mock: nodes, storages, files, VMs.

mod record;
mod storage;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::auth::Accounts;
use super::cloud_init::CustomFiles;
use super::cluster::Datacenter;
use super::contract::Contract;
use super::directory::Directory;
use super::event::{Events, MockEvent};
use super::firewall::Firewall;
use super::ha::HighAvailability;
use super::pool::Pools;
use super::reply::Refusal;
use super::task::{TaskRecord, Timing};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::vm::guest::GuestInterface;

pub(super) use record::hex;
pub use record::{VmRecord, VolumeRecord};
pub use storage::MockStorage;

#[derive(Debug, Clone)]
pub(super) struct MockVm {
    pub(super) node: NodeName,
    /// The options in effect.
    pub(super) options: BTreeMap<String, String>,
    /// The options of the next start; `None` removes one.
    pub(super) pending: BTreeMap<String, Option<String>>,
    pub(super) running: bool,
    pub(super) paused: bool,
    pub(super) interfaces: Option<Vec<GuestInterface>>,
    /// The commands of the guest's agent, where a test sets them.
    pub(super) agent_commands: Option<Vec<String>>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    /// The snapshot from which the present state comes.
    pub(super) parent: Option<String>,
    pub(super) firewall: Firewall,
    /// What its cloud-init drive has in place of what the server makes.
    pub(super) cloud_init: CustomFiles,
}

impl MockVm {
    pub(super) fn new(node: NodeName, options: BTreeMap<String, String>) -> Self {
        Self {
            node,
            options,
            pending: BTreeMap::new(),
            running: false,
            paused: false,
            interfaces: None,
            agent_commands: None,
            snapshots: BTreeMap::new(),
            parent: None,
            firewall: Firewall::default(),
            cloud_init: CustomFiles::default(),
        }
    }

    /// The options with the pending ones in effect.
    pub(super) fn planned(&self) -> BTreeMap<String, String> {
        let mut options = self.options.clone();
        for (name, value) in &self.pending {
            match value {
                Some(value) => options.insert(name.clone(), value.clone()),
                None => options.remove(name),
            };
        }
        options
    }
}

/// A snapshot of a VM.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) options: BTreeMap<String, String>,
    pub(super) description: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) with_memory: bool,
    pub(super) time: u64,
}

/// A node of the mock.
#[derive(Debug, Clone)]
pub(super) struct MockNode {
    pub(super) name: NodeName,
    pub(super) online: bool,
}

/// A bridge of every node.
#[derive(Debug, Clone)]
pub(super) struct MockBridge {
    pub(super) name: String,
    pub(super) vlan_aware: bool,
    pub(super) port: Option<String>,
    pub(super) address: Option<String>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) contract: &'static Contract,
    pub(super) version: String,
    pub(super) nodes: Vec<MockNode>,
    pub(super) cpus: u32,
    /// How far the clocks of the nodes are behind that of this process.
    pub(super) clock_behind: std::time::Duration,
    pub(super) storages: Vec<MockStorage>,
    pub(super) bridges: Vec<MockBridge>,
    /// Network cards beside the one of the bridges.
    pub(super) cards: Vec<String>,
    pub(super) accounts: Accounts,
    pub(super) directory: Directory,
    pub(super) pools: Pools,
    pub(super) datacenter: Datacenter,
    pub(super) ha: HighAvailability,
    pub(super) volumes: BTreeMap<VolumeId, VolumeRecord>,
    /// What backups hold: the options of a VM.
    pub(super) backups: BTreeMap<VolumeId, BTreeMap<String, String>>,
    /// Files of storages that every node has for itself, on other nodes than the first one.
    pub(super) files_elsewhere: BTreeMap<(NodeName, VolumeId), VolumeRecord>,
    pub(super) vms: BTreeMap<VmId, MockVm>,
    pub(super) tasks: BTreeMap<String, TaskRecord>,
    pub(super) failing_tasks: VecDeque<String>,
    pub(super) timing: Timing,
    pub(super) events: Arc<Events>,
    pub(super) started_tasks: u32,
    /// No write succeeds while this is false.
    pub(super) quorate: bool,
}

impl State {
    pub(super) fn emit(&self, event: &MockEvent) {
        self.events.emit(event);
    }

    pub(super) fn major(&self) -> u32 {
        self.version
            .split('.')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(9)
    }

    /// Texts are in the answer's body since late 8.3.
    pub(super) fn texts_in_body(&self) -> bool {
        !["7.", "8.0", "8.1", "8.2", "8.3"]
            .iter()
            .any(|old| self.version.starts_with(old))
    }

    /// Writes fail while the cluster has no quorum.
    pub(super) fn require_quorum(&self) -> Result<(), Refusal> {
        match self.quorate {
            true => Ok(()),
            false => Err(Refusal::died("cluster not ready - no quorum?")),
        }
    }

    pub(super) fn is_offline(&self, name: &str) -> bool {
        self.nodes
            .iter()
            .any(|node| node.name.as_str() == name && !node.online)
    }

    /// A node by name; a name that no node has is looked up in vain.
    pub(super) fn node(&self, name: &str) -> Result<NodeName, Refusal> {
        self.nodes
            .iter()
            .find(|node| node.name.as_str() == name)
            .map(|node| node.name.clone())
            .ok_or_else(|| {
                Refusal::died(format!(
                    "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
                ))
            })
    }

    /// A configured storage.
    pub(super) fn storage(&self, name: &str) -> Result<&MockStorage, Refusal> {
        self.storages
            .iter()
            .find(|storage| storage.name.as_str() == name)
            .ok_or_else(|| Refusal::died(format!("storage '{name}' does not exist")))
    }

    /// A storage that this node can use.
    pub(super) fn usable_storage(
        &self,
        node: &NodeName,
        name: &str,
    ) -> Result<&MockStorage, Refusal> {
        let storage = self.storage(name)?;
        self.check_usable(node, storage).map_err(Refusal::died)?;
        Ok(storage)
    }

    /// A storage that this node can use, and that takes disks of VMs.
    pub(super) fn image_storage(
        &self,
        node: &NodeName,
        name: &str,
    ) -> Result<&MockStorage, Refusal> {
        let storage = self.usable_storage(node, name)?;
        match storage.supports("images") {
            true => Ok(storage),
            false => Err(Refusal::parameter(
                "storage",
                format!("storage '{name}' does not support vm images"),
            )),
        }
    }

    /// Why this node cannot use the storage.
    pub(super) fn check_usable(
        &self,
        node: &NodeName,
        storage: &MockStorage,
    ) -> Result<(), String> {
        let name = &storage.name;
        if storage.disabled {
            return Err(format!("storage '{name}' is disabled"));
        }
        if !storage.is_on(node) {
            return Err(format!(
                "storage '{name}' is not available on node '{node}'"
            ));
        }
        Ok(())
    }

    pub(super) fn vm(&self, node: &str, id: VmId) -> Result<&MockVm, Refusal> {
        self.vms
            .get(&id)
            .filter(|vm| vm.node.as_str() == node)
            .ok_or_else(|| Refusal::died(missing_vm(node, id)))
    }

    pub(super) fn record(&self, id: VmId) -> Option<VmRecord> {
        let vm = self.vms.get(&id)?;
        let config = super::vm_config::shown(self.contract, &vm.options);
        Some(VmRecord {
            id,
            node: vm.node.clone(),
            config: serde_json::from_value(config).ok()?,
            running: vm.running,
            user_data: vm.cloud_init.user.clone(),
            meta_data: vm.cloud_init.meta.clone(),
        })
    }

    pub(super) fn used(&self, storage: &StorageName) -> u64 {
        self.volumes
            .values()
            .filter(|volume| volume.id.storage() == *storage)
            .map(|volume| volume.size)
            .sum()
    }

    /// Adds a finished VM, on the first node unless another one is given.
    pub(super) fn add_vm(
        &mut self,
        node: Option<&NodeName>,
        id: VmId,
        options: &[(&str, &str)],
    ) -> Result<(), String> {
        let first = self.nodes.first().map(|node| &node.name);
        let node = node.or(first).ok_or("no node")?.clone();
        let given = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let options = super::vm_config::store(self, &node, id, &given)?.options;
        self.vms.insert(id, MockVm::new(node, options));
        self.emit(&MockEvent::VmCreated { vmid: id });
        Ok(())
    }

    /// The node that has the file for itself: storages of the same name are different ones unless they are shared. Disks
    /// bear the id of their VM, so that two nodes never have the same one.
    pub(super) fn owner_of(&self, node: &NodeName, id: &VolumeId) -> Option<NodeName> {
        let is_file = ["iso/", "import/", "vztmpl/", "snippets/"]
            .iter()
            .any(|folder| id.name().starts_with(folder));
        let storage = self.storage(id.storage().as_str()).ok()?;
        let first = &self.nodes.first()?.name;
        let is_own = storage.holds_files() && !storage.shared && storage.is_on(first);
        (is_file && is_own && node != first).then(|| node.clone())
    }

    /// The volume as this node sees it.
    pub(super) fn volume_on(&self, node: &NodeName, id: &VolumeId) -> Option<&VolumeRecord> {
        match self.owner_of(node, id) {
            Some(owner) => self.files_elsewhere.get(&(owner, id.clone())),
            None => self.volumes.get(id),
        }
    }

    /// Removes the volume that this node sees.
    pub(super) fn remove_volume(&mut self, node: &NodeName, id: &VolumeId) -> Option<VolumeRecord> {
        super::snippets::remove_file(self, id);
        match self.owner_of(node, id) {
            Some(owner) => self.files_elsewhere.remove(&(owner, id.clone())),
            None => self.volumes.remove(id),
        }
    }

    /// Puts a file onto the storage of this node.
    pub(super) fn add_file(
        &mut self,
        node: &NodeName,
        mut volume: VolumeRecord,
    ) -> Result<(), String> {
        volume.node = self.owner_of(node, &volume.id);
        self.add_volume(volume)
    }

    /// Puts a file or disk onto its storage.
    pub(super) fn add_volume(&mut self, volume: VolumeRecord) -> Result<(), String> {
        let storage = self
            .storage(volume.id.storage().as_str())
            .map_err(|_| format!("storage '{}' does not exist", volume.id.storage()))?
            .clone();
        if self.used(&storage.name) + volume.size > storage.size {
            return Err(full(&storage, &volume));
        }
        let is_file = volume.vmid.is_none();
        let id = volume.id.clone();
        match volume.node.clone() {
            Some(owner) => self.files_elsewhere.insert((owner, id.clone()), volume),
            None => self.volumes.insert(id.clone(), volume),
        };
        if is_file {
            self.emit(&MockEvent::VolumeAdded { volume: id });
        }
        Ok(())
    }
}

fn full(storage: &MockStorage, volume: &VolumeRecord) -> String {
    let name = volume.id.name();
    if storage.holds_files() {
        return format!("unable to write '{name}' - No space left on device");
    }
    format!(
        "lvcreate '{group}/{name}' error:   Volume group \"{group}\" has insufficient free space",
        group = storage.name
    )
}

pub(super) fn missing_vm(node: &str, id: VmId) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{id}.conf' does not exist")
}
