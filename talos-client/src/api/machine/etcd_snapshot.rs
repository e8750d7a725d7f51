//! Snapshots of etcd: to a file with a checked hash, and back.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::reply::only;
use super::{Machine, machine_service, upload};
use crate::api::channel::Call;
use crate::api::pb::{common, machine as pb};
use crate::{Error, ErrorKind, Result};

const SNAPSHOT: &str = "take etcd snapshot";
const RECOVER: &str = "upload etcd snapshot";

/// etcd appends the SHA-256 of the database to a snapshot.
const HASH_SIZE: usize = 32;
/// The database consists of pages, so whatever is left over is the hash.
const BLOCK: u64 = 512;

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
        let mut file = SnapshotFile::create(&path).map_err(at)?;
        let mut chunks = self.bytes(SNAPSHOT, |service| async move {
            let request = pb::EtcdSnapshotRequest::default();
            machine_service(service).etcd_snapshot(request).await
        });
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            file = blocking(move || file.write(&chunk)).await.map_err(at)?;
        }
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

    fn write(mut self, chunk: &[u8]) -> Result<Self> {
        self.file.write_all(chunk).map_err(local)?;
        self.size = self.size.saturating_add(chunk.len() as u64);
        self.tail.extend_from_slice(chunk);
        let hashed = self.tail.len().saturating_sub(HASH_SIZE);
        self.hash
            .update(self.tail.get(..hashed).unwrap_or_default());
        self.tail.drain(..hashed);
        Ok(self)
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
            file = file.write(part).unwrap();
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
