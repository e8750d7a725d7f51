//! Creating a VM from a backup.

use super::Size;
use crate::docs::write_errors;
use crate::error::Result;
use crate::id::{StorageName, VmId, VolumeId};
use crate::node::Node;
use crate::params::request;
use crate::request::Request;
use crate::task::Task;

request!(
    /// A VM to create from a backup.
    ///
    /// The VM gets the options and the disks of the backup; its options can be replaced, its drives cannot.
    RestoreRequest(vm: VmId = "vmid", archive: VolumeId = "archive") {
        /// The storage of all disks; without it each disk is restored to where it was.
        storage: StorageName = "storage",
        /// The pool that the VM becomes a member of.
        pool: String = "pool" is POOL,
        /// The largest transfer rate in KiB/s; 0 for no limit.
        bandwidth_limit: u64 = "bwlimit",
        /// Replaces the name of the VM.
        name: String = "name" is DNS_NAME,
        /// Replaces the memory, in MiB.
        memory_mib: u32 = "memory",
        /// Replaces the number of cores per socket.
        cores: u32 = "cores",
        /// Replaces the description.
        description: String = "description" is TEXT_8192,
        ; flags {
            /// Replaces the VM that has the ID; it must not run, and its disks are **lost**.
            force = "force" "1",
            /// Gives the VM new MAC addresses and a new identity, so that it can run beside the one that was backed up.
            unique = "unique" "1",
            /// Starts the VM at once and restores its disks meanwhile. For backups on a Proxmox Backup Server only.
            live = "live-restore" "1",
            /// Starts the VM when it is restored. A start that fails is a warning of the task.
            start = "start" "1",
        }
    }
);

impl RestoreRequest {
    /// Replaces any other option of the VM by the server's name.
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.set(name, value.into());
        self
    }

    /// The largest transfer in a second.
    pub fn bytes_per_second(self, limit: Size) -> Self {
        self.bandwidth_limit(limit.bytes().div_ceil(1024))
    }
}

impl Node {
    /// Starts to create a VM from a backup. Needs `VM.Allocate` on the VM or its pool (`VM.Backup` is enough to replace a VM
    /// by force), the right to read the backup, and `Datastore.AllocateSpace` on the storages of the disks; `VM.PowerMgmt`
    /// to start the VM. Do not repeat the call without reading the state first.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::cluster::BackupRequest;
    /// use proxmox_client::id::{StorageName, VmId};
    /// use proxmox_client::vm::RestoreRequest;
    /// use proxmox_client::{Poll, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("memory", "4096")]);
    /// let node = mock.client().node("pve-01".parse()?);
    /// let backups = StorageName::new("local")?;
    /// let task = node.back_up(&[VmId::new(104)?], &BackupRequest::new(backups.clone())).await?;
    /// task.wait(Poll::default()).await?;
    ///
    /// let archive = node.storage(backups).backups_of(VmId::new(104)?).await?.remove(0).id;
    /// let restore = RestoreRequest::new(VmId::new(105)?, archive).unique();
    /// node.restore_vm(&restore).await?.wait(Poll::default()).await?;
    ///
    /// assert_eq!(node.vm(VmId::new(105)?).config().await?.memory_mib, Some(4096));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput`; `AlreadyExists` when the ID is taken and the VM is not to be replaced; `NotFound` for an unknown backup or storage. A VM that runs or is protected fails the task")]
    pub async fn restore_vm(&self, restore: &RestoreRequest) -> Result<Task> {
        let request = Request::post("restore VM", "/nodes/{node}/qemu", &[self.name.as_str()])
            .target(self.target())
            .with(&restore.params);
        self.client.start_task(request).await
    }
}
