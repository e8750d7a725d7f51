//! Files of the node: listing, reading, disk usage, copying to a local directory.

mod copy;
mod usage;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reply::check;
use super::{Machine, machine_service};
use crate::api::pb::machine as pb;
use crate::{Error, ErrorKind, ResponseStream, Result};

pub use self::copy::CopyReport;
pub use self::usage::{DiskUsage, DiskUsageRequest};

const LIST: &str = "list files";

/// Where etcd keeps its data (Talos v1.10 to v1.14).
const ETCD_DATA: &str = "/var/lib/etcd";

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Other,
}

impl FileType {
    /// By the bits of Go's `os.FileMode`, which the machine API uses instead of those of `stat(2)`.
    fn of_go_mode(mode: u32) -> Self {
        const DIRECTORY: u32 = 1 << 31;
        const SYMLINK: u32 = 1 << 27;
        /// Directory, symlink, device, pipe, socket, character device, irregular.
        const ANY: u32 = DIRECTORY | SYMLINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;
        match mode {
            _ if mode & DIRECTORY != 0 => Self::Directory,
            _ if mode & SYMLINK != 0 => Self::Symlink,
            _ if mode & ANY != 0 => Self::Other,
            _ => Self::Regular,
        }
    }
}

/// Which files to list.
///
/// ```
/// use talos_client::machine::{FileType, ListFiles};
///
/// let request = ListFiles::in_directory("/var/log").depth(2).only(FileType::Regular);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct ListFiles {
    root: String,
    recursion: Recursion,
    types: Vec<FileType>,
    report_xattrs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recursion {
    None,
    Depth(u16),
    All,
}

impl ListFiles {
    /// The directory `root` itself and its entries.
    pub fn in_directory(root: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            recursion: Recursion::None,
            types: Vec::new(),
            report_xattrs: false,
        }
    }

    /// Also what is in its subdirectories.
    pub fn recursive(mut self) -> Self {
        self.recursion = Recursion::All;
        self
    }

    /// Also what is in its subdirectories, down to this level.
    pub fn depth(mut self, levels: u16) -> Self {
        self.recursion = Recursion::Depth(levels);
        self
    }

    /// Only files of this type; several calls add up. [`FileType::Other`] cannot be asked for and is ignored.
    pub fn only(mut self, kind: FileType) -> Self {
        self.types.push(kind);
        self
    }

    /// Reports extended attributes too.
    pub fn with_xattrs(mut self) -> Self {
        self.report_xattrs = true;
        self
    }

    fn to_wire(&self) -> pb::ListRequest {
        use pb::list_request::Type;
        let types = self.types.iter().filter_map(|kind| match kind {
            FileType::Regular => Some(Type::Regular),
            FileType::Directory => Some(Type::Directory),
            FileType::Symlink => Some(Type::Symlink),
            FileType::Other => None,
        });
        pb::ListRequest {
            root: self.root.clone(),
            recurse: self.recursion != Recursion::None,
            // Zero means without limit.
            recursion_depth: match self.recursion {
                Recursion::Depth(levels) => i32::from(levels.max(1)),
                Recursion::None | Recursion::All => 0,
            },
            types: types.map(i32::from).collect(),
            report_xattrs: self.report_xattrs,
        }
    }
}

/// A file of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its absolute path.
    pub path: String,
    /// Its path below the listed directory; `.` for the directory itself.
    pub relative_path: String,
    /// Its type.
    pub kind: FileType,
    /// Permission bits, as `chmod` takes them.
    pub permissions: u32,
    /// Size in bytes.
    pub size: u64,
    /// When its content was changed.
    pub modified: Option<Timestamp>,
    /// The target of a symbolic link.
    pub link: Option<String>,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Extended attributes, when they were asked for.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// Why the file could not be read; the other fields are empty then.
    pub error: Option<String>,
}

