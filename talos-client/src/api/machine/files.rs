//! Files of the node: listing, reading, disk usage, copying to a local directory.

use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::reply::check;
use super::{Machine, machine_service};
use crate::api::pb::machine as pb;
use crate::{Error, ErrorKind, ResponseStream, Result};

const LIST: &str = "list files";
const COPY: &str = "copy files";

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
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ListFiles {
    root: String,
    recursion: Recursion,
    types: Vec<FileType>,
    report_xattrs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Which directories to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct DiskUsageRequest {
    paths: Vec<String>,
    depth: u16,
    all: bool,
    threshold: i64,
}

impl DiskUsageRequest {
    /// The total of each path.
    pub fn of<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            depth: 0,
            all: false,
            threshold: 0,
        }
    }

    /// Also the totals of subdirectories, down to this level.
    pub fn depth(mut self, levels: u16) -> Self {
        self.depth = levels;
        self
    }

    /// Also each file.
    pub fn files(mut self) -> Self {
        self.all = true;
        self
    }

    /// Only what has at least this many bytes.
    pub fn at_least(mut self, bytes: u32) -> Self {
        self.threshold = i64::from(bytes);
        self
    }

    /// Only what has at most this many bytes.
    pub fn at_most(mut self, bytes: u32) -> Self {
        self.threshold = -i64::from(bytes);
        self
    }
}

/// How much space a file or directory takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiskUsage {
    /// Its absolute path.
    pub path: String,
    /// Its path below the measured directory.
    pub relative_path: String,
    /// Size in bytes, with everything below it.
    pub size: u64,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// What [`Machine::copy_to`] has written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// Regular files.
    pub files: u64,
    /// Bytes of all regular files.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Devices, pipes and sockets, which are not copied.
    pub skipped: u64,
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

    /// Streams how much space directories take, as `talosctl usage` prints it. Needs `os:reader`. May be repeated.
    ///
    /// The stream fails with [`ErrorKind::Forbidden`] without the role.
    pub fn disk_usage(&self, request: DiskUsageRequest) -> ResponseStream<DiskUsage> {
        const OPERATION: &str = "measure disk usage";
        self.transport.stream(
            OPERATION,
            move |service| async move {
                let request = pb::DiskUsageRequest {
                    recursion_depth: i32::from(request.depth),
                    all: request.all,
                    threshold: request.threshold,
                    paths: request.paths,
                };
                machine_service(service).disk_usage(request).await
            },
            |info: pb::DiskUsageInfo| {
                check(OPERATION, info.metadata.as_ref())?;
                Ok(Some(DiskUsage {
                    path: info.name,
                    relative_path: info.relative_name,
                    size: u64::try_from(info.size).unwrap_or_default(),
                    error: Some(info.error).filter(|error| !error.is_empty()),
                }))
            },
        )
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

    /// Streams a file or directory of the node as a gzipped tar archive (`talosctl copy <path> -`). Needs `os:admin`.
    ///
    /// The stream fails with [`ErrorKind::Server`] when the node cannot read something, also in the middle.
    pub fn archive(&self, path: &str) -> ResponseStream<Bytes> {
        let root_path = path.to_owned();
        self.bytes(COPY, move |service| async move {
            let request = pb::CopyRequest { root_path };
            machine_service(service).copy(request).await
        })
    }

    /// Copies a file or directory of the node into a local directory, which is created. Needs `os:admin`.
    ///
    /// `talosctl copy`. Existing files are overwritten. Memory does not grow with the size. Nothing is written outside
    /// of `directory`, whatever the archive names; devices, pipes and sockets are counted and left out.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when the node cannot read the path, [`ErrorKind::Decode`] for an archive that is cut short
    /// or names a path outside of `directory`, [`ErrorKind::Io`] when a local file cannot be written,
    /// [`ErrorKind::Forbidden`] without the role. What was written before stays.
    pub async fn copy_to(&self, path: &str, directory: impl Into<PathBuf>) -> Result<CopyReport> {
        // Two chunks of a few kilobytes on the way are enough to keep both sides busy.
        let (sender, receiver) = mpsc::channel::<Bytes>(16);
        let directory = directory.into();
        let unpacking = tokio::task::spawn_blocking(move || unpack(receiver, &directory));
        let mut chunks = self.archive(path);
        let mut failure = None;
        while let Some(chunk) = chunks.next().await {
            let sent = match chunk {
                Ok(chunk) => sender.send(chunk).await,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            // The other side has stopped: its error tells why.
            if sent.is_err() {
                break;
            }
        }
        drop(sender);
        let report = unpacking
            .await
            .map_err(|source| Error::new(ErrorKind::Io, COPY).with_source(source))?;
        match failure {
            Some(error) => Err(error),
            None => report.map_err(|error| error.with_target(self.target())),
        }
    }
}

fn missing_file(error: Error) -> Error {
    if error.kind() == ErrorKind::Server && error.message().ends_with("no such file or directory") {
        return error.with_kind(ErrorKind::NotFound);
    }
    error
}

/// The archive as it arrives.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let part = self.current.split_to(count);
        buffer
            .get_mut(..count)
            .unwrap_or_default()
            .copy_from_slice(&part);
        Ok(count)
    }
}

