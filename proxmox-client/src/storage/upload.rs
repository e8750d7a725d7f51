//! Uploads of streamed files.
//!
//! The server's multipart parser is written by hand and depends on the order of the parts: content
//! type, checksum algorithm, checksum, file. Anything else is lost or stalls it. It needs the
//! length of the whole body in advance, so every part must have a known length.

use std::fmt;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use reqwest::multipart::{Form, Part};
use tokio::sync::mpsc::{self, Sender};

use super::progress::Progress;
use super::{Checksum, Content, Storage, check_file_name, invalid_body};
use crate::access::Requirement;
use crate::error::{Error, ErrorKind, Result};
use crate::id::VolumeId;
use crate::poll::Poll;
use crate::request::Request;
use crate::task::{Completion, Task};
use crate::upid::TaskId;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A file to send, of a length known in advance.
#[must_use = "a request does nothing until it is given to `Storage::upload`"]
pub struct UploadRequest {
    content: Content,
    file_name: String,
    length: u64,
    body: stream::BoxStream<'static, Result<Bytes, BoxError>>,
    checksum: Option<Checksum>,
}

impl UploadRequest {
    /// Sends `body`, which must have exactly `length` bytes, as `file_name`.
    pub fn new<S, E>(content: Content, file_name: impl Into<String>, length: u64, body: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self {
            content,
            file_name: file_name.into(),
            length,
            body: body.map(|piece| piece.map_err(Into::into)).boxed(),
            checksum: None,
        }
    }

    /// Sends bytes that are in memory already.
    pub fn from_bytes(content: Content, file_name: impl Into<String>, body: Bytes) -> Self {
        let length = body.len() as u64;
        let once = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        Self::new(content, file_name, length, once)
    }

    /// Reads a local file. Returns an error when the file cannot be opened or is not a file; reading it is part of the
    /// upload.
    ///
    /// # Errors
    /// `Io` when the file cannot be opened; `InvalidInput` when the path is not a file or has no name.
    pub async fn from_path(content: Content, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name =
            name.ok_or_else(|| invalid_body(OPERATION, format!("`{shown}` names no file")))?;
        let io = |error: std::io::Error| {
            Error::new(ErrorKind::Io, OPERATION)
                .with_target(shown.clone())
                .with_message(error.to_string())
                .with_source(error)
        };
        let file = tokio::fs::File::open(path).await.map_err(io)?;
        let metadata = file.metadata().await.map_err(io)?;
        if !metadata.is_file() {
            return Err(invalid_body(OPERATION, format!("`{shown}` is not a file")));
        }
        let file = file.into_std().await;
        Ok(Self::new(content, name, metadata.len(), pieces_of(file)))
    }

    /// Stores the file under another name than that of the local file.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// Calls `observer` with the number of bytes handed over so far and the length, after every piece.
    pub fn progress(mut self, mut observer: impl FnMut(u64, u64) + Send + 'static) -> Self {
        let (mut sent, length) = (0_u64, self.length);
        self.body = self
            .body
            .inspect(move |piece| {
                if let Ok(piece) = piece {
                    sent += piece.len() as u64;
                    observer(sent, length);
                }
            })
            .boxed();
        self
    }

    /// Has the node compare the file with this checksum.
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    fn into_form(self, progress: Progress) -> Result<Form> {
        let mut form = Form::new().text("content", self.content.as_str());
        for (name, value) in self.checksum.iter().flat_map(Checksum::params) {
            form = form.text(name, value);
        }
        let body = exactly(self.length, self.body, progress);
        let file = Part::stream_with_length(reqwest::Body::wrap_stream(body), self.length)
            .file_name(crate::id::normalized_file_name(&self.file_name))
            .mime_str("application/octet-stream")
            .map_err(|error| invalid_body(OPERATION, "media type").with_source(error))?;
        Ok(form.part("filename", file))
    }
}

impl fmt::Debug for UploadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadRequest")
            .field("content", &self.content)
            .field("file_name", &self.file_name)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

const OPERATION: &str = "upload to storage";

