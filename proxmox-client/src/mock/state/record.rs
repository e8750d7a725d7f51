//! What a test sees of files and VMs.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use url::Url;

use crate::id::{NodeName, VmId, VolumeId};
use crate::vm::VmConfig;

/// A file or disk on a storage of the mock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VolumeRecord {
    /// The volume.
    pub id: VolumeId,
    /// `iso`, `import`, `vztmpl`, `snippets` or `images`.
    pub content: String,
    /// Size in bytes.
    pub size: u64,
    /// The VM that a disk belongs to.
    pub vmid: Option<VmId>,
    /// The node whose file it is, where every node has its own: a storage that is not shared, on another node than the first.
    pub node: Option<NodeName>,
    /// The bytes of a file; empty for disks.
    pub body: Bytes,
    /// The SHA-256 of the bytes in hexadecimal digits.
    pub sha256: String,
    /// Where the node fetched it from; `None` for uploads and disks.
    pub origin: Option<Url>,
}

impl VolumeRecord {
    pub(in crate::mock) fn file(
        id: VolumeId,
        content: &str,
        body: Bytes,
        origin: Option<Url>,
    ) -> Self {
        Self {
            id,
            content: content.to_owned(),
            size: body.len() as u64,
            vmid: None,
            node: None,
            sha256: hex(&Sha256::digest(&body)),
            body,
            origin,
        }
    }
}

pub(in crate::mock) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A VM of the mock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VmRecord {
    /// The id.
    pub id: VmId,
    /// The node.
    pub node: NodeName,
    /// The configuration, as a client reads it.
    pub config: VmConfig,
    /// Whether it runs.
    pub running: bool,
    /// The user data on its cloud-init drive, where `cicustom` replaces that of the server.
    pub user_data: Option<Bytes>,
    /// The meta data on its cloud-init drive, where `cicustom` replaces that of the server.
    pub meta_data: Option<Bytes>,
}
