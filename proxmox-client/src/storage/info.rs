//! What a server reports about storages and volumes.

use super::Content;
use crate::id::{VmId, VolumeId};
use crate::params::request;
use crate::wire::response;

response!(
    /// A storage as a node sees it.
    StorageInfo {
        /// The name; absent in the response for a single storage.
        storage: Option<String> = "storage",
        /// The plug-in: `dir`, `lvmthin`, `zfspool`, `nfs` and so on.
        kind: String = "type",
        /// What the storage is configured for: `iso`, `images` and so on.
        content: Vec<String> = "content",
        /// Whether the storage is enabled in the configuration.
        enabled: bool = "enabled",
        /// Whether the node can use the storage now.
        active: bool = "active",
        /// Whether all nodes see the same files.
        shared: bool = "shared",
        /// Size in bytes; absent or 0 when the storage is not active.
        total: Option<u64> = "total",
        /// Used bytes.
        used: Option<u64> = "used",
        /// Free bytes.
        available: Option<u64> = "avail",
    }

    /// A storage in the configuration of the cluster.
    StorageConfig {
        /// The name.
        storage: String = "storage",
        /// The plug-in: `dir`, `lvmthin`, `zfspool`, `nfs` and so on.
        kind: String = "type",
        /// What the storage is configured for.
        content: Vec<String> = "content",
        /// The nodes that have the storage; empty means all.
        nodes: Vec<String> = "nodes",
        /// Whether the storage is disabled.
        disabled: bool = "disable",
        /// Whether all nodes see the same files.
        shared: bool = "shared",
        /// The directory of a storage of files.
        path: Option<String> = "path",
        /// SHA-1 of the configuration file.
        digest: Option<String> = "digest",
    }

    /// A file or disk on a storage.
    VolumeInfo {
        /// The volume.
        id: VolumeId = "volid",
        /// What the volume is for: `iso`, `images` and so on.
        content: Option<String> = "content",
        /// `iso`, `raw`, `qcow2` and so on.
        format: Option<String> = "format",
        /// Size in bytes. From PVE 9.2 on the size can be missing where finding it would be slow.
        size: Option<u64> = "size",
        /// An estimate of the size, where the size is missing.
        approximate_size: Option<u64> = "approximate-size",
        /// Bytes in use on the storage.
        used: Option<u64> = "used",
        /// The VM that a disk belongs to.
        vmid: Option<VmId> = "vmid",
        /// The base volume of a linked clone.
        parent: Option<String> = "parent",
        /// Creation time in seconds since 1970.
        created_at: Option<u64> = "ctime",
        /// The notes of a backup.
        notes: Option<String> = "notes",
        /// Whether a backup is protected from removal.
        protected: bool = "protected",
    }

    /// One volume in detail.
    VolumeDetails {
        /// The path on the node.
        path: String = "path",
        /// `iso`, `raw`, `qcow2` and so on.
        format: Option<String> = "format",
        /// Size in bytes.
        size: Option<u64> = "size",
        /// Bytes in use on the storage.
        used: Option<u64> = "used",
        /// The notes of a backup.
        notes: Option<String> = "notes",
        /// Whether a backup is protected from removal.
        protected: bool = "protected",
    }
);

impl StorageInfo {
    /// Whether the storage is configured for this content.
    #[must_use]
    pub fn supports(&self, content: Content) -> bool {
        self.content.iter().any(|name| name == content.as_str())
    }
}

request!(
    /// Changes to a backup, for [`Storage::update_volume`](super::Storage::update_volume).
    VolumeUpdate() {
        /// Sets the notes.
        notes: String = "notes",
        ; flags {
            /// Protects the backup from removal.
            protect = "protected" "1",
            /// Ends the protection.
            unprotect = "protected" "0",
        }
    }
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_storage_knows_what_it_is_for() {
        let storage: StorageInfo = serde_json::from_value(json!({
            "storage": "local", "type": "dir", "content": "iso,vztmpl", "active": 1, "avail": "1e3",
        }))
        .unwrap();

        assert!(storage.supports(Content::Iso) && !storage.supports(Content::Images));
        assert_eq!(storage.available, Some(1000));
    }

    #[test]
    fn a_volume_without_size_is_read_and_what_is_unknown_is_kept() {
        let volume: VolumeInfo = serde_json::from_value(json!({
            "volid": "local:iso/talos.iso", "format": "iso", "approximate-size": 5, "encrypted": "x",
        }))
        .unwrap();

        assert_eq!(volume.size, None);
        assert_eq!(volume.approximate_size, Some(5));
        assert_eq!(volume.other["encrypted"], "x");
    }
}
