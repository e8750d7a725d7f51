//! Copies of a VM, and templates.

use super::{ImageFormat, Slot, Vm};
use crate::docs::write_errors;
use crate::error::Result;
use crate::id::{NodeName, StorageName, VmId};
use crate::params::request;
use crate::task::Task;

request!(
    /// A copy of a VM. Without [`full`](Self::full) a template is cloned with linked disks, and a VM with full ones.
    CloneRequest(new_id: VmId = "newid") {
        /// The name of the copy.
        name: String = "name" is DNS_NAME,
        /// The description of the copy.
        description: String = "description",
        /// The pool of the copy.
        pool: String = "pool" is POOL,
        /// The storage of the disks; full copies only.
        storage: StorageName = "storage",
        /// The image format; full copies to storages of files only.
        format: ImageFormat = "format",
        /// Copies the state of this snapshot.
        snapshot: String = "snapname" is SNAPSHOT,
        /// The node of the copy; needs shared storages.
        target: NodeName = "target",
        /// The largest transfer rate in KiB/s.
        bandwidth_limit: u64 = "bwlimit",
        ; flags {
            /// Copies the disks in full.
            full = "full" "1",
            /// Links the disks to those of the template.
            linked = "full" "0",
        }
    }
);

impl Vm {
    /// Starts to copy the VM or template. The copy has new MAC addresses and a new SMBIOS UUID, and is locked until the
    /// task has ended. Needs `VM.Clone` here, `VM.Allocate` on the new VM or its pool, and `Datastore.AllocateSpace`.
    ///
    /// The UEFI variables and the TPM state are copied as well: do not clone an installed Talos node whose disks are
    /// encrypted with the TPM.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the ID is taken; `NotFound` when the VM is not on this node")]
    pub async fn clone_vm(&self, clone: &CloneRequest) -> Result<Task> {
        let request = self
            .post("clone VM", "/nodes/{node}/qemu/{vmid}/clone")
            .with(&clone.params);
        self.client.start_task(request).await
    }

    /// Starts to turn the stopped VM into a template. This cannot be undone. Needs `VM.Allocate`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node; `Conflict` while the VM runs")]
    pub async fn make_template(&self) -> Result<Task> {
        let request = self.post("make template", "/nodes/{node}/qemu/{vmid}/template");
        self.client.start_task(request).await
    }

    /// Starts to turn one disk of the stopped VM into a base volume. This cannot be undone. Needs `VM.Allocate`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node; `Conflict` while the VM runs")]
    pub async fn make_base_disk(&self, slot: Slot) -> Result<Task> {
        let request = self
            .post("make base disk", "/nodes/{node}/qemu/{vmid}/template")
            .param("disk", slot.to_string());
        self.client.start_task(request).await
    }
}
