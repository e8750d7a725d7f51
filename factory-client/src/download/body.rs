//! A body that survives broken connections.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use reqwest::Response;
use sha2::{Digest as _, Sha256};

use super::Progress;
use super::digest::{DigestSlot, Sha256Digest, Worker};
use super::format;
use super::request::{Observer, Options};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;
use crate::poll::Poll;
use crate::prewarm::BuildWait;
use crate::response::{connection_error, html_page, is_html, text_header};
use crate::transport::Request;

const DOWNLOAD: &str = "download image";

/// The delays before a download is resumed again, as long as no byte arrives in between.
type Delays = Box<dyn Iterator<Item = Duration> + Send>;

/// Which file this is, as far as the server tells. A later response must agree with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    pub(super) length: Option<u64>,
    pub(super) etag: Option<String>,
}

/// A response with the file from some offset on.
pub(super) struct Opened {
    response: Response,
    pub(super) identity: Identity,
    pub(super) offset: u64,
}

/// Requests the image as soon as it is built, from `known` on if the server supports ranges.
pub(super) async fn open(
    client: &Client,
    image: &Image,
    poll: Poll,
    known: Option<(u64, &Identity)>,
) -> Result<Opened> {
    let mut request = client.image_request(DOWNLOAD, image);
    if let Some((offset, identity)) = known {
        request
            .headers
            .insert(header::RANGE, number_header("bytes=", offset, "-"));
        let etag = identity
            .etag
            .as_deref()
            .filter(|etag| etag.starts_with('"'));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            request.headers.insert(header::IF_RANGE, etag);
        }
    }
    let wait = BuildWait::new(client, image.schematic(), poll);
    let response = wait.run(&request, |_| {}).await?;
    let etag = text_header(response.headers(), header::ETAG.as_str());
    if response.status() != StatusCode::PARTIAL_CONTENT {
        let length = response.content_length();
        return Ok(Opened {
            response,
            identity: Identity { length, etag },
            offset: 0,
        });
    }
    let range = text_header(response.headers(), header::CONTENT_RANGE.as_str());
    let wanted = known.map_or(0, |(offset, _)| offset);
    match range.as_deref().and_then(content_range) {
        Some((offset, length)) if offset == wanted => Ok(Opened {
            response,
            identity: Identity {
                length: Some(length),
                etag,
            },
            offset,
        }),
        _ => Err(request
            .error(ErrorKind::Corrupted)
            .with_message("the server sent another range than was requested")),
    }
}

fn number_header(before: &str, number: u64, after: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{before}{number}{after}"))
        .unwrap_or_else(|_| HeaderValue::from(number))
}

/// First byte and total length of `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()?))
}

/// The bytes of one image, in order and complete.
pub(super) struct Body {
    client: Client,
    image: Image,
    request: Request,
    poll: Poll,
    observer: Option<Observer>,
    expected: Option<Sha256Digest>,
    response: Response,
    /// Bytes that were read and are not passed on yet.
    pending: Option<Bytes>,
    /// How many bytes of the head were read while it is checked.
    head: u64,
    worker: Worker,
    position: u64,
    identity: Identity,
    resumptions: Delays,
    slot: DigestSlot,
    is_finished: bool,
}

impl Body {
    /// The bytes of `opened`, of which `worker` has seen everything before its offset.
    pub(super) fn new(
        client: Client,
        image: Image,
        options: &Options,
        (opened, worker): (Opened, Worker),
    ) -> Self {
        Self {
            request: client.image_request(DOWNLOAD, &image),
            poll: options.poll(&client),
            observer: options.observer.clone(),
            expected: options.expected,
            resumptions: resumptions(&client),
            client,
            image,
            response: opened.response,
            pending: None,
            head: 0,
            worker,
            position: opened.offset,
            identity: opened.identity,
            slot: DigestSlot::default(),
            is_finished: false,
        }
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.identity.length
    }

