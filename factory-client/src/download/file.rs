//! Downloads to files: part file, resumption across runs, one download for all callers.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::Sha256Digest;
use super::body::{self, Body, Identity, Opened};
use super::digest::Worker;
use super::request::DownloadRequest;
use crate::error::{Error, ErrorKind, Result};

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Downloaded {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256. The public factory publishes none, so record it.
    pub sha256: Sha256Digest,
    /// How many bytes an earlier, unfinished download had left.
    pub resumed_at: u64,
}

/// Downloads that run, by path.
#[derive(Debug, Default)]
pub(crate) struct RunningDownloads {
    running: Mutex<HashMap<PathBuf, Arc<OnceCell<Downloaded>>>>,
}

impl RunningDownloads {
    /// Joins the running download to `path`, or starts it. When the caller that started it goes away, the next one
    /// takes over.
    pub(super) async fn run(&self, request: DownloadRequest, path: PathBuf) -> Result<Downloaded> {
        let cell = match self.running.lock() {
            Ok(mut running) => running.entry(path.clone()).or_default().clone(),
            Err(_) => Arc::default(),
        };
        let outcome = cell
            .get_or_try_init(|| download(request, &path))
            .await
            .cloned();
        if let Ok(mut running) = self.running.lock() {
            // Callers that hold the cell still get its value; later callers start another download.
            running.retain(|_, other| !Arc::ptr_eq(other, &cell) || !other.initialized());
            if Arc::strong_count(&cell) <= 2 && outcome.is_err() {
                running.remove(&path);
            }
        }
        outcome
    }
}

async fn download(request: DownloadRequest, path: &Path) -> Result<Downloaded> {
    let part = Part::of(path);
    let outcome = fetch(request, &part).await;
    match &outcome {
        // These bytes can never become the image.
        Err(error) if error.kind() == ErrorKind::Corrupted => part.discard().await,
        // The file belongs to another process.
        Err(error) if error.kind() == ErrorKind::Busy => {}
        Err(_) => part.discard_if_empty().await,
        Ok(_) => {}
    }
    let (size, sha256, resumed_at) = outcome?;
    part.publish(path).await?;
    Ok(Downloaded {
        path: path.to_owned(),
        size,
        sha256,
        resumed_at,
    })
}

async fn fetch(request: DownloadRequest, part: &Part) -> Result<(u64, Sha256Digest, u64)> {
    let DownloadRequest {
        client,
        image,
        options,
    } = request;
    let known = part.open().await?;
    let resume = known
        .identity
        .as_ref()
        .map(|identity| (known.length, identity));
    let opened = body::open(&client, &image, options.poll(&client), resume).await?;
    let (file, hasher) = part.prepare(known, &opened).await?;
    let resumed_at = opened.offset;
    let worker = Worker::start(hasher, Some(file));
    let mut body = Body::new(client, image, &options, (opened, worker));
    body.check_head().await?;
    let slot = body.digest_slot();
    while body.next_chunk().await?.is_some() {}
    let synced = body.worker().sync().await;
    synced.map_err(|error| body.io_error(error))?;
    let digest = slot
        .get()
        .ok_or_else(|| Error::new(ErrorKind::Truncated, "download image"))?;
    Ok((body.position(), digest, resumed_at))
}

/// The unfinished file and the note about what it is a part of.
struct Part {
    file: PathBuf,
    note: PathBuf,
}

/// A part file, locked, with what an earlier run left in it.
struct Known {
    file: File,
    hasher: Sha256,
    length: u64,
    /// Set when there is something to continue.
    identity: Option<Identity>,
}

impl Part {
    fn of(path: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            file: with(".part"),
            note: with(".part.json"),
        }
    }

    fn error(&self, error: io::Error) -> Error {
        Error::new(ErrorKind::Io, "write image file")
            .with_target(self.file.display().to_string())
            .with_source(error)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.error(error)),
            Err(error) => Err(self.error(io::Error::other(error))),
        }
    }

    /// Opens and locks the part file, and hashes what is in it when it can be continued.
    async fn open(&self) -> Result<Known> {
        let (file, note) = (self.file.clone(), self.note.clone());
        let known = self
            .blocking(move || {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(file)?;
                match file.try_lock() {
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(error),
                    Ok(()) => {}
                }
                read_known(file, &note).map(Some)
            })
            .await?;
        known.ok_or_else(|| {
            Error::new(ErrorKind::Busy, "write image file")
                .with_target(self.file.display().to_string())
                .with_message("another process is downloading to this file")
        })
    }

    /// Positions the file for what `opened` brings, and notes down what that is.
    async fn prepare(&self, known: Known, opened: &Opened) -> Result<(File, Sha256)> {
        let note = self.note.clone();
        let identity = opened.identity.clone();
        let continues = opened.offset > 0
            && opened.offset == known.length
            && known.identity.as_ref().map(|known| known.length) == Some(identity.length);
        if opened.offset > 0 && !continues {
            return Err(Error::new(ErrorKind::Corrupted, "download image")
                .with_target(self.file.display().to_string())
                .with_message("the unfinished file belongs to another image; it was removed, start the download again"));
        }
        self.blocking(move || {
            let Known {
                mut file,
                mut hasher,
                ..
            } = known;
            if continues {
                file.seek(SeekFrom::End(0))?;
            } else {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                hasher = Sha256::new();
            }
            std::fs::write(note, serde_json::to_vec(&identity)?)?;
            Ok((file, hasher))
        })
        .await
    }

    async fn publish(&self, path: &Path) -> Result<()> {
        let (file, note, path) = (self.file.clone(), self.note.clone(), path.to_owned());
        self.blocking(move || {
            std::fs::rename(&file, &path)?;
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
            std::fs::remove_file(note)
        })
        .await
    }

    async fn discard(&self) {
        let (file, note) = (self.file.clone(), self.note.clone());
        let removed = self
            .blocking(move || remove(&file).and(remove(&note)))
            .await;
        if let Err(error) = removed {
            tracing::debug!(%error, "cannot remove the unfinished file");
        }
    }

    async fn discard_if_empty(&self) {
        let file = self.file.clone();
        let length = self
            .blocking(move || std::fs::metadata(file).map(|data| data.len()))
            .await;
        if matches!(length, Ok(0)) {
            self.discard().await;
        }
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_known(mut file: File, note: &Path) -> io::Result<Known> {
    let length = file.metadata()?.len();
    let note = std::fs::read(note).unwrap_or_default();
    let identity: Option<Identity> = serde_json::from_slice(&note).ok();
    let identity = identity.filter(|identity| {
        // Without a total length nothing tells whether the rest belongs to it.
        length > 0 && identity.length.is_some_and(|total| length < total)
    });
    let mut hasher = Sha256::new();
    if identity.is_some() {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
    }
    Ok(Known {
        file,
        hasher,
        length,
        identity,
    })
}