/// The size of a piece of a file.
const PIECE: u64 = 256 * 1024;

/// How many pieces of a file are read ahead of what is sent.
const AHEAD: usize = 4;

/// The content of a file in pieces, read by a thread of its own while the pieces before are sent. The thread begins with
/// the first piece that is asked for.
fn pieces_of(file: std::fs::File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::once(async move {
        let (pieces, mut read) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || read_ahead(file, &pieces));
        stream::poll_fn(move |context| read.poll_recv(context))
    })
    .flatten()
}

fn read_ahead(mut file: std::fs::File, pieces: &Sender<std::io::Result<Bytes>>) {
    while let Some(piece) = next_piece(&mut file).transpose() {
        let failed = piece.is_err();
        // Nobody receives when the upload was given up.
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

fn next_piece(file: &mut std::fs::File) -> std::io::Result<Option<Bytes>> {
    let mut piece = Vec::with_capacity(usize::try_from(PIECE).unwrap_or_default());
    file.take(PIECE).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| piece.into()))
}

/// The body, failing when it is shorter or longer than announced: a server that waits for missing
/// bytes would otherwise hang, and surplus ones would be cut off silently.
fn exactly(
    length: u64,
    body: stream::BoxStream<'static, Result<Bytes, BoxError>>,
    progress: Progress,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static {
    stream::try_unfold((body, 0), move |(mut body, seen)| {
        let progress = progress.clone();
        async move {
            let piece = body.next().await.transpose()?;
            progress.mark();
            let seen = seen + piece.as_ref().map_or(0, |piece| piece.len() as u64);
            match piece {
                Some(_) if seen > length => {
                    Err(format!("the file is longer than the announced {length} bytes").into())
                }
                None if seen < length => {
                    Err(format!("the file ended after {seen} of {length} bytes").into())
                }
                Some(piece) => Ok(Some((piece, (body, seen)))),
                None => Ok(None),
            }
        }
    })
}

/// An upload that the node has received, and that its task copies into place.
///
/// The copy has the final name from its first byte on: a listed volume is whole only after the task has succeeded, and
/// the API offers no way to upload under another name and rename. Compare the listed size with [`length`](Self::length)
/// when the task is not known any more.
#[must_use = "the server copies the file in the background; wait for the task or keep its ID"]
#[derive(Debug, Clone)]
pub struct Upload {
    task: Task,
    volume: VolumeId,
    length: u64,
}

impl Upload {
    /// The task that copies the file.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The ID of the task.
    #[must_use]
    pub fn id(&self) -> &TaskId {
        self.task.id()
    }

    /// The volume that the upload creates or replaces.
    #[must_use]
    pub fn volume(&self) -> &VolumeId {
        &self.volume
    }

    /// The number of bytes that the node received.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Waits until the file is in place. Waiting may be repeated.
    ///
    /// # Errors
    /// `TaskFailed` for a checksum that differs or a full storage; `Deadline`; and at once what [`Task::wait`] does not
    /// wait for.
    pub async fn wait(&self, poll: Poll) -> Result<Completion> {
        self.task.wait(poll).await
    }

    /// The task without the rest.
    pub fn into_task(self) -> Task {
        self.task
    }
}

impl Storage {
    /// Uploads a file to this storage. Returns when the contacted node has received all of it, with the task that copies
    /// the file into place.
    ///
    /// An existing file of that name is **overwritten**, and is incomplete while the task runs; look with
    /// [`Storage::find`] first. The file first lands in `/var/tmp` of the *contacted* node, which needs the space. A
    /// client sends one upload at a time, because an upload slows down all other requests to the node, and a storage gets
    /// one at a time of all clients that share a [`Limiter`](crate::Limiter). The body is
    /// consumed, so that nothing is repeated.
    ///
    /// Needs `Datastore.AllocateTemplate` on the storage. The server rejects an upload without it by closing the
    /// connection while the body is still being sent, so that its response is lost (measured with bodies larger than the
    /// socket buffers). Bodies above 128 KiB therefore cost a request for the caller's privileges first, and a connection
    /// that breaks while the body is sent costs another one: a right or a token that was lost in between is the error
    /// then, with the interruption as its source.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong file name; `Forbidden` with path and privilege; `NotFound` or `Rejected` for a storage
    /// that is unknown or not for this content; `Timeout` without progress; `Interrupted` when the connection breaks or
    /// the body has another length than announced; `Connect`, `Certificate`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn upload(&self, upload: UploadRequest) -> Result<Upload> {
        check_file_name(OPERATION, upload.content, &upload.file_name)?;
        let volume = self.volume_for(upload.content, &upload.file_name)?;
        let length = upload.length;
        let target = format!("{}, file {}", self.target(), upload.file_name);
        if length > UNREAD_BODY {
            self.check_upload_right(&target).await?;
        }
        let route = "/nodes/{node}/storage/{storage}/upload";
        let request = Request::post(OPERATION, route, &self.args()).target(target);
        let progress = Progress::new();
        let form = upload.into_form(progress.clone())?;
        let sent = self
            .client
            .transport()
            .upload(&request, form, &progress)
            .await;
        let envelope = match sent {
            Ok(envelope) => envelope,
            // A rejection can close the connection before its text is read.
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                return Err(self.explain_interruption(request.target, error).await);
            }
            Err(error) => return Err(explain_full_disk(error)),
        };
        let id = crate::envelope::decode(&request, envelope.data)?;
        let task = self.client.task(id);
        Ok(Upload {
            task,
            volume,
            length,
        })
    }

    /// Finds a missing right before a large body is sent; the rejection of the upload itself would be lost.
    async fn check_upload_right(&self, target: &str) -> Result<()> {
        let needed = Requirement::new(
            format!("/storage/{}", self.name),
            "Datastore.AllocateTemplate",
        );
        let missing = self.client.permissions().await?.missing(&[needed]);
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let message = format!("missing privilege: {first}");
        Err(Error::new(ErrorKind::Forbidden, OPERATION)
            .with_target(target)
            .with_server(self.client.transport().server())
            .with_message(message)
            .with_missing_permissions(missing))
    }

    /// The server decides from the head of the request, and closes the connection while the body is still coming: the
    /// same question is asked again in a request whose answer is not lost.
    async fn explain_interruption(&self, target: String, error: Error) -> Error {
        match self.check_upload_right(&target).await {
            Err(refused) if refused.kind() == ErrorKind::Forbidden => refused.with_source(error),
            Err(refused) if refused.kind() == ErrorKind::Unauthenticated => {
                Error::new(refused.kind(), OPERATION)
                    .with_target(target)
                    .with_server(self.client.transport().server())
                    .with_message(refused.message())
                    .with_source(error)
            }
            _ => error,
        }
    }
}

