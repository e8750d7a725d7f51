//! Backups and replication.

use super::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::id::{StorageName, VmId};
use crate::node::Node;
use crate::params::{joined, request};
use crate::request::Request;
use crate::task::Task;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// A scheduled backup.
    BackupJob {
        /// The ID.
        id: String = "id",
        /// When the job runs, as a calendar event.
        schedule: Option<String> = "schedule",
        /// The storage.
        storage: Option<String> = "storage",
        /// The VMs, separated by commas; absent when all are backed up.
        vmids: Vec<String> = "vmid",
        /// Whether all guests are backed up.
        all: bool = "all",
        /// Whether the job is enabled.
        enabled: Option<bool> = "enabled",
        /// `snapshot`, `suspend` or `stop`.
        mode: Option<String> = "mode",
        /// The next run, in seconds since 1970.
        next_run: Option<u64> = "next-run",
    }

    /// A scheduled replication of the disks of a guest.
    ReplicationJob {
        /// The ID, `104-0`.
        id: String = "id",
        /// The guest.
        guest: Option<VmId> = "guest",
        /// The target node.
        target: Option<String> = "target",
        /// When the job runs, as a calendar event.
        schedule: Option<String> = "schedule",
        /// Whether the job is disabled.
        disabled: bool = "disable",
    }
);

text_enum!(
    /// What a VM does while it is backed up.
    BackupMode {
        /// It runs; the disks are read as they were at the start.
        Snapshot = "snapshot",
        /// It is suspended.
        Suspend = "suspend",
        /// It is shut down, and started again at once.
        Stop = "stop",
    }
);

text_enum!(
    /// How a backup is compressed.
    BackupCompression {
        /// Not at all, the server's default.
        None = "0",
        /// LZO: quick.
        Lzo = "lzo",
        /// gzip.
        Gzip = "gzip",
        /// Zstandard: quick and small.
        Zstd = "zstd",
    }
);

request!(
    /// A backup to start.
    BackupRequest(storage: StorageName = "storage") {
        /// `snapshot` (the default), `suspend` or `stop`.
        mode: BackupMode = "mode",
        /// `0`, `gzip`, `lzo` or `zstd`.
        compress: BackupCompression = "compress",
        /// The notes; `{{guestname}}` and others are replaced.
        notes: String = "notes-template" is TEXT_1024,
        /// Which backups to keep afterwards, as a property string.
        keep: String = "prune-backups",
        ; flags {
            /// Protects the backup from removal.
            protected = "protected" "1",
        }
    }
);

impl Node {
    /// Starts a backup of VMs on this node. Needs `VM.Backup` on the VMs and `Datastore.AllocateSpace` on the storage.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` for an unknown storage")]
    pub async fn back_up(&self, vms: &[VmId], backup: &BackupRequest) -> Result<Task> {
        let list = joined(vms);
        let request = Request::post("back up VMs", "/nodes/{node}/vzdump", &[self.name.as_str()])
            .target(format!("{}, VMs {list}", self.target()))
            .param("vmid", list)
            .with(&backup.params);
        self.client.start_task(request).await
    }
}

impl Cluster {
    /// The scheduled backups. Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn backup_jobs(&self) -> Result<Vec<BackupJob>> {
        self.client
            .call(Request::get("list backup jobs", "/cluster/backup", &[]))
            .await
    }

    /// The scheduled replications that the caller may see (`VM.Audit`).
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn replication_jobs(&self) -> Result<Vec<ReplicationJob>> {
        let request = Request::get("list replication jobs", "/cluster/replication", &[]);
        self.client.call(request).await
    }
}
