//! Storages: what is on them, and bringing files there.

pub mod checksum;
pub mod download;
pub(crate) mod progress;
pub mod upload;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{NodeName, StorageName, VolumeId};
use crate::request::Request;
use crate::task::Task;
use crate::upid::TaskId;
use crate::wire;

pub use checksum::Checksum;
pub use download::DownloadRequest;
pub use upload::UploadRequest;

/// What a file is for; a storage is configured for some of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Content {
    /// ISO images: `.iso`, `.img`.
    #[serde(rename = "iso")]
    Iso,
    /// Disk images to create VM disks from (PVE 8.4 and later): `.raw`, `.qcow2`, `.vmdk`, `.ova`.
    #[serde(rename = "import")]
    Import,
    /// Container templates.
    #[serde(rename = "vztmpl")]
    Template,
    /// Disks of VMs. Made by creating VMs, not by upload.
    #[serde(rename = "images")]
    Images,
}

impl Content {
    /// The server's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iso => "iso",
            Self::Import => "import",
            Self::Template => "vztmpl",
            Self::Images => "images",
        }
    }

    /// Checks a file name as the server does after its own normalisation.
    fn check_file_name(self, name: &str) -> Result<(), &'static str> {
        let lower = name.to_ascii_lowercase();
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
        match self {
            Self::Iso if ends_with(&[".iso", ".img"]) => Ok(()),
            Self::Iso => Err("an ISO image must be named *.iso or *.img"),
            Self::Template if ends_with(TEMPLATE_ENDINGS) => Ok(()),
            Self::Template => Err("a template must be named *.tar, *.tar.gz, .xz, .zst or .bz2"),
            // Unlike the others, the extensions of disk images are compared with their case.
            Self::Import if IMPORT_ENDINGS.iter().any(|ending| name.ends_with(ending)) => Ok(()),
            Self::Import => Err("a disk image must be named *.raw, *.qcow2, *.vmdk or *.ova"),
            Self::Images => Err("disks cannot be uploaded; use the content type import"),
        }
    }
}

const TEMPLATE_ENDINGS: &[&str] = &[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"];
const IMPORT_ENDINGS: &[&str] = &[".raw", ".qcow2", ".vmdk", ".ova"];

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A storage as a node sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StorageInfo {
    /// The name; absent in the answer for a single storage.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub storage: Option<String>,
    /// The plug-in: `dir`, `lvmthin`, `zfspool`, `nfs` and so on.
    #[serde(rename = "type", deserialize_with = "wire::string")]
    pub kind: String,
    /// What it is configured for: `iso`, `images` and so on.
    #[serde(default, deserialize_with = "wire::list")]
    pub content: Vec<String>,
    /// Whether it is enabled in the configuration.
    #[serde(default = "yes", deserialize_with = "wire::bool")]
    pub enabled: bool,
    /// Whether the node can use it now.
    #[serde(default, deserialize_with = "wire::bool")]
    pub active: bool,
    /// Whether all nodes see the same files.
    #[serde(default, deserialize_with = "wire::bool")]
    pub shared: bool,
    /// Size in bytes; absent or 0 when inactive.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub total: Option<u64>,
    /// Used bytes.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub used: Option<u64>,
    /// Free bytes.
    #[serde(default, rename = "avail", deserialize_with = "wire::opt_u64")]
    pub available: Option<u64>,
}

const fn yes() -> bool {
    true
}

impl StorageInfo {
    /// Whether the storage is configured for this content.
    #[must_use]
    pub fn supports(&self, content: Content) -> bool {
        self.content.iter().any(|name| name == content.as_str())
    }
}

/// A file or disk on a storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// The volume.
    #[serde(rename = "volid")]
    pub id: VolumeId,
    /// What it is for.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub content: Option<String>,
    /// `iso`, `raw`, `qcow2` and so on.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub format: Option<String>,
    /// Size in bytes. From PVE 9.2 on it can be missing where it would be slow to find out.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub size: Option<u64>,
    /// The VM it belongs to.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub vmid: Option<u64>,
    /// Creation time in seconds since 1970.
    #[serde(default, rename = "ctime", deserialize_with = "wire::opt_u64")]
    pub created_at: Option<u64>,
}

/// A handle for one storage as seen by one node, made by [`Node::storage`](crate::Node::storage).
#[derive(Debug, Clone)]
pub struct Storage {
    client: Client,
    node: NodeName,
    name: StorageName,
}

