//! Storages: what is on them, and how files get there.

pub mod checksum;
pub mod download;
mod info;
pub(crate) mod progress;
mod prune;
pub mod upload;

use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::request::Request;
use crate::rule;
use crate::task::Task;
use crate::vm::Size;

pub use checksum::Checksum;
pub use download::{Compression, DownloadRequest};
pub use info::{StorageConfig, StorageInfo, VolumeDetails, VolumeInfo, VolumeUpdate};
pub use prune::{BackedUpGuest, PrunableBackup, PruneRequest};
pub use upload::{Upload, UploadRequest};

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
    /// Files that the node itself reads: parts of cloud-init drives, hook scripts. They cannot be uploaded.
    #[serde(rename = "snippets")]
    Snippets,
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
            Self::Snippets => "snippets",
        }
    }

    /// Checks a file name as the server does after its own normalisation.
    fn check_file_name(self, name: &str) -> Result<(), &'static str> {
        let lower = name.to_ascii_lowercase();
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
        match self {
            // Without a stem the server does not recognize the name (measured: `.iso` is refused).
            _ if name.starts_with('.') => {
                Err("a file whose name begins with a dot is refused or never listed")
            }
            Self::Iso if ends_with(&[".iso", ".img"]) => Ok(()),
            Self::Iso => Err("an ISO image must be named *.iso or *.img"),
            Self::Template if ends_with(TEMPLATE_ENDINGS) => Ok(()),
            Self::Template => Err("a template must be named *.tar, *.tar.gz, .xz, .zst or .bz2"),
            // Unlike the others, the extensions of disk images are compared with their case.
            Self::Import if IMPORT_ENDINGS.iter().any(|ending| name.ends_with(ending)) => Ok(()),
            Self::Import => Err("a disk image must be named *.raw, *.qcow2, *.vmdk or *.ova"),
            Self::Images => Err("disks cannot be uploaded; use the content type import"),
            Self::Snippets => {
                Err("snippets cannot be uploaded; write them into the folder of the storage")
            }
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

    /// Type, content types and free space. Needs `Datastore.Audit` or `Datastore.AllocateSpace` on the storage.
    ///
    /// A disabled storage is reported as such, without sizes.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage; `Rejected` when it is not on this node")]
    pub async fn status(&self) -> Result<StorageInfo> {
        let route = "/nodes/{node}/storage/{storage}/status";
        let request =
            Request::get("read storage status", route, &self.args()).target(self.target());
        self.client.call(request).await
    }

    /// The files and disks, all of them or those of one kind. Disks need `Datastore.Audit` and are filtered by the
    /// caller's rights on their VMs. Snippets are listed only to who has `Datastore.Allocate` on the storage
    /// (pve-storage 9.1.7, `check_volume_access`).
    ///
    /// A file whose name begins with a dot is never listed.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage; `Rejected` when it is disabled or not on this node")]
    pub async fn content(&self, content: Option<Content>) -> Result<Vec<VolumeInfo>> {
        let mut request = self.content_request("list storage content");
        if let Some(content) = content {
            request = request.param("content", content.as_str());
        }
        self.client.call(request).await
    }

    /// The disks of one VM.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage; `Rejected` when it is disabled or not on this node")]
    pub async fn disks_of(&self, vm: VmId) -> Result<Vec<VolumeInfo>> {
        let request = self
            .content_request("list disks of a VM")
            .param("vmid", vm.to_string());
        self.client.call(request).await
    }

    /// The backups of one VM. Needs `Datastore.AllocateSpace`, or `VM.Backup` on the VM.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage; `Rejected` when it is disabled or not on this node")]
    pub async fn backups_of(&self, vm: VmId) -> Result<Vec<VolumeInfo>> {
        let request = self
            .content_request("list backups of a VM")
            .param("content", "backup")
            .param("vmid", vm.to_string());
        self.client.call(request).await
    }

    fn content_request(&self, operation: &'static str) -> Request {
        let route = "/nodes/{node}/storage/{storage}/content";
        Request::get(operation, route, &self.args()).target(self.target())
    }

    /// The volume, or `None` when the storage does not list it.
    ///
    /// Reads the list: the response for a single missing volume is an error whose text depends on the storage plug-in.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for an unknown storage; `Rejected` when it is disabled or not on this node")]
    pub async fn find(&self, volume: &VolumeId) -> Result<Option<VolumeInfo>> {
        let volumes = self.content(None).await?;
        Ok(volumes.into_iter().find(|info| info.id == *volume))
    }

    /// Path, format and sizes of one volume.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the volume does not exist, as far as the storage plug-in says so")]
    pub async fn volume(&self, volume: &VolumeId) -> Result<VolumeDetails> {
        let request = self.volume_request(Method::GET, "read volume", volume);
        self.client.call(request).await
    }

    /// Changes the notes of a backup or its protection. Needs `VM.Backup` or `Datastore.Allocate`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the volume does not exist")]
    pub async fn update_volume(&self, volume: &VolumeId, update: &VolumeUpdate) -> Result<()> {
        let request = self
            .volume_request(Method::PUT, "change volume", volume)
            .with(&update.params);
        self.client.run(request).await
    }

    /// Starts to copy a volume to the name `target` on this storage, on this node or on `target_node`. Only `root@pam` with
    /// a password may do this.
    ///
    /// The server's description calls the call experimental. Its task sends the volume over SSH, to this node as well, where
    /// it fails unless the node may log in to itself (pve-storage 9.1.7). Moving a disk, cloning a VM, downloading and
    /// uploading are the ways that work everywhere.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` for an unknown storage. What is wrong with the volumes fails the task")]
    pub async fn copy_volume(
        &self,
        volume: &VolumeId,
        target: &VolumeId,
        target_node: Option<&NodeName>,
    ) -> Result<Task> {
        let mut request = self
            .volume_request(Method::POST, "copy volume", volume)
            .param("target", target.as_str());
        if let Some(node) = target_node {
            request = request.param("target_node", node.as_str());
        }
        self.client.start_task(request).await
    }

    fn volume_request(
        &self,
        method: Method,
        operation: &'static str,
        volume: &VolumeId,
    ) -> Request {
        let route = "/nodes/{node}/storage/{storage}/content/{volume}";
        let args = [self.node.as_str(), self.name.as_str(), volume.as_str()];
        Request::new(operation, method, route, &args).target(format!("volume {volume}"))
    }

    /// Allocates an empty disk for a VM and returns the volume. `name` has the form `vm-104-disk-5`, with the extension
    /// of the format on a storage of files. Do not repeat the call without listing first.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a size of 0; `AlreadyExists` or `Server` when the name is taken")]
    pub async fn allocate(&self, vm: VmId, name: &str, size: Size) -> Result<VolumeId> {
        const OPERATION: &str = "allocate volume";
        let kib = size.bytes().div_ceil(1024);
        if kib == 0 {
            return Err(Error::field(OPERATION, "size", "must be more than 0"));
        }
        let route = "/nodes/{node}/storage/{storage}/content";
        let request = Request::post(OPERATION, route, &self.args())
            .target(format!("{}, volume {name}", self.target()))
            .param("vmid", vm.to_string())
            .fitting("filename", name, rule::FILLED)
            .param("size", kib.to_string());
        self.client.call(request).await
    }

    /// The backups that `keep` would remove, and those that it would keep. Changes nothing.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn prunable_backups(&self, prune: &PruneRequest) -> Result<Vec<PrunableBackup>> {
        let route = "/nodes/{node}/storage/{storage}/prunebackups";
        let request = Request::get("list prunable backups", route, &self.args())
            .target(self.target())
            .with(&prune.params);
        self.client.call(request).await
    }

    /// Starts to remove the backups that `keep` does not retain. Needs `Datastore.Allocate`, or `VM.Backup` on the VM and
    /// `Datastore.AllocateSpace`.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn prune_backups(&self, prune: &PruneRequest) -> Result<Task> {
        let route = "/nodes/{node}/storage/{storage}/prunebackups";
        let request = Request::delete("prune backups", route, &self.args())
            .target(self.target())
            .with(&prune.params);
        self.client.start_task(request).await
    }

    /// The volume that an upload or download under this file name creates here.
    ///
    /// # Errors
    /// `InvalidInput` when the name cannot be used.
    pub fn volume_for(&self, content: Content, file_name: &str) -> Result<VolumeId> {
        VolumeId::of_file(&self.name, content.as_str(), file_name)
    }

    /// Starts to delete a volume; `None` when the server finished at once. Needs `Datastore.Allocate` on the storage.
    ///
    /// A missing file is not an error on a storage of files: its task succeeds. An ISO image that is in the drive of a VM
    /// is deleted without complaint, and the VM cannot be started afterwards: empty the drive first. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` for an unknown storage")]
    pub async fn delete(&self, volume: &VolumeId) -> Result<Option<Task>> {
        let request = self.volume_request(Method::DELETE, "delete volume", volume);
        self.client.start_optional_task(request).await
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
            (Content::Iso, ".iso", false),
            (Content::Iso, ".hidden.iso", false),
            (Content::Iso, "dir/.hidden.iso", false),
        ] {
            assert_eq!(
                check_file_name("upload", content, name).is_ok(),
                good,
                "{name}"
            );
        }
    }
}
