//! Which backups to keep.

use crate::id::{VmId, VolumeId};
use crate::params::request;
use crate::vm::text_enum;
use crate::wire::response;

text_enum!(
    /// Whose backups.
    BackedUpGuest {
        /// Those of VMs.
        Vm = "qemu",
        /// Those of containers.
        Container = "lxc",
    }
);

request!(
    /// Which backups to keep, for [`Storage::prune_backups`](super::Storage::prune_backups). `keep` is a property string
    /// such as `keep-last=3,keep-weekly=2`.
    PruneRequest(keep: String = "prune-backups") {
        /// Considers the backups of this VM only.
        vm: VmId = "vmid",
        /// Considers backups of VMs (`qemu`) or containers (`lxc`) only.
        guest_type: BackedUpGuest = "type",
        ; flags {}
    }
);

response!(
    /// A backup and whether it would be removed.
    PrunableBackup {
        /// The volume.
        id: VolumeId = "volid",
        /// `keep`, `remove`, `protected` or `renamed`.
        mark: String = "mark",
        /// Creation time in seconds since 1970.
        created_at: Option<u64> = "ctime",
        /// The VM.
        vmid: Option<VmId> = "vmid",
        /// `qemu`, `lxc` or `unknown`.
        kind: Option<String> = "type",
    }
);
