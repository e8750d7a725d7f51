//! The one error type of this crate: what was attempted, on what, and what that means.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::id::SchematicId;
use crate::tls::PinMismatch;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// What went wrong, independent of where.
        ///
        /// Prints as a plain phrase; serialises as its name in snake case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])+ $name,)+
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

kinds! {
    /// Bad builder input: an endpoint, a credential, a certificate.
    Configuration = "invalid client configuration",
    /// A value that cannot be sent; the target names it. Nothing was sent.
    InvalidInput = "invalid input",
    /// A schematic that does not parse, here or at the factory.
    InvalidSchematic = "invalid schematic",
    /// A schematic that parses but does not fit the Talos version: unknown extension, missing feature.
    Validation = "validation failed",
    /// The factory computed another ID than this crate. [`Error::id_mismatch`] has both.
    IdMismatch = "the factory computed another schematic ID",
    /// DNS or TCP: nothing was sent.
    Connect = "cannot connect",
    /// The factory's certificate is not trusted. Never retried.
    Certificate = "certificate not accepted",
    /// One attempt took too long. A build continues at the factory; the next request joins it.
    Timeout = "timed out",
    /// A download received no data for longer than the idle timeout.
    Stalled = "no data within the idle timeout",
    /// The connection broke after the request was sent.
    Interrupted = "connection interrupted",
    /// A body ended before its announced length.
    Truncated = "body ended early",
    /// A body does not have the expected SHA-256, length or format.
    Corrupted = "content is not what was expected",
    /// 401: the factory requires credentials, or other ones.
    Unauthenticated = "not authenticated",
    /// 403: another owner, or the credentials do not cover this route.
    Forbidden = "not permitted",
    /// 402: only an Enterprise factory offers this.
    NotEnabled = "not enabled at this factory",
    /// 404 for a schematic that was not posted to this factory, or not yet.
    SchematicNotFound = "schematic not found",
    /// 404 for a Talos version that this factory does not have, or not yet.
    VersionNotAvailable = "Talos version not available",
    /// 400 at image time: an extension or overlay does not exist for this Talos version.
    ExtensionNotAvailable = "extension not available",
    /// Any other 404. A community factory returns it for routes of the Enterprise edition.
    NotFound = "not found",
    /// Overloaded or busy (429, 503). The request had no effect.
    Busy = "busy",
    /// Any other rejection of the request.
    Rejected = "rejected",
    /// The factory failed (5xx). On image routes a build that can never succeed looks the same.
    Server = "server error",
    /// The response is not of the expected form, for example an HTML page of a captive portal.
    Decode = "unexpected response",
    /// A local file could not be read or written.
    Io = "file error",
    /// The time for the whole operation ran out. The source is the last cause.
    Deadline = "deadline exceeded",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error of this crate: kind, operation, target, message and source.
///
/// ```
/// use factory_client::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::SchematicNotFound => "post the schematic first",
///         ErrorKind::ExtensionNotAvailable => "check the extension names",
///         _ if error.is_retryable() => "try again later",
///         _ => "read the message",
///     }
/// }
///
/// // Users construct errors to test their own handling.
/// let error = Error::new(ErrorKind::Busy, "prewarm image").with_message("try again in a minute");
/// assert_eq!(advice(&error), "try again later");
/// assert_eq!(error.to_string(), "prewarm image: try again in a minute");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    server: Option<String>,
    message: String,
    status: Option<StatusCode>,
    request_id: Option<String>,
    id_mismatch: Option<IdMismatch>,
    pin_mismatch: Option<PinMismatch>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

/// The two IDs of [`ErrorKind::IdMismatch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdMismatch {
    /// The ID that was expected or computed here.
    pub computed: SchematicId,
    /// The ID that the factory reported.
    pub reported: SchematicId,
}

impl Error {
    /// An error of `kind` during `operation` ("create schematic", "download image").
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                server: None,
                message: String::new(),
                status: None,
                request_id: None,
                id_mismatch: None,
                pin_mismatch: None,
                retry_after: None,
                source: None,
            }),
        }
    }

    /// Sets what the operation was applied to.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    /// Sets the text that is printed instead of the kind's.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Sets the endpoint; it must not contain credentials.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.inner.server = Some(server.into());
        self
    }

    /// Sets the delay that the factory asked for.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.inner.retry_after = Some(delay);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.inner.request_id = id;
        self
    }

    pub(crate) fn with_pin_mismatch(mut self, mismatch: Option<PinMismatch>) -> Self {
        self.inner.pin_mismatch = mismatch;
        self
    }

    pub(crate) fn id_mismatch_of(computed: SchematicId, reported: SchematicId) -> Self {
        let mut error = Self::new(ErrorKind::IdMismatch, "create schematic").with_message(format!(
            "this client computed {computed}, the factory reported {reported}; do not use either ID"
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

    /// What the operation was applied to: a path at the factory, a file, a field. Never a query or a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The endpoint of the factory, without credentials; `None` for errors without a request.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// The factory's text, or this crate's; empty when the kind is the whole message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, when the factory responded.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// The request ID of the failed response (factory ≥ v1.4.0), for its operator.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// The delay that the factory asked for (`Retry-After`).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Both fingerprints, when a pinned certificate was not the one that the server presented.
    #[must_use]
    pub fn pin_mismatch(&self) -> Option<&PinMismatch> {
        self.inner.pin_mismatch.as_ref()
    }

    /// Both IDs of an [`ErrorKind::IdMismatch`].
    #[must_use]
    pub fn id_mismatch(&self) -> Option<&IdMismatch> {
        self.inner.id_mismatch.as_ref()
    }

    /// Whether something does not exist at the factory: a schematic, a Talos version, a route.
    ///
    /// *Troubleshooting*: post the schematic first. A new release appears up to 15 minutes late, and listed versions
    /// have temporarily disappeared (siderolabs/image-factory#249).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::SchematicNotFound | ErrorKind::VersionNotAvailable | ErrorKind::NotFound
        )
    }

    /// Whether the same call can succeed later.
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

    /// Whether the factory may have acted although the call failed. That is harmless: posting a schematic and
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
            .field("server", &inner.server)
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
