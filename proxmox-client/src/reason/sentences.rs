//! The sentences of the servers.

use super::Reason;

/// What the first known sentence in the text means.
pub(super) fn reason_in(text: &str) -> Option<Reason> {
    SENTENCES
        .iter()
        .find(|(parts, _)| contains_in_order(text, parts))
        .map(|(_, reason)| *reason)
}

fn contains_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Fragments that occur in this order, most specific sentence first.
const SENTENCES: &[(&[&str], Reason)] = &[
    (
        &["Permission check failed (pool '", "' does not exist"],
        Reason::PoolMissing,
    ),
    (
        &["Permission check failed (user != root@pam)"],
        Reason::RootOnly,
    ),
    (&["not available with API token"], Reason::TokenRefused),
    (&["Permission check failed"], Reason::PermissionMissing),
    (&["received interrupt"], Reason::TaskInterrupted),
    (
        &["unable to create VM ", " already exists on node"],
        Reason::VmIdTaken,
    ),
    (
        &["unable to restore VM ", " already exists on node"],
        Reason::VmIdTaken,
    ),
    (
        &["unable to create VM ", "config file already exists"],
        Reason::VmIdTaken,
    ),
    (
        &["can't lock file '/var/lock/qemu-server/lock-"],
        Reason::VmLocked,
    ),
    (
        &["can't lock file '/var/lock/pve-manager/pve-storage-"],
        Reason::StorageLocked,
    ),
    (
        &["'storage-", "'-locked command timed out"],
        Reason::StorageTimedOut,
    ),
    (&["no quorum"], Reason::NoQuorum),
    (&["cfs-lock 'storage-"], Reason::StorageLocked),
    (&["cfs-lock 'file-"], Reason::ClusterFileLocked),
    (&["cfs-lock 'domain-"], Reason::ClusterFileLocked),
    (&["VM is locked"], Reason::VmLocked),
    (&["got no worker upid"], Reason::WorkerNotStarted),
    (&["fork failed"], Reason::WorkerNotStarted),
    (&["detected modified configuration"], Reason::ConfigChanged),
    (&["file change by other user"], Reason::ConfigChanged),
    (&["no options specified"], Reason::NothingToChange),
    (&["refusing to override existing file"], Reason::FileExists),
    (&["checksum mismatch"], Reason::ChecksumMismatch),
    (&["download failed"], Reason::DownloadFailed),
    (&["storage '", "' does not exist"], Reason::StorageMissing),
    (&["no such storage"], Reason::StorageMissing),
    (&["No such storage"], Reason::StorageMissing),
    (&["storage '", "' is disabled"], Reason::StorageDisabled),
    (
        &["storage '", "' is not available on node"],
        Reason::StorageNotOnNode,
    ),
    (&["storage '", "' does not support"], Reason::StorageContent),
    (
        &["storage '", "' is not configured for content-type"],
        Reason::StorageContent,
    ),
    (&["can't upload to storage type"], Reason::StorageContent),
    (
        &["Content type '", "' is not available on storage"],
        Reason::StorageContent,
    ),
    (&["can't find file '"], Reason::VolumeMissing),
    (&["No space left on device"], Reason::StorageFull),
    (&["insufficient free space"], Reason::StorageFull),
    (&["has insufficient free"], Reason::StorageFull),
    (&["not enough free space"], Reason::StorageFull),
    (&["out of space"], Reason::StorageFull),
    (&["no such cluster node"], Reason::NodeMissing),
    (&["hostname lookup '", "' failed"], Reason::NodeMissing),
    (&["bridge '", "' does not exist"], Reason::BridgeMissing),
    (&["unable to find bridge"], Reason::BridgeMissing),
    (&["volume '", "' does not exist"], Reason::VolumeMissing),
    (&["volume ", " does not exist"], Reason::VolumeMissing),
    (
        &["Configuration file '", "' does not exist"],
        Reason::VmMissing,
    ),
    (
        &["unable to find configuration file for VM "],
        Reason::VmMissing,
    ),
    (&["failed to stat '"], Reason::VolumeMissing),
    (
        &["volume_size_info on '", "' failed"],
        Reason::VolumeMissing,
    ),
    (&["no such task"], Reason::TaskMissing),
    (&["unexpected status"], Reason::TaskOutcomeUnknown),
    (
        &["unable to get last line from task log"],
        Reason::TaskOutcomeUnknown,
    ),
    (
        &["No QEMU guest agent configured"],
        Reason::AgentNotConfigured,
    ),
    (&["guest agent is not running"], Reason::AgentNotRunning),
    (&["Agent error:"], Reason::AgentError),
    (&["is running - destroy failed"], Reason::VmRunning),
    (
        &["unable to restore VM ", "vm is running"],
        Reason::VmRunning,
    ),
    (&["VM ", " already running"], Reason::VmRunning),
    (&["VM ", " not running"], Reason::VmNotRunning),
    (&["protection mode enabled"], Reason::VmProtected),
    (&["only root can set"], Reason::RootOnly),
    (
        &["Only root can pass arbitrary filesystem paths"],
        Reason::RootOnly,
    ),
    (&["Only root may use this option"], Reason::RootOnly),
    (&["certificate verify failed"], Reason::NodeCertificate),
    (
        &["MAX ", " vcpus allowed per VM on this node"],
        Reason::TooManyCores,
    ),
    (&["disk '", "' does not exist"], Reason::DiskMissing),
    (
        &["shrinking disks is not supported"],
        Reason::DiskNotResizable,
    ),
    (&["you can't resize a cdrom"], Reason::DiskNotResizable),
    (
        &["unable to parse ", " volume name '"],
        Reason::VolumeNameInvalid,
    ),
    (&["snapshot '", "' does not exist"], Reason::SnapshotMissing),
    (&["snapshot name '", "' already used"], Reason::NameTaken),
    (&["pool '", "' is not empty"], Reason::PoolNotEmpty),
    (&["pool '", "' does not exist"], Reason::PoolMissing),
    (&["role '", "' does not exist"], Reason::AccountMissing),
    (&["user '", "' does not exist"], Reason::AccountMissing),
    (&["no such user"], Reason::AccountMissing),
    (&["no such token"], Reason::AccountMissing),
    (&["does not look like a valid"], Reason::ValueInvalid),
    (
        &["ha groups have been migrated to rules"],
        Reason::HaGroupsMigrated,
    ),
    (
        &["ha groups have not been migrated yet"],
        Reason::HaGroupsNotMigrated,
    ),
    (&["ha group is used by service"], Reason::ObjectInUse),
    (&["not HA managed"], Reason::ObjectMissing),
    (&["no rule at position"], Reason::ObjectMissing),
    (&["cannot use unmanaged resource"], Reason::ValueInvalid),
    (&["no such option"], Reason::ValueInvalid),
    (&["unable to delete required option"], Reason::ValueInvalid),
    (&["unexpected property"], Reason::ValueInvalid),
    (&["missing value for required option"], Reason::ValueInvalid),
    (&["cannot set and delete property"], Reason::ValueInvalid),
    (&["Rule '", "' is invalid"], Reason::ValueInvalid),
    (&["unable to use volume"], Reason::ValueInvalid),
    (&["you can't move "], Reason::ValueInvalid),
    (&["has no associated volume"], Reason::ValueInvalid),
    (&["cannot migrate from storage type"], Reason::ValueInvalid),
    (&["cannot use non-existent node"], Reason::ValueInvalid),
    (&["already exist"], Reason::NameTaken),
    (&["already defined"], Reason::NameTaken),
    (&["no such "], Reason::ObjectMissing),
    (&["does not exist"], Reason::ObjectMissing),
];