impl FileInfo {
    fn from_wire(info: pb::FileInfo) -> Self {
        Self {
            path: info.name,
            relative_path: info.relative_name,
            kind: FileType::of_go_mode(info.mode),
            permissions: info.mode & 0o777,
            size: u64::try_from(info.size).unwrap_or_default(),
            modified: Timestamp::from_second(info.modified).ok(),
            link: Some(info.link).filter(|link| !link.is_empty()),
            uid: info.uid,
            gid: info.gid,
            xattrs: info
                .xattrs
                .into_iter()
                .map(|xattr| (xattr.name, xattr.data))
                .collect(),
            error: Some(info.error).filter(|error| !error.is_empty()),
        }
    }
}

impl Machine {
    /// Streams the files of a directory, the directory itself first. Needs `os:reader`. May be repeated.
    ///
    /// `talosctl list`. A file that cannot be read is an item with [`FileInfo::error`]. The stream fails with
    /// [`ErrorKind::NotFound`] when the directory does not exist.
    pub fn files(&self, request: ListFiles) -> ResponseStream<FileInfo> {
        self.transport
            .stream(
                LIST,
                move |service| async move {
                    machine_service(service).list(request.to_wire()).await
                },
                |info: pb::FileInfo| {
                    check(LIST, info.metadata.as_ref())?;
                    Ok(Some(FileInfo::from_wire(info)))
                },
            )
            .map_errors(missing_file)
    }

    /// The entries of one directory, without itself. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not exist, [`ErrorKind::Server`] when it cannot be read,
    /// [`ErrorKind::Forbidden`] without the role.
    pub async fn directory(&self, path: &str) -> Result<Vec<FileInfo>> {
        let entries = self.files(ListFiles::in_directory(path));
        let mut entries: Vec<FileInfo> = entries.try_collect().await?;
        if let Some(reason) = entries.first().and_then(|root| root.error.clone()) {
            return Err(Error::new(ErrorKind::Server, LIST)
                .with_target(self.target())
                .with_message(reason));
        }
        entries.retain(|entry| entry.relative_path != ".");
        Ok(entries)
    }

    /// Whether this node has data of etcd, from this cluster or an older one. Needs `os:reader`. May be repeated.
    ///
    /// A node with data rejects [`Machine::bootstrap`]. `false` proves that there is none only while the service `etcd` waits
    /// for members (`Preparing`): before, the file system of the data need not be mounted, and its directory is missing or
    /// empty. Path: Talos v1.10 to v1.14, `/var/lib/etcd`.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when the directory cannot be read: then nothing is known. [`ErrorKind::Forbidden`] without
    /// the role.
    pub async fn has_etcd_data(&self) -> Result<bool> {
        match self.directory(ETCD_DATA).await {
            Ok(entries) => Ok(!entries.is_empty()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a regular file of the node. Needs `os:admin`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not exist, [`ErrorKind::Server`] when it is not a regular file,
    /// [`ErrorKind::Forbidden`] without the role.
    pub async fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let path = path.to_owned();
        self.bytes("read file", move |service| async move {
            let request = pb::ReadRequest { path };
            machine_service(service).read(request).await
        })
        .try_fold(Vec::new(), async |mut file, chunk| {
            file.extend_from_slice(&chunk);
            Ok(file)
        })
        .await
    }
}

fn missing_file(error: Error) -> Error {
    if error.kind() == ErrorKind::Server && error.message().ends_with("no such file or directory") {
        return error.with_kind(ErrorKind::NotFound);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_gos_file_mode() {
        for (mode, expected) in [
            (0o644, FileType::Regular),
            (1 << 31 | 0o755, FileType::Directory),
            (1 << 27 | 0o777, FileType::Symlink),
            (1 << 26 | 0o660, FileType::Other),
            (1 << 24 | 0o660, FileType::Other),
        ] {
            assert_eq!(FileType::of_go_mode(mode), expected, "{mode:o}");
        }
    }

    #[test]
    fn a_depth_of_zero_would_mean_no_limit() {
        let wire = ListFiles::in_directory("/").depth(0).to_wire();
        assert_eq!((wire.recurse, wire.recursion_depth), (true, 1));

        let wire = ListFiles::in_directory("/").recursive().to_wire();
        assert_eq!((wire.recurse, wire.recursion_depth), (true, 0));
        assert!(!ListFiles::in_directory("/").to_wire().recurse);
    }
}
