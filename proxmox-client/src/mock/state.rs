//! The world behind the mock: nodes, storages, files, VMs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use url::Url;

use super::auth::Accounts;
use super::contract::Contract;
use super::event::{Events, MockEvent};
use super::reply::Refusal;
use super::task::{TaskRecord, Timing};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::vm::VmConfig;
use crate::vm::guest::GuestInterface;

/// A storage of the mock: name, plug-in, content types and size.
#[derive(Debug, Clone)]
#[must_use = "a storage does nothing until it is given to the mock's builder"]
pub struct MockStorage {
    pub(super) name: StorageName,
    pub(super) kind: String,
    pub(super) content: Vec<String>,
    pub(super) size: u64,
}

impl MockStorage {
    /// A directory for these content types (`iso`, `import`, `images`), of 100 GiB.
    pub fn directory(name: StorageName, content: &[&str]) -> Self {
        Self::new(name, "dir", content)
    }

    /// An LVM-thin pool for VM disks, of 1 TiB.
    pub fn lvm_thin(name: StorageName) -> Self {
        Self {
            size: 1 << 40,
            ..Self::new(name, "lvmthin", &["images", "rootdir"])
        }
    }

    fn new(name: StorageName, kind: &str, content: &[&str]) -> Self {
        let content = content.iter().map(|word| (*word).to_owned()).collect();
        Self {
            name,
            kind: kind.to_owned(),
            content,
            size: 100 << 30,
        }
    }

    /// Another size in bytes; what does not fit makes the task fail.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }

    pub(super) fn holds_files(&self) -> bool {
        self.kind == "dir"
    }

    pub(super) fn supports(&self, content: &str) -> bool {
        self.content.iter().any(|word| word == content)
    }
}

/// A file or disk on a storage of the mock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VolumeRecord {
    /// The volume.
    pub id: VolumeId,
    /// `iso`, `import`, `vztmpl` or `images`.
    pub content: String,
    /// Size in bytes.
    pub size: u64,
    /// The VM that a disk belongs to.
    pub vmid: Option<VmId>,
    /// The bytes of a file; empty for disks.
    pub body: Bytes,
    /// The SHA-256 of the bytes in hexadecimal digits.
    pub sha256: String,
    /// Where the node fetched it from; `None` for uploads and disks.
    pub origin: Option<Url>,
}

impl VolumeRecord {
    pub(super) fn file(id: VolumeId, content: &str, body: Bytes, origin: Option<Url>) -> Self {
        Self {
            id,
            content: content.to_owned(),
            size: body.len() as u64,
            vmid: None,
            sha256: hex(&Sha256::digest(&body)),
            body,
            origin,
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A VM of the mock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VmRecord {
    /// The id.
    pub id: VmId,
    /// The node.
    pub node: NodeName,
    /// The configuration, as a client reads it.
    pub config: VmConfig,
    /// Whether it runs.
    pub running: bool,
}

#[derive(Debug, Clone)]
pub(super) struct MockVm {
    pub(super) node: NodeName,
    pub(super) options: BTreeMap<String, String>,
    pub(super) running: bool,
    pub(super) interfaces: Option<Vec<GuestInterface>>,
}

/// A bridge of every node.
#[derive(Debug, Clone)]
pub(super) struct MockBridge {
    pub(super) name: String,
    pub(super) vlan_aware: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) contract: &'static Contract,
    pub(super) version: String,
    pub(super) nodes: Vec<NodeName>,
    pub(super) storages: Vec<MockStorage>,
    pub(super) bridges: Vec<MockBridge>,
    pub(super) accounts: Accounts,
    pub(super) volumes: BTreeMap<VolumeId, VolumeRecord>,
    pub(super) vms: BTreeMap<VmId, MockVm>,
    pub(super) tasks: BTreeMap<String, TaskRecord>,
    pub(super) failing_tasks: VecDeque<String>,
    pub(super) timing: Timing,
    pub(super) events: Arc<Events>,
    pub(super) started_tasks: u32,
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

    pub(super) fn node(&self, name: &str) -> Result<NodeName, Refusal> {
        self.nodes
            .iter()
            .find(|node| node.as_str() == name)
            .cloned()
            .ok_or_else(|| Refusal::died(format!("no such cluster node '{name}'")))
    }

    pub(super) fn storage(&self, name: &str) -> Result<&MockStorage, Refusal> {
        self.storages
            .iter()
            .find(|storage| storage.name.as_str() == name)
            .ok_or_else(|| Refusal::died(format!("storage '{name}' does not exist")))
    }

    pub(super) fn vm(&self, node: &str, id: VmId) -> Result<&MockVm, Refusal> {
        self.vms
            .get(&id)
            .filter(|vm| vm.node.as_str() == node)
            .ok_or_else(|| Refusal::died(missing_vm(node, id)))
    }

    pub(super) fn record(&self, id: VmId) -> Option<VmRecord> {
        let vm = self.vms.get(&id)?;
        let config = super::vm_config::shown(self.contract, vm);
        Some(VmRecord {
            id,
            node: vm.node.clone(),
            config: serde_json::from_value(config).ok()?,
            running: vm.running,
        })
    }

    pub(super) fn used(&self, storage: &StorageName) -> u64 {
        self.volumes
            .values()
            .filter(|volume| volume.id.storage() == *storage)
            .map(|volume| volume.size)
            .sum()
    }

    /// A VM that was made by somebody else.
    pub(super) fn add_vm(&mut self, id: VmId, options: &[(&str, &str)]) -> Result<(), String> {
        let node = self.nodes.first().cloned().ok_or("no node")?;
        let given = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let options = super::vm_config::store(self, id, &given)?;
        self.vms.insert(
            id,
            MockVm {
                node,
                options,
                running: false,
                interfaces: None,
            },
        );
        self.emit(&MockEvent::VmCreated { vmid: id });
        Ok(())
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
        self.volumes.insert(id.clone(), volume);
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
