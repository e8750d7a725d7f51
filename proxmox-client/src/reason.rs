//! What the server's sentences mean. Proxmox VE responds to most rejected calls with status 500 and a sentence, so that
//! the sentence is the error code.

mod sentences;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;

/// The meaning of a known server text, in an HTTP answer or at the end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The id belongs to another VM or container of the cluster.
    VmIdTaken,
    /// The VM has no configuration on that node.
    VmMissing,
    /// Another task works on the VM, or its configuration file is locked.
    VmLocked,
    /// The storage is busy with another allocation.
    StorageLocked,
    /// The storage was locked for too long; something may be left behind.
    StorageTimedOut,
    /// A cluster-wide file is being written by somebody else.
    ClusterFileLocked,
    /// The cluster has no quorum; reads work, writes do not.
    NoQuorum,
    /// The node could not fork a worker for the task.
    WorkerNotStarted,
    /// The configuration changed since the digest was read.
    ConfigChanged,
    /// Nothing was given to change.
    NothingToChange,
    /// The VM runs already, or must be stopped for this.
    VmRunning,
    /// The VM does not run.
    VmNotRunning,
    /// The protection flag of the VM forbids it.
    VmProtected,
    /// No storage of that name.
    StorageMissing,
    /// The storage is disabled.
    StorageDisabled,
    /// The storage is not available on that node.
    StorageNotOnNode,
    /// The storage is not configured for this type of content.
    StorageContent,
    /// No space left on the storage (or, for uploads, in the node's `/var/tmp`).
    StorageFull,
    /// A volume (disk, ISO image) does not exist.
    VolumeMissing,
    /// A file of that name is there already and is not overwritten.
    FileExists,
    /// The file does not have the given checksum.
    ChecksumMismatch,
    /// The node could not fetch the URL.
    DownloadFailed,
    /// No node of that name.
    NodeMissing,
    /// The contacted node cannot reach the target node; the request was not executed.
    NodeUnreachable,
    /// The contacted node does not trust the target node, usually because a domain name or an
    /// address was used as node name.
    NodeCertificate,
    /// The bridge does not exist on the node (noticed when the VM starts, not at creation).
    BridgeMissing,
    /// The node does not know the task (yet).
    TaskMissing,
    /// The worker died without a result.
    TaskOutcomeUnknown,
    /// The task was stopped.
    TaskInterrupted,
    /// The VM has no `agent` option.
    AgentNotConfigured,
    /// The guest agent does not answer (yet).
    AgentNotRunning,
    /// The guest agent rejected the command.
    AgentError,
    /// Only `root@pam` with a password may do this; no API token can.
    RootOnly,
    /// The call is not available to API tokens.
    TokenRefused,
    /// A privilege is missing; a task can fail for it as well. [`Error::missing_permissions`] has path and privilege.
    ///
    /// [`Error::missing_permissions`]: crate::Error::missing_permissions
    PermissionMissing,
    /// The node has fewer processors than the VM (found when the VM starts).
    TooManyCores,
    /// The VM has no such disk.
    DiskMissing,
    /// The disk cannot get this size: it is larger, or it is a CD drive.
    DiskNotResizable,
    /// The name of the volume does not fit the storage.
    VolumeNameInvalid,
    /// The VM has no such snapshot.
    SnapshotMissing,
    /// No such pool.
    PoolMissing,
    /// The pool has members or nested pools.
    PoolNotEmpty,
    /// No such user, role or token.
    AccountMissing,
    /// The name of a user, role, token, pool, snapshot or other object is taken.
    NameTaken,
    /// Another object does not exist.
    ObjectMissing,
    /// A value does not have the required form.
    ValueInvalid,
    /// High availability has no groups any more, but rules (PVE 9).
    HaGroupsMigrated,
    /// High availability has no rules yet, because its groups were not migrated (the first hours after an upgrade to PVE 9).
    HaGroupsNotMigrated,
    /// Another object uses it.
    ObjectInUse,
}

impl Reason {
    /// Finds the known sentence in `text`.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        sentences::reason_in(text)
    }

    /// Whether this passes by itself and certainly nothing was done.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::VmLocked
                | Self::StorageLocked
                | Self::ClusterFileLocked
                | Self::NoQuorum
                | Self::WorkerNotStarted
        )
    }

    pub(crate) const fn kind(self) -> Option<ErrorKind> {
        Some(match self {
            Self::VmIdTaken | Self::FileExists | Self::NameTaken => ErrorKind::AlreadyExists,
            Self::VmMissing
            | Self::StorageMissing
            | Self::NodeMissing
            | Self::VolumeMissing
            | Self::BridgeMissing
            | Self::TaskMissing
            | Self::DiskMissing
            | Self::SnapshotMissing
            | Self::PoolMissing
            | Self::AccountMissing
            | Self::ObjectMissing => ErrorKind::NotFound,
            Self::ConfigChanged
            | Self::VmRunning
            | Self::VmNotRunning
            | Self::PoolNotEmpty
            | Self::ObjectInUse => ErrorKind::Conflict,
            Self::HaGroupsMigrated | Self::HaGroupsNotMigrated => ErrorKind::Unsupported,
            Self::AgentNotRunning => ErrorKind::NotReady,
            Self::RootOnly | Self::TokenRefused | Self::PermissionMissing => ErrorKind::Forbidden,
            Self::VmProtected
            | Self::NothingToChange
            | Self::StorageDisabled
            | Self::StorageNotOnNode
            | Self::StorageContent
            | Self::StorageFull
            | Self::ChecksumMismatch
            | Self::AgentNotConfigured
            | Self::AgentError
            | Self::TooManyCores
            | Self::DiskNotResizable
            | Self::VolumeNameInvalid
            | Self::ValueInvalid => ErrorKind::Rejected,
            Self::NodeUnreachable => ErrorKind::Connect,
            _ if self.is_passing() => ErrorKind::Busy,
            _ => return None,
        })
    }
}