    pub(super) fn digest_slot(&self) -> DigestSlot {
        self.slot.clone()
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn worker(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// Reads the first bytes and makes sure that an image of this format starts with them, before anything is passed
    /// on. A continued download was checked when it started.
    pub(super) async fn check_head(&mut self) -> Result<()> {
        if self.position > 0 {
            return Ok(());
        }
        let output = self.image.request().output();
        let mut head = BytesMut::new();
        while head.len() < format::head_length(output) {
            match self.read().await {
                Ok(Some(chunk)) => head.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => {
                    self.head = 0;
                    self.resume(error).await?;
                    head.clear();
                }
            }
            self.head = head.len() as u64;
        }
        self.head = 0;
        if is_html(&head) {
            return Err(html_page(&self.request));
        }
        if let Some(expected) = format::mismatch(output, &head) {
            let error = self.request.error(ErrorKind::Corrupted);
            return Err(error.with_message(format!("the response is not {expected}")));
        }
        self.pending = (!head.is_empty()).then(|| head.freeze());
        Ok(())
    }

    /// The next bytes; `None` after the last, when length and digest were right.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if self.is_finished {
            return Ok(None);
        }
        loop {
            match self.read().await {
                Ok(Some(chunk)) => return self.pass_on(chunk).await.map(Some),
                Ok(None) => {
                    self.finish().await?;
                    return Ok(None);
                }
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// The next bytes at the present position, checked against the announced length.
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let chunk = match self.pending.take() {
            Some(chunk) => Some(chunk),
            None => self.receive().await?,
        };
        let Some(length) = self.identity.length else {
            return Ok(chunk);
        };
        let position = self.position + self.head;
        match chunk {
            None if position < length => Err(self.failure(ErrorKind::Truncated)),
            Some(chunk) if position + chunk.len() as u64 > length => {
                let error = self.request.error(ErrorKind::Corrupted);
                Err(error.with_message("more bytes than announced"))
            }
            chunk => Ok(chunk),
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>> {
        let idle = self.client.transport.timeouts.idle;
        match tokio::time::timeout(idle, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.failure(ErrorKind::Stalled)),
        }
    }

    /// hyper reports a body that is shorter than its `Content-Length` as a broken one.
    fn broken(&self, error: reqwest::Error) -> Error {
        let error = connection_error(&self.request, error);
        match error.kind() {
            ErrorKind::Interrupted => self.failure(ErrorKind::Truncated).with_source(error),
            _ => error,
        }
    }

    fn failure(&self, kind: ErrorKind) -> Error {
        let what = match kind {
            ErrorKind::Stalled => "no data within the idle timeout",
            _ => "the body ended early",
        };
        let position = self.position + self.head;
        let message = match self.identity.length {
            Some(length) => format!("{what}, after {position} of {length} bytes"),
            None => format!("{what}, after {position} bytes"),
        };
        self.request.error(kind).with_message(message)
    }

    async fn pass_on(&mut self, chunk: Bytes) -> Result<Bytes> {
        self.position += chunk.len() as u64;
        self.resumptions = resumptions(&self.client);
        let taken = self.worker.take(chunk.clone()).await;
        taken.map_err(|error| self.io_error(error))?;
        if let Some(observer) = &self.observer {
            observer(Progress {
                received: self.position,
                total: self.identity.length,
            });
        }
        Ok(chunk)
    }

    async fn finish(&mut self) -> Result<()> {
        self.is_finished = true;
        let digest = self.digest_so_far().await?;
        match self.expected {
            Some(expected) if expected != digest => {
                let error = self.request.error(ErrorKind::Corrupted);
                Err(error.with_message(format!("SHA-256 is {digest}, expected {expected}")))
            }
            _ => {
                self.slot.set(digest);
                Ok(())
            }
        }
    }

    async fn digest_so_far(&mut self) -> Result<Sha256Digest> {
        let hasher = self.worker.hasher().await;
        hasher
            .map(Sha256Digest::of)
            .map_err(|error| self.io_error(error))
    }

    pub(super) fn io_error(&self, error: std::io::Error) -> Error {
        self.request.error(ErrorKind::Io).with_source(error)
    }

    /// Opens the body again at the present position, or returns the last cause when that cannot succeed.
    async fn resume(&mut self, mut cause: Error) -> Result<()> {
        while cause.is_retryable() {
            let Some(delay) = self.resumptions.next() else {
                break;
            };
            tracing::debug!(position = self.position, kind = ?cause.kind(), "resuming download");
            tokio::time::sleep(delay).await;
            match self.open_again().await {
                Ok(()) => return Ok(()),
                Err(error) => cause = error,
            }
        }
        Err(cause)
    }

    async fn open_again(&mut self) -> Result<()> {
        let known = (self.position > 0).then_some((self.position, &self.identity));
        let opened = open(&self.client, &self.image, self.poll, known).await?;
        if self.identity.length.is_some() && self.identity.length != opened.identity.length {
            return Err(self.has_changed());
        }
        self.response = opened.response;
        if opened.offset == self.position {
            return Ok(());
        }
        self.skip_known_part().await
    }

    /// The server ignored the range, as the factory does: reads up to the present position and makes sure that these
    /// are the same bytes.
    async fn skip_known_part(&mut self) -> Result<()> {
        let mut hasher = Sha256::new();
        let mut left = self.position;
        while left > 0 {
            let Some(mut chunk) = self.receive().await? else {
                return Err(self.failure(ErrorKind::Truncated));
            };
            let known = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let rest = chunk.split_off(known);
            hasher.update(&chunk);
            left -= known as u64;
            self.pending = (!rest.is_empty()).then_some(rest);
        }
        if Sha256Digest::of(hasher) == self.digest_so_far().await? {
            Ok(())
        } else {
            Err(self.has_changed())
        }
    }

    fn has_changed(&self) -> Error {
        self.request.error(ErrorKind::Corrupted).with_message(
            "the image changed at the factory during the download; start the download again",
        )
    }
}

fn resumptions(client: &Client) -> Delays {
    Box::new(client.transport.retry.schedule())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_names_the_first_byte_and_the_total() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        assert_eq!(content_range("bytes 5-9/*"), None);
        assert_eq!(content_range("bytes */10"), None);
    }
}
