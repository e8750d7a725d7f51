//! Virtual machines: specification, configuration, power, guest agent.

pub mod agent;
mod boot;
mod clone;
mod cloud_init;
mod config;
mod configure;
mod console;
mod disk;
mod disks;
mod drift;
mod drive;
mod firewall;
mod firmware;
pub mod guest;
mod machine;
mod migrate;
mod net;
mod options;
mod pending;
mod power;
mod requirements;
mod restore;
mod size;
mod snapshot;
mod spec;
mod status;
mod tags;
mod text_enum;
mod update;
mod validate;
mod validate_device;

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, Result};
use crate::id::{NodeName, VmId};
use crate::reason::Reason;
use crate::request::Request;
use crate::task::Task;

pub(crate) use boot::split_index;
pub use boot::{BootDevice, BootOrder, Slot};
pub use clone::CloneRequest;
pub use config::VmConfig;
pub use console::ConsoleTicket;
pub use disk::{Disk, DiskSource};
pub use disks::{MoveDiskRequest, ResizeRequest};
pub use drift::Diff;
pub use drive::{Cdrom, Drive};
pub use firmware::{EfiDisk, EfiType, TpmState};
pub use machine::Machine;
pub use migrate::{MigrateRequest, MigrationCheck};
pub use net::{NetworkDevice, NetworkModel};
pub use options::{
    Agent, Bios, CloudInitPart, ImageFormat, OsType, ScsiController, Smbios, TpmVersion,
};
pub use pending::PendingOption;
pub use restore::RestoreRequest;
pub use size::Size;
pub use snapshot::{SnapshotInfo, SnapshotRequest};
pub use spec::VmSpec;
pub use status::{Feature, FeatureSupport, HighAvailability, PowerState, VmInfo, VmStatus};
pub use tags::Tags;
pub(crate) use text_enum::text_enum;
pub use update::ConfigUpdate;

text_enum::serde_as_text!(
    Machine,
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

    fn get(&self, operation: &'static str, route: &'static str) -> Request {
        Request::get(operation, route, &self.args()).target(self.target())
    }

    fn post(&self, operation: &'static str, route: &'static str) -> Request {
        Request::post(operation, route, &self.args()).target(self.target())
    }

    fn put(&self, operation: &'static str, route: &'static str) -> Request {
        Request::put(operation, route, &self.args()).target(self.target())
    }

    /// Power state and counters. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn status(&self) -> Result<VmStatus> {
        let route = "/nodes/{node}/qemu/{vmid}/status/current";
        self.client.call(self.get("read VM status", route)).await
    }

    /// Whether the storages of the VM support a feature, and on which nodes. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn feature(&self, feature: Feature) -> Result<FeatureSupport> {
        let route = "/nodes/{node}/qemu/{vmid}/feature";
        let request = self
            .get("check VM feature", route)
            .param("feature", feature.as_str());
        self.client.call(request).await
    }

    /// Starts to delete the stopped VM and its disks; `None` when the VM does not exist. Needs `VM.Allocate`.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` while the VM runs; `Rejected` when it is protected")]
    pub async fn delete(&self) -> Result<Option<Task>> {
        self.destroy(&[]).await
    }

    /// Starts to delete the VM as [`delete`](Self::delete) does, and to remove every trace of its ID: the VM is also
    /// removed from backup jobs, replication and high availability, and every volume on any storage that bears its ID
    /// is deleted, listed in the configuration or not.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` while the VM runs; `Rejected` when it is protected")]
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
        match self.client.start_task(request).await {
            Ok(task) => Ok(Some(task)),
            Err(error) if error.reason() == Some(Reason::VmMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error of a check of a VM option before anything is sent.
fn invalid_option(name: &str, problem: impl Into<String>) -> Error {
    Error::field("check VM options", name, problem)
}
