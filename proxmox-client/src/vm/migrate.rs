//! Moving a VM to another node.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Vm;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::id::NodeName;
use crate::params::request;
use crate::task::Task;
use crate::wire::response;

response!(
    /// What stands in the way of a migration.
    MigrationCheck {
        /// Whether the VM runs.
        running: bool = "running",
        /// The nodes to which the VM could move; for a stopped VM only.
        allowed_nodes: Vec<NodeName> = "allowed_nodes",
        /// The other nodes, with the reasons.
        not_allowed_nodes: BTreeMap<String, Value> = "not_allowed_nodes",
        /// Disks that are on this node alone.
        local_disks: Vec<Value> = "local_disks",
        /// Devices of this node that the VM uses.
        local_resources: Vec<String> = "local_resources",
        /// Mapped devices that the VM uses.
        mapped_resources: Vec<String> = "mapped-resources",
    }
);

request!(
    /// Where a VM is moved to.
    MigrateRequest(target: NodeName = "target") {
        /// The storage of local disks on the target, or a list of `SOURCE:TARGET`.
        target_storage: String = "targetstorage",
        /// The largest transfer rate in KiB/s.
        bandwidth_limit: u64 = "bwlimit",
        /// The network over which the data is sent, in CIDR form.
        network: String = "migration_network" is NETWORK,
        ; flags {
            /// Moves a running VM without stopping it.
            online = "online" "1",
            /// Copies the disks that are on this node alone.
            with_local_disks = "with-local-disks" "1",
        }
    }
);

impl Vm {
    /// What stands in the way of a migration. Changes nothing. Needs `VM.Migrate`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn check_migration(&self, target: Option<&NodeName>) -> Result<MigrationCheck> {
        let mut request = self.get("check migration", "/nodes/{node}/qemu/{vmid}/migrate");
        if let Some(target) = target {
            request = request.param("target", target.as_str());
        }
        self.client.call(request).await
    }

    /// Starts to move the VM to another node; the handle stays with the old one, so ask for a new one afterwards. An ISO
    /// image on a local storage keeps the VM from moving: empty the drive first. Needs `VM.Migrate`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM or the target does not exist")]
    pub async fn migrate(&self, migration: &MigrateRequest) -> Result<Task> {
        let request = self
            .post("migrate VM", "/nodes/{node}/qemu/{vmid}/migrate")
            .with(&migration.params);
        self.client.start_task(request).await
    }
}
