//! Downloads: to a file, to a writer, or as a stream that goes straight into an upload.
//!
//! The public factory offers no checksums for images, so the SHA-256 is computed while the bytes pass. Image requests
//! wait for the build like [`Client::prewarm`] does.

mod body;
mod digest;
mod file;
mod format;
mod request;
mod unpack;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};

use self::body::Body;
use self::digest::DigestSlot;
pub use self::digest::Sha256Digest;
pub use self::file::Downloaded;
pub(crate) use self::file::RunningDownloads;
pub use self::request::DownloadRequest;
pub use self::unpack::Unpacked;
use crate::client::Client;
use crate::error::Result;
use crate::image::Image;

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes so far, those of an earlier, resumed download included.
    pub received: u64,
    /// Bytes in all, when the factory announced it.
    pub total: Option<u64>,
}

/// The bytes of an image on their way. A stream of chunks that ends with an error when the body is cut short; broken
/// connections are resumed where the server allows, or by reading the known part again and comparing it.
pub struct Download {
    content_length: Option<u64>,
    digest: DigestSlot,
    chunks: BoxStream<'static, Result<Bytes>>,
}

impl Download {
    fn new(body: Body) -> Self {
        let content_length = body.content_length();
        let digest = body.digest_slot();
        let chunks = futures_util::stream::try_unfold(body, |mut body| async move {
            Ok(body.next_chunk().await?.map(|chunk| (chunk, body)))
        });
        Self {
            content_length,
            digest,
            chunks: chunks.boxed(),
        }
    }

    /// Size in bytes, when the server announced it; the factory always does.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The slot that holds the SHA-256 once the stream has ended. Take it before moving the stream.
    #[must_use]
    pub fn digest(&self) -> DigestSlot {
        self.digest.clone()
    }
}

impl Stream for Download {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A download of `image` with options.
    pub fn download(&self, image: &Image) -> DownloadRequest {
        DownloadRequest::new(self.clone(), image.clone())
    }

    /// Opens the image for reading, when it is built: a stream with a known length, for a direct pipe into an upload.
    /// See [`DownloadRequest::open`].
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) or [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) when
    /// the body is not an image; the kinds of [`prewarm`](Self::prewarm).
    pub async fn open(&self, image: &Image) -> Result<Download> {
        self.download(image).open().await
    }

    /// Downloads to `path`. See [`DownloadRequest::to_file`].
    ///
    /// # Errors
    /// The kinds of [`DownloadRequest::to_file`].
    pub async fn download_to_file(
        &self,
        image: &Image,
        path: impl Into<std::path::PathBuf>,
    ) -> Result<Downloaded> {
        self.download(image).to_file(path).await
    }

    /// Downloads into `writer`. See [`DownloadRequest::to_writer`].
    ///
    /// # Errors
    /// The kinds of [`DownloadRequest::to_writer`].
    pub async fn download_to_writer<W>(&self, image: &Image, writer: W) -> Result<Sha256Digest>
    where
        W: tokio::io::AsyncWrite + Unpin,
    {
        self.download(image).to_writer(writer).await
    }
}