/// The size up to which a client has usually sent the whole body before a rejection closes the connection.
const UNREAD_BODY: u64 = 128 * 1024;

/// The server speaks of "device" when the root file system of the node is full.
fn explain_full_disk(error: Error) -> Error {
    if error.kind() == ErrorKind::Rejected && error.message().contains("temporary file") {
        let message = format!(
            "{} (uploads pass through /var/tmp on the contacted node)",
            error.message()
        );
        return error.with_message(message);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(length: u64, pieces: &[&'static str]) -> Result<Vec<u8>, String> {
        let pieces: Vec<Result<Bytes, BoxError>> =
            pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        let body = exactly(length, stream::iter(pieces).boxed(), Progress::new());
        let results: Vec<_> = body.collect().await;
        let mut all = Vec::new();
        for piece in results {
            all.extend(piece.map_err(|error| error.to_string())?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_of_the_announced_length_passes() {
        assert_eq!(collected(5, &["ab", "cde"]).await.unwrap(), b"abcde");
        assert_eq!(collected(0, &[]).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_body_of_another_length_fails() {
        assert!(collected(5, &["ab"]).await.unwrap_err().contains("2 of 5"));
        assert!(
            collected(5, &["abcdef"])
                .await
                .unwrap_err()
                .contains("longer")
        );
    }
}
