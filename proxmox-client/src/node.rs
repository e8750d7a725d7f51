//! Nodes: their state, networks, capabilities, certificates, storages, tasks and VMs.

mod facts;
mod network;
mod preflight;
mod url_metadata;

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::id::{NodeName, StorageName, VmId};
use crate::request::Request;
use crate::rule;
use crate::storage::{Storage, StorageInfo};
use crate::task::Task;
use crate::version::Version;
use crate::vm::{Vm, VmInfo, VmSpec};

pub use facts::{
    CertificateInfo, CpuInfo, CpuModel, DnsSettings, MachineVersion, NodeInfo, NodeState,
    NodeStatus, NodeTime, ServiceInfo, Usage,
};
pub use network::NetworkInfo;
pub use url_metadata::UrlMetadata;

/// A handle for one node, made by [`Client::node`].
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) client: Client,
    pub(crate) name: NodeName,
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

    /// A handle for a VM on this node. Nothing is sent; the VM need not exist.
    #[must_use]
    pub fn vm(&self, id: VmId) -> Vm {
        Vm::new(self.client.clone(), self.name.clone(), id)
    }

    /// A handle for a storage as this node sees it. Nothing is sent; the storage need not exist.
    #[must_use]
    pub fn storage(&self, name: StorageName) -> Storage {
        Storage::new(self.client.clone(), self.name.clone(), name)
    }

    pub(crate) fn target(&self) -> String {
        format!("node {}", self.name)
    }

    fn get(&self, operation: &'static str, route: &'static str) -> Request {
        Request::get(operation, route, &[self.name.as_str()]).target(self.target())
    }

    /// Version, uptime, memory, processor and root file system. Needs `Sys.Audit` on the node.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn status(&self) -> Result<NodeStatus> {
        self.client
            .call(self.get("read node status", "/nodes/{node}/status"))
            .await
    }

    /// The version of this node. Needs no privilege.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn version(&self) -> Result<Version> {
        self.client
            .call(self.get("read node version", "/nodes/{node}/version"))
            .await
    }

    /// The resolvers of the node. Needs `Sys.Audit` on the node.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn dns(&self) -> Result<DnsSettings> {
        self.client
            .call(self.get("read DNS settings", "/nodes/{node}/dns"))
            .await
    }

    /// The clock and the time zone of the node. Needs `Sys.Audit` on the node.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn time(&self) -> Result<NodeTime> {
        self.client
            .call(self.get("read node time", "/nodes/{node}/time"))
            .await
    }

    /// The services of the node and whether they run. Needs `Sys.Audit` on the node.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn services(&self) -> Result<Vec<ServiceInfo>> {
        self.client
            .call(self.get("list services", "/nodes/{node}/services"))
            .await
    }

    /// The certificates of the node: of the cluster's authority, of the node, and a custom one. Needs no privilege.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn certificates(&self) -> Result<Vec<CertificateInfo>> {
        self.client
            .call(self.get("list certificates", "/nodes/{node}/certificates/info"))
            .await
    }

    /// The CPU models that a VM on this node can have, custom models included. Needs no privilege for the built-in ones.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn cpu_models(&self) -> Result<Vec<CpuModel>> {
        self.client
            .call(self.get("list CPU models", "/nodes/{node}/capabilities/qemu/cpu"))
            .await
    }

    /// The machine versions that QEMU on this node knows. Needs no privilege.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn machine_versions(&self) -> Result<Vec<MachineVersion>> {
        let route = "/nodes/{node}/capabilities/qemu/machines";
        self.client
            .call(self.get("list machine versions", route))
            .await
    }

    /// All network interfaces.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn networks(&self) -> Result<Vec<NetworkInfo>> {
        self.client
            .call(self.get("list networks", "/nodes/{node}/network"))
            .await
    }

    /// One network interface by its name.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the node has no such interface")]
    pub async fn network(&self, iface: &str) -> Result<NetworkInfo> {
        let route = "/nodes/{node}/network/{iface}";
        let request = Request::get("read network", route, &[self.name.as_str(), iface])
            .check("iface", iface, rule::INTERFACE)
            .target(format!("{}, interface {iface}", self.target()));
        let found: network::Unnamed = self.client.call(request).await?;
        Ok(found.named(iface))
    }

    /// The bridges and SDN vnets that a VM can use.
    ///
    /// From PVE 8 on a bridge is left out silently when the caller has neither `SDN.Use` nor `SDN.Audit` on it, so that
    /// a missing bridge may also be a forbidden one.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn bridges(&self) -> Result<Vec<NetworkInfo>> {
        let request = self
            .get("list bridges", "/nodes/{node}/network")
            .param("type", "any_bridge");
        self.client.call(request).await
    }

    /// The storages of this node. Those without `Datastore.Audit` or `Datastore.AllocateSpace` are left out silently.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn storages(&self) -> Result<Vec<StorageInfo>> {
        self.client
            .call(self.get("list storages", "/nodes/{node}/storage"))
            .await
    }

    /// The VMs on this node that the caller may see (`VM.Audit`).
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn vms(&self) -> Result<Vec<VmInfo>> {
        self.client
            .call(self.get("list VMs", "/nodes/{node}/qemu"))
            .await
    }

    /// Starts the creation of a VM; the VM is not started.
    ///
    /// The specification is checked first, so that everything that the server rejects, and what it accepts although it
    /// cannot work, is reported together. The server reserves the ID at once; a task that fails afterwards frees the ID
    /// and all disks. Do not repeat the call without reading the state first.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::id::VmId;
    /// use proxmox_client::{Poll, mock::PveMock, vm::VmSpec};
    ///
    /// let mock = PveMock::start().await;
    /// let node = mock.client().node("pve-01".parse()?);
    /// let spec = VmSpec::new(VmId::new(104)?, "tal01").memory_mib(4096);
    ///
    /// node.create_vm(&spec).await?.wait(Poll::default()).await?;
    ///
    /// assert_eq!(node.vm(spec.id()).config().await?.memory_mib, Some(4096));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` with all diagnostics before anything is sent; `AlreadyExists` when the ID is taken; `NotFound` for an unknown storage")]
    pub async fn create_vm(&self, spec: &VmSpec) -> Result<Task> {
        spec.validate()?;
        let request = Request::post("create VM", "/nodes/{node}/qemu", &[self.name.as_str()])
            .target(format!("node {}, VM {}", self.name, spec.id()))
            .params(spec.to_params());
        self.client.start_task(request).await
    }
}
