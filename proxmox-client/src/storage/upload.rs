//! Files that travel through us, streamed.
//!
//! The server's multipart parser is written by hand and depends on the order of the parts: content
//! type, checksum algorithm, checksum, file. Anything else is lost or stalls it. It needs the
//! length of the whole body in advance, so every part must have a known length.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use reqwest::multipart::{Form, Part};

use super::progress::Progress;
use super::{Checksum, Content, Storage, check_file_name, invalid_body};
use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;
use crate::task::Task;

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

impl Storage {
    /// Sends a file to this storage; returns when the contacted node has stored all of it, with
    /// the task that moves it into place.
    ///
    /// An existing file of that name is **overwritten**; look with [`Storage::find`] first. The
    /// file first lands in `/var/tmp` of the *contacted* node, which needs the space. One upload at
    /// a time per node: they slow down all other calls to it. The body is consumed, so nothing is
    /// repeated. Needs `Datastore.AllocateTemplate` on the storage; without it the server may close
    /// the connection before its refusal is read.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong file name; `Forbidden`; `NotFound` or `Rejected` for a storage
    /// that is unknown or not for this content; `Timeout` without progress; `Interrupted` when the
    /// connection breaks or the body has another length than announced.
    pub async fn upload(&self, upload: UploadRequest) -> Result<Task> {
        check_file_name(OPERATION, upload.content, &upload.file_name)?;
        let route = "/nodes/{node}/storage/{storage}/upload";
        let request = Request::post(OPERATION, route, &self.args()).target(format!(
            "{}, file {}",
            self.target(),
            upload.file_name
        ));
        let progress = Progress::new();
        let form = upload.into_form(progress.clone())?;
        let envelope = self
            .client
            .transport()
            .upload(&request, form, &progress)
            .await
            .map_err(explain_full_disk)?;
        let id = crate::envelope::decode(&request, envelope.data)?;
        Ok(self.client.task(id))
    }
}

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