fn unpack(receiver: mpsc::Receiver<Bytes>, directory: &Path) -> Result<CopyReport> {
    std::fs::create_dir_all(directory).map_err(local)?;
    let chunks = Chunks {
        receiver,
        current: Bytes::new(),
    };
    let mut archive = tar::Archive::new(GzDecoder::new(chunks));
    archive.set_preserve_permissions(true);
    let mut report = CopyReport::default();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        if !is_inside(&path) {
            return Err(Error::new(ErrorKind::Decode, COPY).with_message(format!(
                "the archive names a path outside of the directory: {path:?}"
            )));
        }
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                report.files = report.files.saturating_add(1);
                report.bytes = report.bytes.saturating_add(entry.size());
            }
            tar::EntryType::Directory => report.directories = report.directories.saturating_add(1),
            tar::EntryType::Symlink => report.symlinks = report.symlinks.saturating_add(1),
            _ => {
                report.skipped = report.skipped.saturating_add(1);
                continue;
            }
        }
        // It refuses to write through a symbolic link that leads outside.
        let is_written = entry.unpack_in(directory).map_err(local)?;
        if !is_written {
            return Err(Error::new(ErrorKind::Decode, COPY).with_message(format!(
                "the archive names a path outside of the directory: {path:?}"
            )));
        }
    }
    Ok(report)
}

/// Whether a path of an archive stays below the directory that it is unpacked in.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn damaged(source: io::Error) -> Error {
    Error::new(ErrorKind::Decode, COPY)
        .with_message(format!("the archive cannot be read: {source}"))
        .with_source(source)
}

fn local(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, COPY)
        .with_message(source.to_string())
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive with entries that the `tar` crate itself would refuse to build.
    fn archive(entries: &[(&[u8], tar::EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for (path, kind, link, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            if !link.is_empty() {
                header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            }
            header.set_cksum();
            encoder.write_all(header.as_bytes()).unwrap();
            encoder.write_all(content).unwrap();
            let padding = content.len().next_multiple_of(512) - content.len();
            encoder.write_all(&vec![0; padding]).unwrap();
        }
        encoder.write_all(&[0; 1024]).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpacked(archive: Vec<u8>, directory: &Path) -> Result<CopyReport> {
        let (sender, receiver) = mpsc::channel(4);
        let directory = directory.to_owned();
        let unpacking = tokio::task::spawn_blocking(move || unpack(receiver, &directory));
        for chunk in archive.chunks(100) {
            if sender.send(Bytes::copy_from_slice(chunk)).await.is_err() {
                break;
            }
        }
        drop(sender);
        unpacking.await.unwrap()
    }

    #[tokio::test]
    async fn files_directories_and_links_are_written_and_counted() {
        let target = tempfile::tempdir().unwrap();
        let archive = archive(&[
            (b"log", tar::EntryType::Directory, "", b""),
            (b"log/etcd.log", tar::EntryType::Regular, "", b"hello"),
            (b"latest", tar::EntryType::Symlink, "log/etcd.log", b""),
            (b"pipe", tar::EntryType::Fifo, "", b""),
        ]);

        let report = unpacked(archive, target.path()).await.unwrap();

        assert_eq!((report.files, report.bytes), (1, 5));
        assert_eq!(
            (report.directories, report.symlinks, report.skipped),
            (1, 1, 1)
        );
        let text = std::fs::read_to_string(target.path().join("latest")).unwrap();
        assert_eq!(text, "hello");
        assert!(!target.path().join("pipe").exists());
    }

    #[tokio::test]
    async fn nothing_is_written_outside_of_the_directory() {
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        let absolute = outside.path().join("absolute");
        let link = outside.path().to_str().unwrap();
        let absolute_name = absolute.to_str().unwrap().as_bytes();
        let cases = [
            archive(&[(b"../escape", tar::EntryType::Regular, "", b"x")]),
            archive(&[(b"a/../../escape", tar::EntryType::Regular, "", b"x")]),
            archive(&[(absolute_name, tar::EntryType::Regular, "", b"x")]),
            archive(&[
                (b"door", tar::EntryType::Symlink, link, b""),
                (b"door/escape", tar::EntryType::Regular, "", b"x"),
            ]),
        ];

        for (case, archive) in cases.into_iter().enumerate() {
            let result = unpacked(archive, &target).await;

            assert!(result.is_err(), "case {case}");
            assert!(!outside.path().join("escape").exists(), "case {case}");
            assert!(!absolute.exists(), "case {case}");
        }
    }

    #[tokio::test]
    async fn an_archive_that_is_cut_short_is_an_error() {
        let target = tempfile::tempdir().unwrap();
        let mut bytes = archive(&[(b"file", tar::EntryType::Regular, "", &[7; 3000])]);
        bytes.truncate(bytes.len() / 2);

        let error = unpacked(bytes, target.path()).await.unwrap_err();

        assert!(
            matches!(error.kind(), ErrorKind::Decode | ErrorKind::Io),
            "{error}"
        );
    }

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
