//! Nodes: their state, networks, storages and VMs.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Result;
use crate::id::{NodeName, StorageName, VmId};
use crate::request::Request;
use crate::storage::{Storage, StorageInfo};
use crate::task::Task;
use crate::vm::{Vm, VmSpec};
use crate::wire;

/// A node in the cluster's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The short host name.
    pub node: NodeName,
    /// `online`, `offline` or `unknown`.
    #[serde(default, deserialize_with = "wire::string")]
    pub status: String,
    /// Logical processors; absent when offline or without `Sys.Audit`.
    #[serde(default, rename = "maxcpu", deserialize_with = "wire::opt_u64")]
    pub cpus: Option<u64>,
    /// Memory in bytes.
    #[serde(default, rename = "maxmem", deserialize_with = "wire::opt_u64")]
    pub memory_total: Option<u64>,
    /// Used memory in bytes.
    #[serde(default, rename = "mem", deserialize_with = "wire::opt_u64")]
    pub memory_used: Option<u64>,
    /// Fingerprint of the node's certificate as text.
    #[serde(
        default,
        rename = "ssl_fingerprint",
        deserialize_with = "wire::opt_string"
    )]
    pub fingerprint: Option<String>,
}

impl NodeInfo {
    /// Whether the cluster sees the node.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.status == "online"
    }
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// For example `pve-manager/9.1.2/…`.
    #[serde(default, rename = "pveversion", deserialize_with = "wire::opt_string")]
    pub version: Option<String>,
    /// Seconds since boot.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub uptime: Option<u64>,
    /// Memory in bytes.
    #[serde(default)]
    pub memory: Usage,
    /// The root file system in bytes: uploads pass through it.
    #[serde(default)]
    pub rootfs: Usage,
}

/// Used and free bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// All bytes.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub total: Option<u64>,
    /// Used bytes.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub used: Option<u64>,
    /// Free bytes.
    #[serde(default, alias = "avail", deserialize_with = "wire::opt_u64")]
    pub free: Option<u64>,
}

/// A network interface of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkInfo {
    /// The name, for example `vmbr1`.
    #[serde(deserialize_with = "wire::string")]
    pub iface: String,
    /// `bridge`, `OVSBridge`, `vnet`, `eth`, `bond` and so on.
    #[serde(rename = "type", deserialize_with = "wire::string")]
    pub kind: String,
    /// Whether it is up.
    #[serde(default, deserialize_with = "wire::bool")]
    pub active: bool,
    /// Whether a bridge filters VLANs itself.
    #[serde(default, rename = "bridge_vlan_aware", deserialize_with = "wire::bool")]
    pub vlan_aware: bool,
    /// The VLANs of a VLAN-aware bridge, for example `2-4094`.
    #[serde(default, rename = "bridge_vids", deserialize_with = "wire::opt_string")]
    pub vlan_ids: Option<String>,
    /// The physical ports of a bridge.
    #[serde(default, rename = "bridge_ports", deserialize_with = "wire::list")]
    pub ports: Vec<String>,
    /// The node's own address on it, with prefix length.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub cidr: Option<String>,
}

impl NetworkInfo {
    /// Whether VM traffic with this VLAN id can pass a bridge: in its list when it is VLAN-aware,
    /// through a physical port otherwise.
    #[must_use]
    pub fn carries_vlan(&self, id: u16) -> bool {
        if !self.vlan_aware {
            return self.kind != "bridge" || !self.ports.is_empty();
        }
        let ranges = self.vlan_ids.as_deref().unwrap_or("2-4094");
        wire::split_list(ranges).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) => (first..=last).contains(&id),
                _ => false,
            }
        })
    }
}

/// A VM in a node's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VmInfo {
    /// The id.
    #[serde(deserialize_with = "wire::u64")]
    pub vmid: u64,
    /// The name.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub name: Option<String>,
    /// `running` or `stopped`.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub status: Option<String>,
    /// The tags.
    #[serde(default, deserialize_with = "wire::list")]
    pub tags: Vec<String>,
}

/// A handle for one node, made by [`Client::node`].
#[derive(Debug, Clone)]
pub struct Node {
    client: Client,
    name: NodeName,
}

