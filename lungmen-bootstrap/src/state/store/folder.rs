//! Small files with check-and-set: what [`DirectoryStore`](super::DirectoryStore) is built on.
//!
//! A reader needs no lock, because a file appears and changes by one atomic operation. Writers hold an operating system
//! lock on a lock file beside it, which ends with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind as IoKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::Revision;
use crate::services::{Error, ErrorKind, Result};
use crate::state::private_file::{self, OF_STORE};

/// A write takes milliseconds; a lock that is held longer belongs to a stopped process.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// A folder of mode 0700 with files of mode 0600.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    lock: String,
}

/// What a write found.
enum Written {
    Done(Revision),
    Exists,
    Changed,
}

impl Folder {
    /// `lock` is the name of the lock file.
    pub(super) fn new(path: PathBuf, lock: String) -> Self {
        Self { path, lock }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder, or checks that nobody else can write into it, and tries the lock.
    pub(super) async fn preflight(&self) -> Result<()> {
        self.locked("check store", |_| Ok(())).await
    }

    /// Reads a file. `None` when there is none; a symbolic link or anything else that is no regular file is an error.
    pub(super) async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Revision)>> {
        let path = self.path.join(name);
        let found = blocking({
            let path = path.clone();
            move || read_regular(&path)
        })
        .await
        .map_err(|error| failed("read file", &path, error))?;
        Ok(found.map(|bytes| {
            let revision = digest(&bytes);
            (bytes, revision)
        }))
    }

    pub(super) async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Revision> {
        const OPERATION: &str = "create file";
        let path = self.path.join(name);
        let target = path.clone();
        let written = self
            .locked(OPERATION, move |folder| create(folder, &target, &bytes))
            .await?;
        self.outcome(OPERATION, &path, written)
    }

    pub(super) async fn replace(
        &self,
        name: &str,
        bytes: Vec<u8>,
        revision: &Revision,
    ) -> Result<Revision> {
        const OPERATION: &str = "replace file";
        let path = self.path.join(name);
        let (target, expected) = (path.clone(), revision.clone());
        let written = self
            .locked(OPERATION, move |folder| {
                replace(folder, &target, &bytes, &expected)
            })
            .await?;
        self.outcome(OPERATION, &path, written)
    }

    fn outcome(&self, operation: &'static str, path: &Path, written: Written) -> Result<Revision> {
        let (kind, message) = match written {
            Written::Done(revision) => return Ok(revision),
            Written::Exists => (ErrorKind::AlreadyExists, "the file exists already"),
            Written::Changed => (ErrorKind::Conflict, "the file was changed by another run"),
        };
        Err(Error::new(kind, operation)
            .with_target(path.display().to_string())
            .with_message(message))
    }

    /// Runs `work` on a blocking thread while this process holds the lock file.
    async fn locked<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&Path) -> io::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let end = Instant::now() + LOCK_DEADLINE;
        let work = std::sync::Arc::new(work);
        loop {
            let (folder, lock) = (self.path.clone(), self.path.join(&self.lock));
            let work = std::sync::Arc::clone(&work);
            let attempt = blocking(move || {
                prepare(&folder)?;
                match try_lock(&lock)? {
                    None => Ok(None),
                    Some(_held) => {
                        remove_leftovers(&folder)?;
                        work(&folder).map(Some)
                    }
                }
            });
            match attempt.await {
                Ok(Some(value)) => return Ok(value),
                Ok(None) if Instant::now() >= end => {
                    return Err(Error::new(ErrorKind::Busy, operation)
                        .with_target(self.path.join(&self.lock).display().to_string())
                        .with_message(format!(
                            "another process has held the lock for {LOCK_DEADLINE:?}"
                        )));
                }
                Ok(None) => sleep(LOCK_INTERVAL).await,
                Err(error) => return Err(failed(operation, &self.path, error)),
            }
        }
    }
}

/// Runs file operations off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// An unusable place is a matter of configuration; everything else an I/O error, after which nobody knows what is on disk.
fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        IoKind::InvalidInput => ErrorKind::Configuration,
        IoKind::PermissionDenied => ErrorKind::Forbidden,
        _ => ErrorKind::Io,
    };
    Error::new(kind, operation)
        .with_target(path.display().to_string())
        .with_message(error.to_string())
        .with_source(error)
}

fn unusable(message: String) -> io::Error {
    io::Error::new(IoKind::InvalidInput, message)
}

/// Creates the folder with mode 0700, or makes an existing one private.
fn prepare(folder: &Path) -> io::Result<()> {
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => make_private(folder, &metadata),
        Ok(_) => Err(unusable(format!("{} is not a folder", folder.display()))),
        Err(error) if error.kind() == IoKind::NotFound => private_file::create_folder(folder),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn make_private(folder: &Path, metadata: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(|error| {
        unusable(format!(
            "{} has mode {mode:04o} and cannot be made private ({error}): choose a folder of your own",
            folder.display()
        ))
    })
}

#[cfg(not(unix))]
fn make_private(_folder: &Path, _metadata: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The held lock, or nothing while another open file has it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    refuse_links(path)?;
    let file = options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Only called under the lock, where no other process has a temporary file: one that is there was left by a process that
/// was killed.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(OF_STORE))
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether there is a regular file; links and the like are an error.
fn refuse_links(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(metadata) => {
            let what = if metadata.is_symlink() {
                "a symbolic link"
            } else {
                "not a regular file"
            };
            Err(unusable(format!("{} is {what}", path.display())))
        }
        Err(error) if error.kind() == IoKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_regular(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !refuse_links(path)? {
        return Ok(None);
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        // A replacement by rename is never absent in between; what vanishes here was deleted.
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn create(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<Written> {
    if refuse_links(path)? {
        return Ok(Written::Exists);
    }
    match private_file::temporary(folder, OF_STORE, bytes)?.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == IoKind::AlreadyExists => return Ok(Written::Exists),
        Err(error) => return Err(error.error),
    }
    private_file::flush(folder)?;
    Ok(Written::Done(digest(bytes)))
}

fn replace(folder: &Path, path: &Path, bytes: &[u8], expected: &Revision) -> io::Result<Written> {
    match read_regular(path)? {
        Some(current) if digest(&current) == *expected => {}
        _ => return Ok(Written::Changed),
    }
    private_file::temporary(folder, OF_STORE, bytes)?
        .persist(path)
        .map_err(|error| error.error)?;
    private_file::flush(folder)?;
    Ok(Written::Done(digest(bytes)))
}

fn digest(bytes: &[u8]) -> Revision {
    let digest = Sha256::digest(bytes);
    Revision::new(
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    )
}
