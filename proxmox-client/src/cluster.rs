//! What concerns the whole cluster: IDs, resources, tasks, options, high availability, SDN, backups, mappings.

mod backup;
mod firewall;
mod ha;
mod mapping;
mod sdn;
mod state;

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, ErrorKind, Result};
use crate::id::VmId;
use crate::request::Request;
use crate::storage::StorageConfig;
use crate::task::list::TaskInfo;
use crate::vm::Vm;
use crate::wire;

pub use backup::{BackupCompression, BackupJob, BackupMode, BackupRequest, ReplicationJob};
pub use firewall::{
    FirewallAlias, FirewallOptions, FirewallOptionsUpdate, FirewallPolicy, FirewallRule,
    FirewallRuleRequest, FirewallRuleUpdate, IpSet, IpSetEntry, RuleKind,
};
pub use ha::{
    HaAffinity, HaGroup, HaGroupRequest, HaGroupUpdate, HaResource, HaResourceRequest,
    HaResourceUpdate, HaRule, HaRuleKind, HaRuleRequest, HaRuleUpdate, HaState, HaStatus,
};
pub use mapping::HardwareMapping;
pub use sdn::{VnetInfo, VnetRequest, ZoneInfo, ZoneKind, ZoneRequest};
pub use state::{
    ClusterLogEntry, ClusterMember, ClusterOptions, GuestInfo, GuestKind, ResourceInfo,
    ResourceKind,
};

/// A handle for cluster-wide calls, made by [`Client::cluster`].
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A free ID. The server reserves nothing: another client can take the ID before it is used, so that a creation that
    /// fails with `AlreadyExists` has to be repeated with another ID.
    ///
    /// # Errors
    #[doc = read_errors!("`Server` or `Rejected` when the configured range is used up")]
    pub async fn next_vm_id(&self) -> Result<VmId> {
        let request = Request::get("find a free VM ID", "/cluster/nextid", &[]);
        let IdText(id) = self.client.call(request).await?;
        Ok(id)
    }

    /// Whether no VM or container of the cluster has this ID now.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn is_vm_id_free(&self, id: VmId) -> Result<bool> {
        let request = Request::get("check VM ID", "/cluster/nextid", &[])
            .target(format!("VM {id}"))
            .param("vmid", id.to_string());
        match self.client.run(request).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The VMs and containers that the caller may see (`VM.Audit`).
    ///
    /// The list is refreshed about every ten seconds: use it to find where a VM is, never to wait for a change.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn guests(&self) -> Result<Vec<GuestInfo>> {
        let request = Request::get("list guests", "/cluster/resources", &[]).param("type", "vm");
        self.client.call(request).await
    }

    /// Everything in the cluster that the caller may see, or one kind of it. Refreshed about every ten seconds.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn resources(&self, kind: Option<ResourceKind>) -> Result<Vec<ResourceInfo>> {
        let mut request = Request::get("list cluster resources", "/cluster/resources", &[]);
        if let Some(kind) = kind {
            request = request.param("type", kind.as_str());
        }
        self.client.call(request).await
    }

    /// The handle of a VM on the node that has the VM, or `None` when the list does not contain the ID.
    ///
    /// # Errors
    #[doc = read_errors!("`Conflict` when the ID belongs to a container")]
    pub async fn find_vm(&self, id: VmId) -> Result<Option<Vm>> {
        let guests = self.guests().await?;
        let Some(guest) = guests.into_iter().find(|guest| guest.vmid == id) else {
            return Ok(None);
        };
        if guest.kind != GuestKind::Vm {
            let message = format!("the ID belongs to a container on node {}", guest.node);
            return Err(Error::new(ErrorKind::Conflict, "find VM")
                .with_target(format!("VM {id}"))
                .with_server(self.client.transport().server())
                .with_message(message));
        }
        Ok(Some(self.client.node(guest.node).vm(id)))
    }

    /// The cluster and its nodes, with quorum. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn status(&self) -> Result<Vec<ClusterMember>> {
        let request = Request::get("read cluster status", "/cluster/status", &[]);
        self.client.call(request).await
    }

    /// The recent tasks of all nodes. A node's own list goes further back.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn tasks(&self) -> Result<Vec<TaskInfo>> {
        let request = Request::get("list cluster tasks", "/cluster/tasks", &[]);
        self.client.call(request).await
    }

    /// The last entries of the cluster log, at most `limit`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn log(&self, limit: u32) -> Result<Vec<ClusterLogEntry>> {
        let request = Request::get("read cluster log", "/cluster/log", &[])
            .param("max", limit.max(1).to_string());
        self.client.call(request).await
    }

    /// The options of the datacenter. Without `Sys.Audit` on `/` only some of them.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn options(&self) -> Result<ClusterOptions> {
        let request = Request::get("read cluster options", "/cluster/options", &[]);
        self.client.call(request).await
    }

    /// Sets one option of the datacenter by the server's name. Needs `Sys.Modify` on `/`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for an empty value")]
    pub async fn set_option(&self, name: &str, value: &str) -> Result<()> {
        const OPERATION: &str = "change cluster options";
        if value.is_empty() {
            return Err(Error::field(OPERATION, name, "must not be empty"));
        }
        let request = Request::put(OPERATION, "/cluster/options", &[]).param(name, value);
        self.client.run(request).await
    }

    /// The configured storages that the caller may see.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn storages(&self) -> Result<Vec<StorageConfig>> {
        let request = Request::get("list configured storages", "/storage", &[]);
        self.client.call(request).await
    }

    /// The configuration of one storage.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage")]
    pub async fn storage(&self, name: &crate::id::StorageName) -> Result<StorageConfig> {
        let request = Request::get(
            "read storage configuration",
            "/storage/{storage}",
            &[name.as_str()],
        )
        .target(format!("storage {name}"));
        self.client.call(request).await
    }
}

/// The free ID comes as `"104"`, sometimes as `104`.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct IdText(#[serde(deserialize_with = "wire::deserialize")] VmId);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_free_id_comes_as_text_or_number() {
        for value in [json!("104"), json!(104)] {
            let IdText(id) = serde_json::from_value(value).unwrap();
            assert_eq!(id.get(), 104);
        }
    }

    #[test]
    fn a_guest_without_name_and_status_is_read() {
        let guest: GuestInfo = serde_json::from_value(json!({
            "id": "qemu/104", "type": "qemu", "vmid": 104, "node": "pve-01", "tags": "a;b",
        }))
        .unwrap();

        assert_eq!(guest.name, None);
        assert_eq!(guest.tags, ["a", "b"]);
    }
}
