//! The one error type of this crate: what was attempted, on what, and what that means.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::id::SchematicId;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad builder input: a base URL, a credential, a certificate.
    Configuration,
    /// A value that cannot be sent: the target names it. Nothing was sent.
    InvalidInput,
    /// A schematic that does not parse, here or at the factory.
    InvalidSchematic,
    /// A schematic that parses but does not fit the Talos version: unknown extension, missing feature.
    Validation,
    /// The factory computed another ID than this crate. [`Error::id_mismatch`] has both.
    IdMismatch,
    /// DNS or TCP: nothing was sent.
    Connect,
    /// The factory's certificate is not trusted. Never retried.
    Certificate,
    /// One attempt took too long. A build goes on at the factory; asking again joins it.
    Timeout,
    /// A download stopped moving for longer than the idle timeout.
    Stalled,
    /// The connection broke after the request was sent.
    Interrupted,
    /// A body ended before its announced length.
    Truncated,
    /// A body does not have the expected SHA-256 or content.
    Corrupted,
    /// 401: the factory wants credentials, or others.
    Unauthenticated,
    /// 403: another owner, or the credentials do not cover this route.
    Forbidden,
    /// 402: only an Enterprise factory answers this.
    NotEnabled,
    /// 404 for a schematic that this factory has not been given (yet).
    SchematicNotFound,
    /// 404 for a Talos version that this factory does not have (yet).
    VersionNotAvailable,
    /// 400 at image time: an extension or overlay does not exist for this Talos version.
    ExtensionNotAvailable,
    /// Any other 404; routes of the Enterprise edition answer it on a community factory.
    NotFound,
    /// Overloaded or busy (429, 503); the refusal is certain.
    Busy,
    /// Any other refusal of the request.
    Rejected,
    /// The factory failed (5xx); on image routes that is also how a hopeless build looks.
    Server,
    /// The answer is not of the expected shape.
    Decode,
    /// A local file could not be read or written.
    Io,
    /// Our own time budget ran out; the source is the last cause.
    Deadline,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Configuration => "bad client configuration",
            Self::InvalidInput => "invalid input",
            Self::InvalidSchematic => "invalid schematic",
            Self::Validation => "the schematic does not fit the Talos version",
            Self::IdMismatch => "the factory computed another schematic ID",
            Self::Connect => "cannot connect",
            Self::Certificate => "certificate not accepted",
            Self::Timeout => "timed out",
            Self::Stalled => "no data within the idle timeout",
            Self::Interrupted => "connection interrupted",
            Self::Truncated => "body ended early",
            Self::Corrupted => "content is not what was expected",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "not permitted",
            Self::NotEnabled => "not enabled at this factory",
            Self::SchematicNotFound => "schematic not found",
            Self::VersionNotAvailable => "Talos version not available",
            Self::ExtensionNotAvailable => "extension not available",
            Self::NotFound => "not found",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected answer",
            Self::Io => "file error",
            Self::Deadline => "deadline exceeded",
        }
    }
}

/// An error of this crate: kind, operation, target, message and source.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    message: String,
    status: Option<StatusCode>,
    request_id: Option<String>,
    id_mismatch: Option<IdMismatch>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

/// The two IDs of [`ErrorKind::IdMismatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdMismatch {
    /// The ID that was expected or computed here.
    pub computed: SchematicId,
    /// The ID that the factory reported.
    pub reported: SchematicId,
}

impl Error {
    /// An error of `kind` while doing `operation` ("create schematic", "download image").
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                status: None,
                request_id: None,
                id_mismatch: None,
                retry_after: None,
                source: None,
            }),
        }
    }

    pub(crate) fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.inner.request_id = id;
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// A copy without the source, to remember what happened last.
    pub(crate) fn describe(&self) -> Self {
        let inner = &self.inner;
        let mut copy = Self::new(inner.kind, inner.operation)
            .with_target(inner.target.clone())
            .with_message(inner.message.clone())
            .with_request_id(inner.request_id.clone());
        copy.inner.status = inner.status;
        copy
    }

    pub(crate) fn with_retry_after(mut self, delay: Duration) -> Self {
        self.inner.retry_after = Some(delay);
        self
    }

    /// `delay`, or what the factory asked for when that is longer.
    pub(crate) fn delay_at_least(&self, delay: Duration) -> Duration {
        self.inner
            .retry_after
            .map_or(delay, |asked| asked.max(delay))
    }

    pub(crate) fn id_mismatch_of(computed: SchematicId, reported: SchematicId) -> Self {
        let mut error = Self::new(ErrorKind::IdMismatch, "create schematic").with_message(format!(
            "computed {computed}, but the factory says {reported}; do not use either"
        ));
        error.inner.id_mismatch = Some(IdMismatch { computed, reported });
        error
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was attempted, for example `"create schematic"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on: a path at the factory, a file, a field. Never a query or a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The factory's own text, or ours; empty when the kind says it all.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, when the factory answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// The request ID of the failed answer (factory ≥ v1.4.0), for its operator.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// Both IDs of an [`ErrorKind::IdMismatch`].
    #[must_use]
    pub fn id_mismatch(&self) -> Option<&IdMismatch> {
        self.inner.id_mismatch.as_ref()
    }

    /// Whether something does not exist at the factory: a schematic, a Talos version, a route.
    ///
    /// *Troubleshooting*: post the schematic first; a new release appears up to 15 minutes late, and listed versions
    /// have temporarily vanished.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::SchematicNotFound | ErrorKind::VersionNotAvailable | ErrorKind::NotFound
        )
    }

    /// Whether the same call can succeed when it is made again later.
    ///
    /// *Troubleshooting*: every call of this crate may be repeated. [`ErrorKind::Server`] on an image can also be a
    /// build that will never succeed, so bound the repetitions.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Stalled
                | ErrorKind::Interrupted
                | ErrorKind::Truncated
                | ErrorKind::Busy
                | ErrorKind::Server
        )
    }

    /// Whether the factory may have acted although the call failed. That never harms: posting a schematic and
    /// building an image are idempotent.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Timeout
                | ErrorKind::Stalled
                | ErrorKind::Interrupted
                | ErrorKind::Truncated
                | ErrorKind::Server
                | ErrorKind::Decode
                | ErrorKind::IdMismatch
                | ErrorKind::Deadline
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.write_str(inner.operation)?;
        if !inner.target.is_empty() {
            write!(f, " ({})", inner.target)?;
        }
        if inner.message.is_empty() {
            write!(f, ": {}", inner.kind.text())?;
        } else {
            write!(f, ": {}", inner.message)?;
        }
        if let Some(id) = &inner.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("target", &inner.target)
            .field("message", &inner.message)
            .field("status", &inner.status)
            .field("request_id", &inner.request_id)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_with_operation_target_message_and_request() {
        let error = Error::new(ErrorKind::Server, "download image")
            .with_target("/image/…/nocloud-amd64.iso")
            .with_message("internal server error")
            .with_request_id(Some("7f".to_owned()));

        assert_eq!(
            error.to_string(),
            "download image (/image/…/nocloud-amd64.iso): internal server error [request 7f]"
        );
        assert!(error.is_retryable());
    }

    #[test]
    fn a_mismatch_carries_both_ids() {
        let computed = SchematicId::of_text("a");
        let reported = SchematicId::of_text("b");
        let error = Error::id_mismatch_of(computed.clone(), reported.clone());

        assert_eq!(error.kind(), ErrorKind::IdMismatch);
        assert!(error.to_string().contains(computed.as_str()));
        assert!(error.to_string().contains(reported.as_str()));
        assert!(!error.is_retryable());
    }
}
