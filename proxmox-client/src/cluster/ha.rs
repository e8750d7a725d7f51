//! High availability: which guests the cluster restarts and moves.

mod groups;
mod rules;

use super::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::{ErrorKind, Result};
use crate::id::{NodeName, VmId};
use crate::params::request;
use crate::request::Request;
use crate::vm::text_enum;
use crate::wire::response;

pub use groups::{HaGroup, HaGroupRequest, HaGroupUpdate};
pub use rules::{HaAffinity, HaRule, HaRuleKind, HaRuleRequest, HaRuleUpdate};

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
        /// Whether the guest moves back to the node that it prefers (PVE 9 and later).
        failback: Option<bool> = "failback",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
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
    /// A VM that the cluster is to restart and move.
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
        ; flags {
            /// Leaves the VM where it is when a node that it prefers comes back (PVE 9 and later).
            stay = "failback" "0",
        }
    }

    /// Changes to how the cluster restarts and moves a VM.
    HaResourceUpdate() {
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
        /// The settings that get their defaults back, separated by commas.
        unset: String = "delete" is OPTIONS,
        /// Applies the change only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Leaves the VM where it is when a node that it prefers comes back (PVE 9 and later).
            stay = "failback" "0",
            /// Moves the VM back when a node that it prefers comes back (PVE 9 and later).
            fail_back = "failback" "1",
        }
    }
);

const MIGRATE: &str = "/cluster/ha/resources/{sid}/migrate";
const RELOCATE: &str = "/cluster/ha/resources/{sid}/relocate";

impl Cluster {
    /// The guests that the cluster restarts and moves. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn ha_resources(&self) -> Result<Vec<HaResource>> {
        let request = Request::get("list HA resources", "/cluster/ha/resources", &[]);
        self.client.call(request).await
    }

    /// The HA resource of a VM with the digest of the configuration. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` or `Server` when the VM is not managed")]
    pub async fn ha_resource(&self, vm: VmId) -> Result<HaResource> {
        let sid = format!("vm:{vm}");
        let request = Request::get("read HA resource", "/cluster/ha/resources/{sid}", &[&sid])
            .target(format!("VM {vm}"));
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
    #[doc = write_errors!("`NotFound` or `Server` when the VM is not managed; `Conflict` when the configuration does not have the given digest any more")]
    pub async fn update_ha_resource(&self, vm: VmId, update: &HaResourceUpdate) -> Result<()> {
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

    /// Asks the manager to move a managed VM to another node while it runs. Needs `Sys.Console` on `/`. Returns before the
    /// VM is moved: watch [`ha_status`](Self::ha_status).
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` or `Server` when the VM is not managed")]
    pub async fn migrate_ha_resource(&self, vm: VmId, to: &NodeName) -> Result<()> {
        self.send_ha_resource(vm, to, "migrate HA resource", MIGRATE)
            .await
    }

    /// Asks the manager to stop a managed VM, and to start it on another node. Needs `Sys.Console` on `/`. Returns before
    /// the VM is stopped: watch [`ha_status`](Self::ha_status).
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` or `Server` when the VM is not managed")]
    pub async fn relocate_ha_resource(&self, vm: VmId, to: &NodeName) -> Result<()> {
        self.send_ha_resource(vm, to, "relocate HA resource", RELOCATE)
            .await
    }

    async fn send_ha_resource(
        &self,
        vm: VmId,
        to: &NodeName,
        operation: &'static str,
        route: &'static str,
    ) -> Result<()> {
        let sid = format!("vm:{vm}");
        let request = Request::post(operation, route, &[&sid])
            .target(format!("VM {vm}, node {to}"))
            .param("node", to.as_str());
        self.client.run(request).await
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
