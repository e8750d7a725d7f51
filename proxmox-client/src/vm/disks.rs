//! Resizing, moving and detaching the disks of a VM that exists.

use super::{ImageFormat, Size, Slot, Vm};
use crate::docs::write_errors;
use crate::error::{Error, ErrorKind, Result};
use crate::id::StorageName;
use crate::params::{Params, joined, request};
use crate::rule;
use crate::task::Task;

request!(
    /// Where a disk is moved to.
    MoveDiskRequest(storage: StorageName = "storage") {
        /// The image format on the target, for storages of files.
        format: ImageFormat = "format",
        /// Moves the disk only while the configuration has this digest.
        digest: String = "digest" is TEXT_40,
        /// The largest transfer rate in KiB/s.
        bandwidth_limit: u64 = "bwlimit",
        ; flags {
            /// Deletes the source afterwards; it becomes an unused volume of the VM otherwise.
            delete_source = "delete" "1",
        }
    }
);

/// The new size of a disk. Disks do not shrink.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is given to a call"]
pub struct ResizeRequest {
    params: Params,
}

impl ResizeRequest {
    /// The disk gets this size. A disk that has it already is left as it is, so that the call may be repeated.
    pub fn to(size: Size) -> Self {
        Self::new(size, "")
    }

    /// The disk gets this much larger. Do not repeat the call without reading the size first.
    pub fn by(size: Size) -> Self {
        Self::new(size, "+")
    }

    fn new(size: Size, sign: &str) -> Self {
        let mut params = Params::new();
        match size.bytes() {
            0 => params.set_fitting("size", size, rule::NOT_ZERO),
            _ => params.set("size", format!("{sign}{size}")),
        }
        Self { params }
    }

    /// Resizes the disk only while the configuration has this digest; the task fails otherwise.
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.params
            .set_fitting("digest", digest.into(), rule::TEXT_40);
        self
    }
}

impl Vm {
    /// Starts to grow a disk. Needs `VM.Config.Disk`.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a size of 0. A disk that is larger, is missing, or is a CD drive fails the task, and so does a digest that the configuration does not have any more")]
    pub async fn resize_disk(&self, slot: Slot, size: &ResizeRequest) -> Result<Task> {
        let request = self
            .put("resize disk", "/nodes/{node}/qemu/{vmid}/resize")
            .param("disk", slot.to_string())
            .with(&size.params);
        self.client.start_task(request).await
    }

    /// Starts to move a disk to another storage. Needs `VM.Config.Disk` and `Datastore.AllocateSpace` on the target.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such disk; `Conflict` when the configuration does not have the given digest any more")]
    pub async fn move_disk(&self, slot: Slot, to: &MoveDiskRequest) -> Result<Task> {
        let request = self
            .post("move disk", "/nodes/{node}/qemu/{vmid}/move_disk")
            .param("disk", slot.to_string())
            .with(&to.params);
        self.client.start_task(request).await
    }

    /// Detaches disks, given by their options (`scsi1`). They become unused volumes of the VM.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn detach_disks(&self, options: &[&str]) -> Result<()> {
        self.unlink(options, false).await
    }

    /// Detaches and deletes disks or unused volumes, given by their options (`scsi1`, `unused0`). Their content is lost.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn delete_disks(&self, options: &[&str]) -> Result<()> {
        self.unlink(options, true).await
    }

    async fn unlink(&self, options: &[&str], force: bool) -> Result<()> {
        const OPERATION: &str = "unlink disks";
        if options.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_target(self.target())
                .with_message("no disk is named"));
        }
        let mut request = self
            .put(OPERATION, "/nodes/{node}/qemu/{vmid}/unlink")
            .fitting("idlist", joined(options), rule::OPTIONS);
        if force {
            request = request.param("force", "1");
        }
        self.client.run(request).await
    }
}
