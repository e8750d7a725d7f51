//! High availability: which guests the cluster restarts and moves.

use super::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::{ErrorKind, Result};
use crate::id::VmId;
use crate::params::request;
use crate::request::Request;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// A guest that the cluster restarts and moves.
    HaResource {
        /// `vm:104` or `ct:104`.
        sid: String = "sid",
        /// `vm` or `ct`.
        kind: Option<String> = "type",
        /// The requested state: `started`, `stopped`, `disabled`, `ignored`.
        state: Option<String> = "state",
        /// The group; before PVE 9.
        group: Option<String> = "group",
        /// How often a failed start is repeated on the same node.
        max_restart: Option<u32> = "max_restart",
        /// How often the guest is moved after failed starts.
        max_relocate: Option<u32> = "max_relocate",
        /// The comment.
        comment: Option<String> = "comment",
    }

    /// A group of nodes; replaced by rules in PVE 9.
    HaGroup {
        /// The name.
        group: String = "group",
        /// Nodes with priorities, `pve-01:2,pve-02`.
        nodes: Option<String> = "nodes",
        /// Whether the guests run on these nodes only.
        restricted: bool = "restricted",
        /// The comment.
        comment: Option<String> = "comment",
    }

    /// A rule for the placement of guests (PVE 9 and later).
    HaRule {
        /// The name.
        rule: String = "rule",
        /// `node-affinity` or `resource-affinity`.
        kind: Option<String> = "type",
        /// The guests, `vm:104,vm:105`.
        resources: Vec<String> = "resources",
        /// Nodes with priorities of a node affinity.
        nodes: Option<String> = "nodes",
        /// `positive` or `negative` of a resource affinity.
        affinity: Option<String> = "affinity",
        /// Whether the rule is disabled.
        disabled: bool = "disable",
    }

    /// One line of the state of the high availability manager.
    HaStatus {
        /// `quorum`, `master:pve-01`, `lrm:pve-01`, `service:vm:104`.
        id: String = "id",
        /// `quorum`, `master`, `lrm` or `service`.
        kind: Option<String> = "type",
        /// The node.
        node: Option<String> = "node",
        /// The state as text.
        status: Option<String> = "status",
        /// The state of a service.
        state: Option<String> = "state",
    }
);

text_enum!(
    /// What the cluster is to do with a guest.
    HaState {
        /// It runs, and is restarted or moved when it fails.
        Started = "started",
        /// It is kept stopped.
        Stopped = "stopped",
        /// Another word for `started`.
        Enabled = "enabled",
        /// It is kept stopped, and not moved when its node fails.
        Disabled = "disabled",
        /// It is left alone, as if it were not managed.
        Ignored = "ignored",
    }
);

request!(
    /// A VM that the cluster is to restart and move, or changes to one.
    HaResourceRequest() {
        /// The requested state: `started`, `stopped`, `disabled`, `ignored`.
        state: HaState = "state",
        /// The group; before PVE 9.
        group: String = "group" is OPTION,
        /// How often a failed start is repeated on the same node.
        max_restart: u32 = "max_restart",
        /// How often the VM is moved after failed starts.
        max_relocate: u32 = "max_relocate",
        /// The comment.
        comment: String = "comment" is TEXT_4096,
        ; flags {}
    }
);

impl Cluster {
    /// The guests that the cluster restarts and moves. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn ha_resources(&self) -> Result<Vec<HaResource>> {
        let request = Request::get("list HA resources", "/cluster/ha/resources", &[]);
        self.client.call(request).await
    }

    /// The HA resource of a VM, or `None`. Reads the list, because the response for a VM without HA is an error.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn find_ha_resource(&self, vm: VmId) -> Result<Option<HaResource>> {
        let all = self.ha_resources().await?;
        let sid = format!("vm:{vm}");
        Ok(all.into_iter().find(|resource| resource.sid == sid))
    }

    /// Makes the cluster restart and move a VM. Needs `Sys.Console` on `/`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the VM is managed already")]
    pub async fn add_ha_resource(&self, vm: VmId, resource: &HaResourceRequest) -> Result<()> {
        let request = Request::post("add HA resource", "/cluster/ha/resources", &[])
            .target(format!("VM {vm}"))
            .param("sid", format!("vm:{vm}"))
            .with(&resource.params);
        self.client.run(request).await
    }

    /// Changes how the cluster restarts and moves a VM. Needs `Sys.Console` on `/`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` or `Server` when the VM is not managed")]
    pub async fn update_ha_resource(&self, vm: VmId, update: &HaResourceRequest) -> Result<()> {
        let sid = format!("vm:{vm}");
        let request = Request::put("change HA resource", "/cluster/ha/resources/{sid}", &[&sid])
            .target(format!("VM {vm}"))
            .with(&update.params);
        self.client.run(request).await
    }

    /// Ends the management of a VM; the VM keeps its state. Returns whether the VM was managed. Needs `Sys.Console` on `/`.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn remove_ha_resource(&self, vm: VmId) -> Result<bool> {
        let sid = format!("vm:{vm}");
        let request = Request::delete("remove HA resource", "/cluster/ha/resources/{sid}", &[&sid])
            .target(format!("VM {vm}"));
        match self.client.run(request).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The groups of nodes (PVE 8). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`Server` on PVE 9 after the groups were migrated to rules")]
    pub async fn ha_groups(&self) -> Result<Vec<HaGroup>> {
        let request = Request::get("list HA groups", "/cluster/ha/groups", &[]);
        self.client.call(request).await
    }

    /// The rules of placement (PVE 9 and later). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`Unsupported` on PVE 8")]
    pub async fn ha_rules(&self) -> Result<Vec<HaRule>> {
        let request = Request::get("list HA rules", "/cluster/ha/rules", &[]);
        self.client.call(request).await
    }

    /// The state of the high availability manager. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn ha_status(&self) -> Result<Vec<HaStatus>> {
        let request = Request::get("read HA status", "/cluster/ha/status/current", &[]);
        self.client.call(request).await
    }
}
