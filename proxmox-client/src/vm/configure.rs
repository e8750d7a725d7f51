//! Reading and changing the configuration of a VM, its disks included.

use super::{CloudInitPart, ConfigUpdate, ImageFormat, PendingOption, Size, Slot, Vm, VmConfig};
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, ErrorKind, Result};
use crate::id::StorageName;
use crate::params::{joined, request};
use crate::reason::Reason;
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

const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";

impl Vm {
    /// The configuration, with pending changes merged in. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn config(&self) -> Result<VmConfig> {
        self.client
            .call(self.get("read VM configuration", CONFIG))
            .await
    }

    /// The configuration of the running VM, without pending changes.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn running_config(&self) -> Result<VmConfig> {
        let request = self
            .get("read running VM configuration", CONFIG)
            .param("current", "1");
        self.client.call(request).await
    }

    /// The configuration, or `None` when there is no such VM on this node.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn find_config(&self) -> Result<Option<VmConfig>> {
        match self.config().await {
            Ok(config) => Ok(Some(config)),
            Err(error) if error.reason() == Some(Reason::VmMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All options with their present and pending values. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn pending(&self) -> Result<Vec<PendingOption>> {
        let route = "/nodes/{node}/qemu/{vmid}/pending";
        self.client
            .call(self.get("read pending VM options", route))
            .await
    }

    /// Starts to change the configuration; `None`, without a request, when there is nothing to change. What a running VM
    /// cannot take over becomes pending until the VM is stopped and started.
    ///
    /// Each option needs its privilege: `VM.Config.CPU`, `.Memory`, `.Disk`, `.CDROM`, `.Network`, `.HWType`, `.Options`,
    /// `.Cloudinit`.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::vm::ConfigUpdate;
    /// use proxmox_client::{Poll, id::VmId, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("memory", "2048")]);
    /// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
    ///
    /// let update = ConfigUpdate::new().option("memory", 4096);
    /// if let Some(task) = vm.update(&update).await? {
    ///     task.wait(Poll::default()).await?;
    /// }
    /// assert_eq!(vm.config().await?.memory_mib, Some(4096));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for an unusable value; `Conflict` when the configuration does not have the given digest any more; `NotFound`")]
    pub async fn update(&self, update: &ConfigUpdate) -> Result<Option<Task>> {
        if update.is_empty() {
            return Ok(None);
        }
        let request = self
            .post("change VM configuration", CONFIG)
            .params(update.to_params()?);
        self.client.start_optional_task(request).await
    }

    /// Changes the configuration and waits for it within the request. Not for new disks, which take longer than a
    /// forwarding node waits (30 s): use [`update`](Self::update). Nothing is sent when there is nothing to change.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for an unusable value; `Conflict` when the configuration does not have the given digest any more; `NotFound`")]
    pub async fn set(&self, update: &ConfigUpdate) -> Result<()> {
        if update.is_empty() {
            return Ok(());
        }
        let request = self
            .put("change VM configuration", CONFIG)
            .params(update.to_params()?);
        self.client.run(request).await
    }

    /// Reads the configuration, lets `plan` decide what to change, and changes it only if nobody else has changed it
    /// meanwhile. When somebody has, the configuration is read and planned once more.
    ///
    /// Safe to use while another program, or the migration of the VM, changes the same configuration: no change of
    /// theirs is overwritten. `plan` is called once or twice.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::vm::ConfigUpdate;
    /// use proxmox_client::{id::VmId, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("cores", "2")]);
    /// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
    ///
    /// vm.set_planned(|config| match config.cores {
    ///     Some(4) => ConfigUpdate::new(),
    ///     _ => ConfigUpdate::new().option("cores", 4),
    /// })
    /// .await?;
    /// assert_eq!(vm.config().await?.cores, Some(4));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the configuration changed twice; `InvalidInput` for an unusable value; `NotFound`")]
    pub async fn set_planned(&self, mut plan: impl FnMut(&VmConfig) -> ConfigUpdate) -> Result<()> {
        match self.set_once(&mut plan).await {
            Err(error) if error.reason() == Some(Reason::ConfigChanged) => {
                self.set_once(&mut plan).await
            }
            result => result,
        }
    }

    async fn set_once(&self, plan: &mut impl FnMut(&VmConfig) -> ConfigUpdate) -> Result<()> {
        let config = self.config().await?;
        let mut update = plan(&config);
        if let Some(digest) = &config.digest {
            update = update.digest(digest);
        }
        self.set(&update).await
    }

    /// Drops pending changes of these options.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound`; `InvalidInput` without an option")]
    pub async fn revert(&self, options: &[&str]) -> Result<()> {
        const OPERATION: &str = "revert VM options";
        if options.is_empty() {
            return Err(Error::field(OPERATION, "revert", "names no option"));
        }
        let request = self
            .put(OPERATION, CONFIG)
            .fitting("revert", joined(options), rule::OPTIONS);
        self.client.run(request).await
    }

    /// Starts to grow a disk to this size. A disk that has the size already is left as it is. Needs `VM.Config.Disk`.
    /// May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a size of 0. A disk that is larger, is missing, or is a CD drive fails the task")]
    pub async fn resize_disk(&self, slot: Slot, size: Size) -> Result<Task> {
        self.resize(slot, size, "").await
    }

    /// Starts to grow a disk by this size. Needs `VM.Config.Disk`. Do not repeat the call without reading the size first.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a size of 0. A disk that is missing or is a CD drive fails the task")]
    pub async fn grow_disk(&self, slot: Slot, by: Size) -> Result<Task> {
        self.resize(slot, by, "+").await
    }

    async fn resize(&self, slot: Slot, size: Size, sign: &str) -> Result<Task> {
        const OPERATION: &str = "resize disk";
        if size.bytes() == 0 {
            return Err(Error::field(OPERATION, "size", "must be more than 0"));
        }
        let request = self
            .put(OPERATION, "/nodes/{node}/qemu/{vmid}/resize")
            .param("disk", slot.to_string())
            .param("size", format!("{sign}{size}"));
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

    /// The cloud-init options with their present and pending values. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn cloud_init(&self) -> Result<Vec<PendingOption>> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit";
        self.client
            .call(self.get("read cloud-init options", route))
            .await
    }

    /// Writes the cloud-init drive again from the present options. Needs `VM.Config.Cloudinit`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn regenerate_cloud_init(&self) -> Result<()> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit";
        self.client
            .run(self.put("regenerate cloud-init drive", route))
            .await
    }

    /// A generated file of the cloud-init drive. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn cloud_init_dump(&self, part: impl Into<CloudInitPart>) -> Result<String> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit/dump";
        let request = self
            .get("dump cloud-init", route)
            .param("type", part.into().as_str());
        self.client.call(request).await
    }
}
