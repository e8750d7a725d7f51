//! Snapshots of etcd: to a file with a checked hash, and back.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::reply::only;
use super::{Machine, blocks, machine_service, upload};
use crate::api::channel::Call;
use crate::api::pb::{common, machine as pb};
use crate::{Error, ErrorKind, Result};

const SNAPSHOT: &str = "take etcd snapshot";
const RECOVER: &str = "upload etcd snapshot";

/// etcd appends the SHA-256 of the database to a snapshot.
const HASH_SIZE: usize = 32;
/// The database consists of pages, so whatever is left over is the hash.
const BLOCK: u64 = 512;

/// How much has to arrive before the disk begins with it.
const WRITE_BACK: u64 = 32 * 1024 * 1024;

/// A snapshot that was written to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EtcdSnapshot {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes, with the hash at its end.
    pub size: u64,
    /// The SHA-256 of the database, in hexadecimal digits. It was compared with the one that etcd appended.
    pub sha256: String,
}

impl Machine {
    /// Writes a snapshot of etcd to a local file. Needs `os:etcd:backup`, `os:operator` or `os:admin`. May be repeated.
    ///
    /// `talosctl etcd snapshot`. The file appears only when it is complete and its hash matches, is synced to the disk,
    /// replaces an existing one, and is readable for its owner only: it contains the secrets of Kubernetes. Memory does
    /// not grow with the size.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] while the local member is down,
    /// [`ErrorKind::Decode`] when the hash is missing or does not match, [`ErrorKind::Io`] when the file cannot be written.
    pub async fn etcd_snapshot(&self, path: impl Into<PathBuf>) -> Result<EtcdSnapshot> {
        let path = path.into();
        let at = |error: Error| error.with_target(format!("{}, {}", self.target(), path.display()));
        let file = SnapshotFile::create(&path).map_err(at)?;
        let pieces = self.bytes(SNAPSHOT, |service| async move {
            let request = pb::EtcdSnapshotRequest::default();
            machine_service(service).etcd_snapshot(request).await
        });
        let (sender, receiver) = blocks::channel();
        let writing = blocking(move || file.write_all(receiver));
        let (received, written) = tokio::join!(blocks::forward(pieces, sender), writing);
        received?;
        let file = written.map_err(at)?;
        let target = path.clone();
        blocking(move || file.finish(target)).await.map_err(at)
    }

    /// Uploads a snapshot to the node, where [`Machine::bootstrap_from_snapshot`] restores it. Needs `os:admin`.
    ///
    /// May be repeated: the last upload counts. Sends a file of any size in small pieces.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] before the node has mounted its data partition, [`ErrorKind::Unsupported`] on a worker,
    /// [`ErrorKind::Io`] when the file cannot be read.
    pub async fn etcd_recover(&self, snapshot: impl AsRef<Path>) -> Result<()> {
        let call = Call::change(RECOVER).at_least(std::time::Duration::from_hours(1));
        let piece = |bytes| common::Data {
            metadata: None,
            bytes,
        };
        let reply = upload::file(
            &self.transport,
            call,
            snapshot.as_ref(),
            None,
            piece,
            |service, pieces| {
                Box::pin(async move { machine_service(service).etcd_recover(pieces).await })
            },
        )
        .await?;
        only(&self.transport, RECOVER, reply).map(drop)
    }
}

/// A snapshot that is being written next to its destination.
struct SnapshotFile {
    file: tempfile::NamedTempFile,
    hash: Sha256,
    /// The last bytes that arrived: at the end they are the hash and not hashed themselves.
    tail: Vec<u8>,
    size: u64,
}