impl Storage {
    pub(crate) fn new(client: Client, node: NodeName, name: StorageName) -> Self {
        Self { client, node, name }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &StorageName {
        &self.name
    }

    fn args(&self) -> [&str; 2] {
        [self.node.as_str(), self.name.as_str()]
    }

    fn target(&self) -> String {
        format!("node {}, storage {}", self.node, self.name)
    }

    /// Type, content types and free space.
    ///
    /// # Errors
    /// `NotFound` for an unknown storage, `Forbidden`, `Rejected` when it is disabled or not on
    /// this node, and the kinds of a read.
    pub async fn status(&self) -> Result<StorageInfo> {
        let route = "/nodes/{node}/storage/{storage}/status";
        let request =
            Request::get("read storage status", route, &self.args()).target(self.target());
        self.client.transport().call(request).await
    }

    /// The files and disks, all of them or those of one kind.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn content(&self, content: Option<Content>) -> Result<Vec<VolumeInfo>> {
        let route = "/nodes/{node}/storage/{storage}/content";
        let mut request =
            Request::get("list storage content", route, &self.args()).target(self.target());
        if let Some(content) = content {
            request = request.param("content", content.as_str());
        }
        self.client.transport().call(request).await
    }

    /// One volume, or `None`. Reads the list: asking for a single missing volume gives an error
    /// whose text depends on the storage plug-in.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn find(&self, volume: &VolumeId) -> Result<Option<VolumeInfo>> {
        let volumes = self.content(None).await?;
        Ok(volumes.into_iter().find(|info| info.id == *volume))
    }

    /// The volume that an upload or download under this file name makes here.
    ///
    /// # Errors
    /// `InvalidInput` when the name cannot be used.
    pub fn volume_for(&self, content: Content, file_name: &str) -> Result<VolumeId> {
        VolumeId::of_file(&self.name, content.as_str(), file_name)
    }

    /// Begins to delete a volume; `None` when it is gone already.
    ///
    /// An ISO image that a VM still has in its drive is deleted without complaint, and the VM then
    /// does not start any more: take it out of the drive first.
    ///
    /// # Errors
    /// `Forbidden` without `Datastore.Allocate`, `Busy` for locks, and the kinds of a change.
    pub async fn delete(&self, volume: &VolumeId) -> Result<Option<Task>> {
        let route = "/nodes/{node}/storage/{storage}/content/{volume}";
        let args = [self.node.as_str(), self.name.as_str(), volume.as_str()];
        let request =
            Request::delete("delete volume", route, &args).target(format!("volume {volume}"));
        let id: Option<TaskId> = self.client.transport().call(request).await?;
        Ok(id.map(|id| self.client.task(id)))
    }
}

fn check_file_name(operation: &'static str, content: Content, name: &str) -> Result<()> {
    let stored = crate::id::normalized_file_name(name);
    if stored.is_empty() || stored.len() > 255 {
        return Err(Error::field(
            operation,
            "filename",
            "must have 1 to 255 characters",
        ));
    }
    content
        .check_file_name(&stored)
        .map_err(|problem| Error::field(operation, "filename", format!("`{name}`: {problem}")))
}

/// The failure to make sense of our own input, before anything is sent.
fn invalid_body(operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_message(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn file_names_are_checked_by_content() {
        for (content, name, good) in [
            (Content::Iso, "talos.ISO", true),
            (Content::Iso, "talos.raw", false),
            (Content::Import, "talos.qcow2", true),
            (Content::Import, "talos.QCOW2", false),
            (Content::Template, "alpine.tar.zst", true),
            (Content::Images, "disk.raw", false),
        ] {
            assert_eq!(
                check_file_name("upload", content, name).is_ok(),
                good,
                "{name}"
            );
        }
    }

    #[test]
    fn a_storage_knows_what_it_is_for() {
        let storage: StorageInfo = serde_json::from_value(json!({
            "storage": "local", "type": "dir", "content": "iso,vztmpl", "active": 1, "avail": "1e3",
        }))
        .unwrap();

        assert!(storage.supports(Content::Iso) && !storage.supports(Content::Images));
        assert!(storage.enabled);
        assert_eq!(storage.available, Some(1000));
    }

    #[test]
    fn a_volume_without_size_is_read() {
        let volume: VolumeInfo = serde_json::from_value(json!({
            "volid": "local:iso/talos.iso", "format": "iso", "approximate-size": 5,
        }))
        .unwrap();

        assert_eq!(volume.size, None);
    }
}
