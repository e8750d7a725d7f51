//! One download with its options.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::body::{self, Body};
use super::digest::Worker;
use super::file::Downloaded;
use super::{Download, Progress, Sha256Digest};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;
use crate::poll::Poll;

pub(super) type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// A download, ready to be started in one of several ways.
#[derive(Debug, Clone)]
#[must_use = "a download starts with `open`, `to_file` or `to_writer`"]
pub struct DownloadRequest {
    pub(super) client: Client,
    pub(super) image: Image,
    pub(super) options: Options,
}

#[derive(Clone, Default)]
pub(super) struct Options {
    pub(super) expected: Option<Sha256Digest>,
    pub(super) observer: Option<Observer>,
    poll: Option<Poll>,
}

impl Options {
    /// How the download waits for a build.
    pub(super) fn poll(&self, client: &Client) -> Poll {
        self.poll.unwrap_or(client.transport.build)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("expected", &self.expected)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

impl DownloadRequest {
    pub(super) fn new(client: Client, image: Image) -> Self {
        Self {
            client,
            image,
            options: Options::default(),
        }
    }

    /// Fails with [`ErrorKind::Corrupted`] when the bytes, as they are transferred, have another SHA-256.
    pub fn expect_sha256(mut self, digest: Sha256Digest) -> Self {
        self.options.expected = Some(digest);
        self
    }

    /// Calls `observer` after every chunk. It must not block.
    pub fn progress(mut self, observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.options.observer = Some(Arc::new(observer));
        self
    }

    /// Sets how the download waits for an image that is not built; the client's
    /// [`build_poll`](crate::ClientBuilder::build_poll) by default. The transfer itself has no time limit, only the
    /// idle timeout.
    pub fn build_poll(mut self, poll: Poll) -> Self {
        self.options.poll = Some(poll);
        self
    }

    /// Opens the image for reading, as soon as it is built. Nothing is stored; memory stays constant.
    ///
    /// The first bytes are read and checked before this call returns: a body that is not an image of the requested
    /// format never reaches the caller.
    ///
    /// # Errors
    /// * [`ErrorKind::Decode`] when an HTML page came instead of an image.
    /// * [`ErrorKind::Corrupted`] when the first bytes are not those of the format.
    /// * The kinds of [`Client::prewarm`] while the image is built.
    ///
    /// Failures of the transfer are items of the stream: [`ErrorKind::Truncated`], [`ErrorKind::Stalled`],
    /// [`ErrorKind::Corrupted`], [`ErrorKind::Interrupted`].
    pub async fn open(self) -> Result<Download> {
        Ok(Download::new(self.body().await?))
    }

    pub(super) async fn body(self) -> Result<Body> {
        let poll = self.options.poll(&self.client);
        let opened = body::open(&self.client, &self.image, poll, None).await?;
        let worker = Worker::start(Sha256::new(), None);
        let mut body = Body::new(self.client, self.image, &self.options, (opened, worker));
        body.check_head().await?;
        Ok(body)
    }

    /// Writes the image into `writer`, flushes it, and returns the SHA-256. After an error the writer holds a part.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the writer fails; [`ErrorKind::Truncated`], [`ErrorKind::Stalled`],
    /// [`ErrorKind::Corrupted`] or [`ErrorKind::Interrupted`] when the transfer fails; the kinds of [`open`](Self::open).
    pub async fn to_writer<W>(self, mut writer: W) -> Result<Sha256Digest>
    where
        W: AsyncWrite + Unpin,
    {
        let mut body = self.body().await?;
        let slot = body.digest_slot();
        while let Some(chunk) = body.next_chunk().await? {
            let written = writer.write_all(&chunk).await;
            written.map_err(|error| body.io_error(error))?;
        }
        let flushed = writer.flush().await;
        flushed.map_err(|error| body.io_error(error))?;
        slot.get()
            .ok_or_else(|| Error::new(ErrorKind::Truncated, "download image"))
    }

    /// Downloads into a file: writes `PATH.part`, verifies length and digest, makes it durable and renames it, so
    /// that `PATH` is either absent or complete. A part that an earlier call left behind is continued when the
    /// server supports that.
    ///
    /// Calls for the same path share one download while it runs; an existing file is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] for the file system; [`ErrorKind::Busy`] when another process is downloading to this path;
    /// the kinds of [`to_writer`](Self::to_writer) otherwise. Nothing is stored when the body is not an image.
    pub async fn to_file(self, path: impl Into<PathBuf>) -> Result<Downloaded> {
        let shared = self.client.downloads.clone();
        shared.run(self, path.into()).await
    }
}