impl Node {
    pub(crate) fn new(client: Client, name: NodeName) -> Self {
        Self { client, name }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// A VM on this node.
    #[must_use]
    pub fn vm(&self, id: VmId) -> Vm {
        Vm::new(self.client.clone(), self.name.clone(), id)
    }

    /// A storage as seen by this node.
    #[must_use]
    pub fn storage(&self, name: StorageName) -> Storage {
        Storage::new(self.client.clone(), self.name.clone(), name)
    }

    fn get(&self, operation: &'static str, route: &'static str) -> Request {
        Request::get(operation, route, &[self.name.as_str()]).target(format!("node {}", self.name))
    }

    /// Version, uptime, memory, root file system. Needs `Sys.Audit` on the node.
    ///
    /// # Errors
    /// `Forbidden`, `Connect` when the contacted node cannot reach this one, `NotFound` for an
    /// unknown node, and the other kinds of a read.
    pub async fn status(&self) -> Result<NodeStatus> {
        let request = self.get("read node status", "/nodes/{node}/status");
        self.client.transport().call(request).await
    }

    /// All network interfaces.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn networks(&self) -> Result<Vec<NetworkInfo>> {
        let request = self.get("list networks", "/nodes/{node}/network");
        self.client.transport().call(request).await
    }

    /// The bridges and SDN vnets that a VM can use.
    ///
    /// Since PVE 8 a bridge for which the caller lacks `SDN.Use` and `SDN.Audit` is left out
    /// silently, so a missing one may also be a forbidden one.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn bridges(&self) -> Result<Vec<NetworkInfo>> {
        let request = self
            .get("list bridges", "/nodes/{node}/network")
            .param("type", "any_bridge");
        self.client.transport().call(request).await
    }

    /// The storages of this node; those without `Datastore.Audit` or `Datastore.AllocateSpace`
    /// are left out silently.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn storages(&self) -> Result<Vec<StorageInfo>> {
        let request = self.get("list storages", "/nodes/{node}/storage");
        self.client.transport().call(request).await
    }

    /// The VMs on this node that the caller may see.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn vms(&self) -> Result<Vec<VmInfo>> {
        let request = self.get("list VMs", "/nodes/{node}/qemu");
        self.client.transport().call(request).await
    }

    /// Begins to create a VM; it is not started.
    ///
    /// The specification is checked first, so that everything the server would refuse, and what
    /// would be accepted but cannot work, is reported together. The server reserves the id at
    /// once; a task that fails afterwards frees the id and all disks again. Not to be repeated
    /// blindly.
    ///
    /// # Errors
    /// `InvalidInput` with all problems before anything is sent; `AlreadyExists` when the id is
    /// taken; `Forbidden` with path and privilege; `NotFound` for an unknown storage; `Rejected`
    /// with the parameters; `Busy` for locks and a missing quorum.
    pub async fn create_vm(&self, spec: &VmSpec) -> Result<Task> {
        spec.validate()?;
        let request = Request::post("create VM", "/nodes/{node}/qemu", &[self.name.as_str()])
            .target(format!("node {}, VM {}", self.name, spec.id()))
            .params(spec.to_params());
        let id = self.client.transport().call(request).await?;
        Ok(self.client.task(id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bridge(value: serde_json::Value) -> NetworkInfo {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_vlan_aware_bridge_carries_what_its_list_has() {
        let listed = bridge(json!({
            "iface": "vmbr1", "type": "bridge", "bridge_vlan_aware": 1, "bridge_vids": "2-10 20",
        }));

        assert!(listed.carries_vlan(2) && listed.carries_vlan(10) && listed.carries_vlan(20));
        assert!(!listed.carries_vlan(11));
    }

    #[test]
    fn a_classic_bridge_needs_a_port_for_vlans() {
        let with = bridge(json!({ "iface": "vmbr0", "type": "bridge", "bridge_ports": "eno1" }));
        let without = bridge(json!({ "iface": "vmbr0", "type": "bridge", "bridge_ports": "" }));

        assert!(with.carries_vlan(2));
        assert!(!without.carries_vlan(2));
    }

    #[test]
    fn an_offline_node_has_no_metrics() {
        let node: NodeInfo =
            serde_json::from_value(json!({ "node": "pve-02", "status": "offline" })).unwrap();

        assert!(!node.is_online());
        assert_eq!(node.memory_total, None);
    }
}
