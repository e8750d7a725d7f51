//! Snapshots of a VM.

use super::{Vm, VmConfig};
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::params::request;
use crate::request::Request;
use crate::rule;
use crate::task::Task;
use crate::wire::response;

response!(
    /// A snapshot. The list ends with the entry `current`, which stands for the present state.
    SnapshotInfo {
        /// The name.
        name: String = "name",
        /// The description.
        description: Option<String> = "description",
        /// The snapshot before this one.
        parent: Option<String> = "parent",
        /// When it was made, in seconds since 1970.
        created_at: Option<u64> = "snaptime",
        /// Whether it includes the memory.
        with_memory: bool = "vmstate",
    }
);

request!(
    /// A snapshot to make. The name begins with a letter and has at most 40 letters, digits, `-` and `_`.
    SnapshotRequest(name: String = "snapname" is SNAPSHOT) {
        /// The description.
        description: String = "description",
        ; flags {
            /// Includes the memory of the running VM.
            with_memory = "vmstate" "1",
        }
    }
);

impl Vm {
    /// The snapshots, with the entry `current` for the present state. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let route = "/nodes/{node}/qemu/{vmid}/snapshot";
        self.client.call(self.get("list snapshots", route)).await
    }

    fn snapshot_request(
        &self,
        operation: &'static str,
        method: http::Method,
        route: &'static str,
        name: &str,
    ) -> Request {
        let args = [self.node.as_str(), &self.id_text, name];
        Request::new(operation, method, route, &args)
            .target(format!("{}, snapshot {name}", self.target()))
            .check("snapname", name, rule::SNAPSHOT)
    }

    /// The configuration that a snapshot has. Needs `VM.Audit` or `VM.Snapshot`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when there is no such snapshot or VM")]
    pub async fn snapshot_config(&self, name: &str) -> Result<VmConfig> {
        let route = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config";
        let request = self.snapshot_request("read snapshot", http::Method::GET, route, name);
        self.client.call(request).await
    }

    /// Starts to make a snapshot. Needs `VM.Snapshot` and storages that support snapshots; see
    /// [`feature`](Self::feature).
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node. A name that is taken, or a storage without snapshots, fails the task")]
    pub async fn create_snapshot(&self, snapshot: &SnapshotRequest) -> Result<Task> {
        let request = self
            .post("create snapshot", "/nodes/{node}/qemu/{vmid}/snapshot")
            .with(&snapshot.params);
        self.client.start_task(request).await
    }

    /// Starts to restore the state of a snapshot; what changed since is lost. Needs `VM.Snapshot.Rollback` or
    /// `VM.Snapshot`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node. A missing snapshot fails the task")]
    pub async fn roll_back(&self, name: &str) -> Result<Task> {
        let route = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback";
        let request =
            self.snapshot_request("roll back to snapshot", http::Method::POST, route, name);
        self.client.start_task(request).await
    }

    /// Starts to restore the state of a snapshot as [`roll_back`](Self::roll_back) does, and to start the VM afterwards.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node. A missing snapshot fails the task")]
    pub async fn roll_back_and_start(&self, name: &str) -> Result<Task> {
        let route = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback";
        let request = self
            .snapshot_request("roll back to snapshot", http::Method::POST, route, name)
            .param("start", "1");
        self.client.start_task(request).await
    }

    /// Starts to delete a snapshot. Needs `VM.Snapshot`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node. A missing snapshot fails the task")]
    pub async fn delete_snapshot(&self, name: &str) -> Result<Task> {
        let route = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}";
        let request = self.snapshot_request("delete snapshot", http::Method::DELETE, route, name);
        self.client.start_task(request).await
    }
}
