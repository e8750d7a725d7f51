//! Virtual machines: specification, configuration, power, guest agent.

mod boot;
mod config;
mod disk;
mod drift;
mod firmware;
pub mod guest;
mod net;
mod options;
mod size;
mod spec;
mod status;
mod tags;
mod text_enum;
mod update;
mod validate;
mod validate_device;

use std::time::Duration;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::id::{NodeName, VmId};
use crate::reason::Reason;
use crate::request::Request;
use crate::task::Task;
use crate::upid::TaskId;

pub(crate) use boot::split_index;
pub use boot::{BootDevice, BootOrder, Slot};
pub use config::VmConfig;
pub use disk::{Cdrom, Disk, DiskSource, Drive};
pub use drift::Diff;
pub use firmware::{EfiDisk, EfiType, TpmState};
pub use net::{NetworkDevice, NetworkModel};
pub use options::{Agent, Bios, OsType, ScsiController, Smbios, TpmVersion};
pub use size::Size;
pub use spec::VmSpec;
pub use status::{PowerState, VmStatus};
pub use tags::Tags;
pub use update::ConfigUpdate;

text_enum::serde_as_text!(
    Agent,
    BootDevice,
    BootOrder,
    Cdrom,
    Disk,
    DiskSource,
    Drive,
    EfiDisk,
    NetworkDevice,
    Size,
    Slot,
    Smbios,
    Tags,
    TpmState,
);

/// A handle for one VM on one node, made by [`Node::vm`](crate::Node::vm).
#[derive(Debug, Clone)]
pub struct Vm {
    client: Client,
    node: NodeName,
    id: VmId,
    id_text: String,
}

impl Vm {
    pub(crate) fn new(client: Client, node: NodeName, id: VmId) -> Self {
        Self {
            client,
            node,
            id,
            id_text: id.to_string(),
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> VmId {
        self.id
    }

    /// The node on which this handle looks for the VM.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    fn args(&self) -> [&str; 2] {
        [self.node.as_str(), &self.id_text]
    }

    fn target(&self) -> String {
        format!("node {}, VM {}", self.node, self.id)
    }

    /// The configuration, with pending changes merged in.
    ///
    /// # Errors
    /// `NotFound` when the VM is not on this node, `Forbidden` without `VM.Audit`, and the kinds
    /// of a read.
    pub async fn config(&self) -> Result<VmConfig> {
        let route = "/nodes/{node}/qemu/{vmid}/config";
        let request =
            Request::get("read VM configuration", route, &self.args()).target(self.target());
        self.client.transport().call(request).await
    }

    /// The configuration, or `None` when there is no such VM on this node.
    ///
    /// # Errors
    /// As [`config`](Self::config), without `NotFound` for the VM.
    pub async fn find_config(&self) -> Result<Option<VmConfig>> {
        match self.config().await {
            Ok(config) => Ok(Some(config)),
            Err(error) if error.reason() == Some(Reason::VmMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to change the configuration; `None`, without a request, when there is nothing to
    /// change. What a running VM cannot take over becomes pending until it is stopped and started.
    ///
    /// # Errors
    /// `InvalidInput` for an unusable value; `Conflict` when the configuration is not the one of
    /// the given digest any more; `NotFound`, `Forbidden`, `Rejected`, `Busy`.
    pub async fn update(&self, update: &ConfigUpdate) -> Result<Option<Task>> {
        if update.is_empty() {
            return Ok(None);
        }
        let route = "/nodes/{node}/qemu/{vmid}/config";
        let request = Request::post("change VM configuration", route, &self.args())
            .target(self.target())
            .params(update.to_params()?);
        let id: Option<TaskId> = self.client.transport().call(request).await?;
        Ok(id.map(|id| self.client.task(id)))
    }

    /// Power state and counters.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub async fn status(&self) -> Result<VmStatus> {
        let route = "/nodes/{node}/qemu/{vmid}/status/current";
        let request = Request::get("read VM status", route, &self.args()).target(self.target());
        self.client.transport().call(request).await
    }

    /// Begins to start the VM. On a VM that runs already the *task* fails with reason `VmRunning`;
    /// an unknown bridge or a missing ISO image is found only now, also by the task.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` without `VM.PowerMgmt`, `Busy`.
    pub async fn start(&self) -> Result<Task> {
        self.power("start VM", "/nodes/{node}/qemu/{vmid}/status/start", &[])
            .await
    }

    /// Begins to switch the VM off, as by pulling the plug. On a stopped VM the task does nothing.
    /// Waits behind a shutdown in progress; see [`stop_now`](Self::stop_now).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn stop(&self) -> Result<Task> {
        self.power("stop VM", "/nodes/{node}/qemu/{vmid}/status/stop", &[])
            .await
    }

    /// Begins to switch the VM off, aborting a shutdown in progress, which otherwise holds the
    /// lock of the VM until its timeout.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn stop_now(&self) -> Result<Task> {
        let params = [("overrule-shutdown".to_owned(), "1".to_owned())];
        self.power("stop VM", "/nodes/{node}/qemu/{vmid}/status/stop", &params)
            .await
    }

    /// Begins to ask the guest to shut down, by its agent or by ACPI, and gives up after `timeout`.
    ///
    /// Talos in maintenance mode may take this for a reboot (siderolabs/extensions#367): use
    /// [`stop_now`](Self::stop_now) for a node without configuration.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn shutdown(&self, timeout: Duration) -> Result<Task> {
        let params = [("timeout".to_owned(), timeout.as_secs().to_string())];
        let route = "/nodes/{node}/qemu/{vmid}/status/shutdown";
        self.power("shut down VM", route, &params).await
    }

    /// Begins a hard reset, as by the reset button.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn reset(&self) -> Result<Task> {
        self.power("reset VM", "/nodes/{node}/qemu/{vmid}/status/reset", &[])
            .await
    }

    async fn power(
        &self,
        operation: &'static str,
        route: &'static str,
        params: &[(String, String)],
    ) -> Result<Task> {
        let request = Request::post(operation, route, &self.args())
            .target(self.target())
            .params(params.iter().cloned());
        let id = self.client.transport().call(request).await?;
        Ok(self.client.task(id))
    }

    /// Begins to delete the stopped VM and its disks; `None` when it does not exist.
    ///
    /// # Errors
    /// `Conflict` while it runs, `Rejected` when it is protected, `Forbidden` without
    /// `VM.Allocate`, `Busy`.
    pub async fn delete(&self) -> Result<Option<Task>> {
        self.destroy(&[]).await
    }

    /// As [`delete`](Self::delete), and also removes it from backup jobs, replication and high
    /// availability, and every volume on any storage that bears its id.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn purge(&self) -> Result<Option<Task>> {
        self.destroy(&["purge", "destroy-unreferenced-disks"]).await
    }

    async fn destroy(&self, flags: &[&str]) -> Result<Option<Task>> {
        let params = flags
            .iter()
            .map(|flag| ((*flag).to_owned(), "1".to_owned()));
        let request = Request::delete("delete VM", "/nodes/{node}/qemu/{vmid}", &self.args())
            .target(self.target())
            .params(params);
        let result: Result<TaskId> = self.client.transport().call(request).await;
        match result {
            Ok(id) => Ok(Some(self.client.task(id))),
            Err(error) if error.reason() == Some(Reason::VmMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The failure of our own checks of a VM's options.
fn invalid_option(name: &str, problem: impl Into<String>) -> Error {
    Error::field("check VM options", name, problem)
}