/// The kind of an answer with `status` whose text means `reason`.
pub(crate) fn kind_of(status: StatusCode, reason: Option<Reason>) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        595 => ErrorKind::Connect,
        596..=599 if reason == Some(Reason::NodeCertificate) => ErrorKind::Server,
        596..=599 => ErrorKind::Interrupted,
        code => match (reason.and_then(Reason::kind), code) {
            (Some(kind), _) => kind,
            (None, 404) => ErrorKind::NotFound,
            (None, 429 | 503) => ErrorKind::Busy,
            (None, 501) => ErrorKind::Unsupported,
            (None, 300..=499 | 506) => ErrorKind::Rejected,
            (None, _) => ErrorKind::Server,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_500(text: &str) -> ErrorKind {
        kind_of(StatusCode::INTERNAL_SERVER_ERROR, Reason::of(text))
    }

    #[test]
    fn lock_texts_are_busy() {
        for text in [
            "can't lock file '/var/lock/qemu-server/lock-104.conf' - got timeout",
            "can't lock file '/var/lock/pve-manager/pve-storage-nvme-lvm' - got timeout",
            "cfs-lock 'storage-ceph' error: got lock request timeout",
            "cfs-lock 'file-user_cfg' error: got lock request timeout",
            "cfs-lock 'file-user_cfg' error: no quorum!",
            "VM is locked (snapshot-delete)",
            "cluster not ready - no quorum?",
            "got no worker upid - start worker failed",
        ] {
            assert_eq!(at_500(text), ErrorKind::Busy, "{text}");
        }
    }

    #[test]
    fn a_storage_that_was_locked_too_long_is_not_a_certain_refusal() {
        let reason = Reason::of("'storage-nfs'-locked command timed out - aborting");

        assert_eq!(reason, Some(Reason::StorageTimedOut));
        assert!(!Reason::StorageTimedOut.is_passing());
    }

    #[test]
    fn missing_objects_are_told_apart() {
        for (text, reason) in [
            (
                "Configuration file 'nodes/pve1/qemu-server/104.conf' does not exist",
                Reason::VmMissing,
            ),
            ("storage 'nope' does not exist", Reason::StorageMissing),
            ("no such cluster node 'pve-09'", Reason::NodeMissing),
            ("bridge 'vmbr9' does not exist", Reason::BridgeMissing),
            (
                "volume 'local:iso/x.iso' does not exist",
                Reason::VolumeMissing,
            ),
        ] {
            assert_eq!(Reason::of(text), Some(reason), "{text}");
            assert_eq!(at_500(text), ErrorKind::NotFound, "{text}");
        }
    }

    #[test]
    fn sentences_of_the_real_servers_are_known() {
        for (text, reason) in [
            (
                "hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known",
                Reason::NodeMissing,
            ),
            ("No such storage.", Reason::StorageMissing),
            (
                "unable to find configuration file for VM 9999 on node 'pve-01'",
                Reason::VmMissing,
            ),
            (
                "storage 'x' is not configured for content-type 'iso'",
                Reason::StorageContent,
            ),
            (
                "unable to create VM 150 - failed to stat '/var/lib/vz/import/nope.raw'",
                Reason::VolumeMissing,
            ),
            (
                "unable to create VM 150 - 403 Permission check failed (/, Sys.Modify for modifying tag 'x')",
                Reason::PermissionMissing,
            ),
            (
                "unable to create VM 150 - can't lock file '/var/lock/pve-manager/pve-storage-x' - got timeout",
                Reason::StorageLocked,
            ),
            (
                "download failed: received interrupt",
                Reason::TaskInterrupted,
            ),
            (
                "MAX 4 vcpus allowed per VM on this node",
                Reason::TooManyCores,
            ),
            (
                "create role failed: role 'Boot' already exists",
                Reason::NameTaken,
            ),
            (
                "delete pool failed: pool 'p1' is not empty (contains storage 'local')",
                Reason::PoolNotEmpty,
            ),
            (
                "no such token 'boot' for user 'carol@pve'",
                Reason::AccountMissing,
            ),
            ("disk 'scsi9' does not exist", Reason::DiskMissing),
            ("interface does not exist", Reason::ObjectMissing),
        ] {
            assert_eq!(Reason::of(text), Some(reason), "{text}");
        }
    }

    #[test]
    fn a_taken_id_exists_already_whether_vm_or_container() {
        for text in [
            "unable to create VM 104 - VM 104 already exists on node 'pve1'",
            "unable to create VM 104 - CT 104 already exists on node 'pve1'",
            "unable to create VM 105: config file already exists",
        ] {
            assert_eq!(at_500(text), ErrorKind::AlreadyExists, "{text}");
        }
    }

    #[test]
    fn the_forwarding_codes_tell_not_executed_from_unknown() {
        let kind = |code, text| {
            kind_of(
                StatusCode::from_u16(code).unwrap_or_default(),
                Reason::of(text),
            )
        };

        assert_eq!(kind(595, "Connection refused"), ErrorKind::Connect);
        assert_eq!(kind(596, "Broken pipe"), ErrorKind::Interrupted);
        assert_eq!(kind(596, "certificate verify failed"), ErrorKind::Server);
        assert_eq!(kind(599, "Too many redirections"), ErrorKind::Interrupted);
        assert_eq!(
            kind(501, "Method 'GET /x' not implemented"),
            ErrorKind::Unsupported
        );
    }
}