impl SnapshotFile {
    fn create(path: &Path) -> Result<Self> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        // Readable for its owner only.
        let file = tempfile::Builder::new()
            .prefix(".etcd-snapshot-")
            .tempfile_in(directory)
            .map_err(local)?;
        Ok(Self {
            file,
            hash: Sha256::new(),
            tail: Vec::new(),
            size: 0,
        })
    }

    fn write_all(mut self, mut blocks: mpsc::Receiver<Bytes>) -> Result<Self> {
        let mut written = WriteBack::default();
        while let Some(block) = blocks.blocking_recv() {
            self.write(&block)?;
            written.keep_up(self.file.as_file(), self.size)?;
        }
        written.finish()?;
        Ok(self)
    }

    fn write(&mut self, block: &[u8]) -> Result<()> {
        self.file.write_all(block).map_err(local)?;
        self.size = self.size.saturating_add(block.len() as u64);
        // Everything but the last bytes, of which some may have come with the block before.
        let hashed = self
            .tail
            .len()
            .saturating_add(block.len())
            .saturating_sub(HASH_SIZE);
        let of_tail = hashed.min(self.tail.len());
        let (earlier, kept) = block.split_at(hashed.saturating_sub(of_tail));
        self.hash.update(self.tail.drain(..of_tail).as_slice());
        self.hash.update(earlier);
        self.tail.extend_from_slice(kept);
        Ok(())
    }

    fn finish(self, path: PathBuf) -> Result<EtcdSnapshot> {
        if self.size % BLOCK != HASH_SIZE as u64 {
            return Err(Error::new(ErrorKind::Decode, SNAPSHOT)
                .with_message(format!("sha256 checksum not found (size {})", self.size)));
        }
        let hash = self.hash.finalize();
        if hash.as_slice() != self.tail {
            return Err(Error::new(ErrorKind::Decode, SNAPSHOT)
                .with_message("the hash at the end of the snapshot does not match its content"));
        }
        self.file.as_file().sync_all().map_err(local)?;
        self.file
            .persist(&path)
            .map_err(|failure| local(failure.error))?;
        Ok(EtcdSnapshot {
            path,
            size: self.size,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// Lets the disk write while the rest arrives. Else all of it would wait for the last byte.
#[derive(Default)]
struct WriteBack {
    /// The bytes that are on the disk, or on their way.
    begun: u64,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

impl WriteBack {
    fn keep_up(&mut self, file: &File, size: u64) -> Result<()> {
        let is_running = (self.running.as_ref()).is_some_and(|sync| !sync.is_finished());
        if is_running || size.saturating_sub(self.begun) < WRITE_BACK {
            return Ok(());
        }
        self.finish()?;
        let file = file.try_clone().map_err(local)?;
        self.begun = size;
        self.running = Some(std::thread::spawn(move || file.sync_data()));
        Ok(())
    }

    /// The system tells an error of the disk only once, so none may be lost.
    fn finish(&mut self) -> Result<()> {
        let ended = self.running.take().map(JoinHandle::join);
        match ended {
            None => Ok(()),
            Some(Ok(synced)) => synced.map_err(local),
            Some(Err(_)) => Err(Error::new(ErrorKind::Io, SNAPSHOT)
                .with_message("the thread that writes to the disk has failed")),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::new(ErrorKind::Io, SNAPSHOT).with_source(source))?
}

fn local(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, SNAPSHOT)
        .with_message(source.to_string())
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_hash(database: &[u8]) -> Vec<u8> {
        let mut bytes = database.to_vec();
        bytes.extend_from_slice(&Sha256::digest(database));
        bytes
    }

    fn written(bytes: &[u8], chunk: usize, path: &Path) -> Result<EtcdSnapshot> {
        let mut file = SnapshotFile::create(path).unwrap();
        for part in bytes.chunks(chunk) {
            file.write(part).unwrap();
        }
        file.finish(path.to_owned())
    }

    #[test]
    fn a_snapshot_is_complete_whatever_the_size_of_its_pieces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let bytes = with_hash(&[7; 4096]);

        for chunk in [1, 31, 32, 33, 1024, 8192] {
            let snapshot = written(&bytes, chunk, &path).unwrap();

            assert_eq!(snapshot.size, 4128);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_snapshot_without_a_matching_hash_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let mut changed = with_hash(&[7; 4096]);
        changed[9] = 8;
        let cut = &with_hash(&[7; 4096])[..4000];

        for bytes in [changed.as_slice(), cut, b""] {
            let error = written(bytes, 100, &path).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(!path.exists());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_snapshot_is_readable_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");

        written(&with_hash(&[0; 512]), 64, &path).unwrap();

        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
