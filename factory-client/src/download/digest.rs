//! SHA-256 next to the data stream.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::id::hex;

/// The SHA-256 of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of nothing.
    pub(super) fn empty() -> Self {
        Self::of(Sha256::new())
    }

    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Sha256Digest {
    type Err = Error;

    /// Reads 64 hexadecimal digits, with or without `sha256:` before them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut bytes = [0; 32];
        let well_formed = digits.len() == 64 && digits.is_ascii();
        let parsed = bytes.iter_mut().enumerate().try_for_each(|(at, byte)| {
            let pair = digits.get(2 * at..2 * at + 2)?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
            Some(())
        });
        match parsed {
            Some(()) if well_formed => Ok(Self(bytes)),
            _ => Err(Error::new(ErrorKind::InvalidInput, "parse SHA-256")
                .with_target(text)
                .with_message("a SHA-256 has 64 hexadecimal digits")),
        }
    }
}

/// A place for a digest that is known when a download has ended.
#[derive(Debug, Clone, Default)]
pub struct DigestSlot(Arc<OnceLock<Sha256Digest>>);

impl DigestSlot {
    /// The SHA-256; `None` until the stream has ended well.
    #[must_use]
    pub fn get(&self) -> Option<Sha256Digest> {
        self.0.get().copied()
    }

    pub(super) fn set(&self, digest: Sha256Digest) {
        // A second end cannot happen, and would bring the same digest.
        let _ = self.0.set(digest);
    }
}

/// Chunks on their way to the worker: a few, so that memory stays constant.
const QUEUE: usize = 4;

/// A thread that hashes, and writes to a file if there is one, while the connection goes on being read.
#[derive(Debug)]
pub(super) struct Worker {
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<io::Result<()>>,
}

enum Job {
    Chunk(Bytes),
    Digest(oneshot::Sender<Sha256>),
    /// Everything is there: make it durable.
    Sync(oneshot::Sender<()>),
}

impl Worker {
    /// `hasher` has already seen what `file` holds.
    pub(super) fn start(hasher: Sha256, file: Option<File>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || work(jobs, hasher, file));
        Self { queue, thread }
    }

    pub(super) async fn take(&mut self, chunk: Bytes) -> io::Result<()> {
        match self.queue.send(Job::Chunk(chunk)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// The state of the hash over everything taken so far.
    pub(super) async fn hasher(&mut self) -> io::Result<Sha256> {
        let (answer, hasher) = oneshot::channel();
        let sent = self.queue.send(Job::Digest(answer)).await;
        match (sent, hasher.await) {
            (Ok(()), Ok(hasher)) => Ok(hasher),
            _ => Err(self.failure().await),
        }
    }

    pub(super) async fn sync(&mut self) -> io::Result<()> {
        let (answer, done) = oneshot::channel();
        let sent = self.queue.send(Job::Sync(answer)).await;
        match (sent, done.await) {
            (Ok(()), Ok(())) => Ok(()),
            _ => Err(self.failure().await),
        }
    }

    async fn failure(&mut self) -> io::Error {
        match (&mut self.thread).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::Error::other("the writer has stopped"),
            Err(error) => io::Error::other(error),
        }
    }
}

fn work(
    mut jobs: mpsc::Receiver<Job>,
    mut hasher: Sha256,
    mut file: Option<File>,
) -> io::Result<()> {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Chunk(chunk) => {
                hasher.update(&chunk);
                if let Some(file) = &mut file {
                    file.write_all(&chunk)?;
                }
            }
            // Nobody waits any more when the download was dropped.
            Job::Digest(answer) => {
                let _ = answer.send(hasher.clone());
            }
            Job::Sync(answer) => {
                if let Some(file) = &mut file {
                    file.sync_all()?;
                }
                let _ = answer.send(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_with_and_without_its_algorithm() {
        let digest = Sha256Digest::of(Sha256::new());
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Sha256Digest>().unwrap(), digest);
        let prefixed = format!("sha256:{text}");
        assert_eq!(prefixed.parse::<Sha256Digest>().unwrap(), digest);
        assert!("abc".parse::<Sha256Digest>().is_err());
    }
}
