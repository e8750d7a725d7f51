//! The error of the Kubernetes and OpenBao modules: kind, operation, target, server, source.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::tls::{PinMismatch, find_tls_error, is_certificate_failure, pin_mismatch};

/// The result of every fallible call of [`kubernetes`](super::kubernetes) and [`openbao`](super::openbao).
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A kubeconfig, URL, certificate or credential cannot be used. No request was sent.
    Configuration,
    /// An argument cannot be sent; the message names it. No request was sent.
    InvalidInput,
    /// The connection could not be established (DNS, TCP). No request was sent.
    Connect,
    /// The TLS handshake failed because one side does not accept the other's certificate. Never retried.
    Certificate,
    /// One attempt took longer than its timeout.
    Timeout,
    /// The connection broke after the request was sent.
    Interrupted,
    /// The server does not accept the credentials: wrong, expired or revoked.
    Unauthenticated,
    /// The credentials are valid but do not permit the operation.
    Forbidden,
    /// The object, secret or version does not exist.
    NotFound,
    /// The version of the secret was deleted or destroyed; its metadata still exists (OpenBao).
    Deleted,
    /// There is no KV version 2 engine at this path, or no such namespace (OpenBao).
    NoSuchMount,
    /// A create-only write found something; nothing was changed.
    AlreadyExists,
    /// Another writer changed or owns what was to be written; nothing was changed.
    Conflict,
    /// The server is sealed or not initialised (OpenBao).
    Sealed,
    /// The server is a standby, or its cluster has no active node at the moment (OpenBao).
    Standby,
    /// The server is starting. A later attempt can succeed.
    NotReady,
    /// The server is overloaded or limits the rate; the request had no effect.
    Busy,
    /// The value is larger than the server or its storage accepts (OpenBao).
    TooLarge,
    /// The server or the input requires something that this client does not implement.
    Unsupported,
    /// The server rejected the request for another reason.
    Rejected,
    /// The server failed while it handled the request.
    Server,
    /// The response does not have the expected form.
    Decode,
    /// The value that was read back differs from the value that was written (OpenBao).
    Mismatch,
    /// The deadline of a whole operation passed; the message has the last cause.
    Deadline,
    /// A file cannot be read or written.
    Io,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::Configuration,
        Self::InvalidInput,
        Self::Connect,
        Self::Certificate,
        Self::Timeout,
        Self::Interrupted,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Deleted,
        Self::NoSuchMount,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Sealed,
        Self::Standby,
        Self::NotReady,
        Self::Busy,
        Self::TooLarge,
        Self::Unsupported,
        Self::Rejected,
        Self::Server,
        Self::Decode,
        Self::Mismatch,
        Self::Deadline,
        Self::Io,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Configuration => "invalid client configuration",
            Self::InvalidInput => "invalid input",
            Self::Connect => "cannot connect",
            Self::Certificate => "certificate not accepted",
            Self::Timeout => "timed out",
            Self::Interrupted => "connection interrupted",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "not permitted",
            Self::NotFound => "not found",
            Self::Deleted => "deleted",
            Self::NoSuchMount => "no such mount",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Sealed => "sealed",
            Self::Standby => "no active node",
            Self::NotReady => "not ready yet",
            Self::Busy => "busy",
            Self::TooLarge => "too large",
            Self::Unsupported => "not supported",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected response",
            Self::Mismatch => "not what was written",
            Self::Deadline => "deadline exceeded",
            Self::Io => "file error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error of a service: kind, operation, target, server, message and source. One pointer wide.
///
/// ```
/// use lungmen_bootstrap::services::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Sealed => "unseal OpenBao",
///         ErrorKind::Forbidden | ErrorKind::Unauthenticated => "check the credentials",
///         _ if error.is_retryable() => "try again later",
///         _ => "read the message",
///     }
/// }
///
/// let error = Error::new(ErrorKind::Sealed, "read secret").with_target("secret/talos");
/// assert_eq!(advice(&error), "unseal OpenBao");
/// assert_eq!(error.to_string(), "read secret (secret/talos): sealed");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    message: String,
    server: Option<String>,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind. Public so that code that handles errors can be tested.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                server: None,
                status: None,
                retry_after: None,
                source: None,
            }),
        }
    }

    /// Sets what the operation was attempted on.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    /// Sets the message: the server's text, or an explanation.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// Sets the endpoint of the server, without credentials.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.inner.server = Some(server.into());
        self
    }

    /// Sets the HTTP status of the response.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Sets the delay that the server requested.
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

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// A failure below HTTP: distinguishes certificate, connection and interruption by the causes in `source`.
    ///
    /// `connecting` says that the failure came before the request was sent.
    pub(crate) fn transport(
        operation: &'static str,
        connecting: bool,
        source: impl Into<Source>,
    ) -> Self {
        let source = source.into();
        let kind = if is_certificate_failure(source.as_ref()) {
            ErrorKind::Certificate
        } else if connecting {
            ErrorKind::Connect
        } else {
            ErrorKind::Interrupted
        };
        let message = deepest(source.as_ref()).to_string();
        Self::new(kind, operation)
            .with_message(format!("{}: {message}", kind.text()))
            .with_source(source)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The operation that failed, for example `"read secret"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What the operation was attempted on: an object, a path, an address. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The server's text, unchanged, or an explanation; empty when there is neither.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The endpoint of the server, without credentials; `None` before a server was chosen.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// The HTTP status, when the server responded.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// How long the server asks to wait before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Both fingerprints, when the server presented another certificate than the pinned one.
    #[must_use]
    pub fn pin_mismatch(&self) -> Option<PinMismatch> {
        find_tls_error(self.inner.source.as_deref()?).and_then(pin_mismatch)
    }

    /// Whether the object does not exist. A deleted version of a secret counts as existing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether a create-only write found something.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.inner.kind == ErrorKind::AlreadyExists
    }

    /// Whether the same call can succeed later without a change by the caller.
    ///
    /// Whether repeating is *safe* is another question: see [`Error::may_have_taken_effect`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Standby
                | ErrorKind::NotReady
                | ErrorKind::Busy
                | ErrorKind::Server
        )
    }

    /// Whether the server may have acted although the call failed.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Server
                | ErrorKind::Decode
                | ErrorKind::Mismatch
                | ErrorKind::Deadline
                | ErrorKind::Io
        )
    }
}

fn deepest<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        let inside = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|inner| inner as &(dyn StdError + 'static));
        inside.or_else(|| cause.source())
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.write_str(inner.operation)?;
        if !inner.target.is_empty() {
            write!(f, " ({})", inner.target)?;
        }
        if inner.message.is_empty() {
            write!(f, ": {}", inner.kind.text())
        } else {
            write!(f, ": {}", inner.message)
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("operation", &self.inner.operation)
            .field("target", &self.inner.target)
            .field("message", &self.inner.message)
            .field("server", &self.inner.server)
            .field("status", &self.inner.status)
            .field("source", &self.inner.source)
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
    use std::io;

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_with_operation_target_and_message() {
        let error = Error::new(ErrorKind::Forbidden, "read secret")
            .with_target("secret/talos/lungmen.akn")
            .with_message("permission denied")
            .with_status(StatusCode::FORBIDDEN);

        assert_eq!(
            error.to_string(),
            "read secret (secret/talos/lungmen.akn): permission denied"
        );
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        assert!(!error.is_retryable());
    }

    #[test]
    fn every_kind_has_its_own_phrase_and_its_name_in_json() {
        let phrases: std::collections::BTreeSet<_> =
            ErrorKind::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(phrases.len(), ErrorKind::ALL.len());

        for kind in ErrorKind::ALL {
            let name = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<ErrorKind>(&name).unwrap(), *kind);
        }
        assert_eq!(
            serde_json::to_string(&ErrorKind::NoSuchMount).unwrap(),
            "\"no_such_mount\""
        );
    }

    #[test]
    fn a_certificate_failure_inside_an_io_error_is_not_a_connection_failure() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));

        let error = Error::transport("read version", true, nested);

        assert_eq!(error.kind(), ErrorKind::Certificate);
        assert!(!error.is_retryable());
        assert!(error.message().contains("UnknownIssuer"), "{error}");
    }

    #[test]
    fn a_refused_connection_is_retryable_and_had_no_effect() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);

        let error = Error::transport("read version", true, refused);

        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_retryable());
        assert!(!error.may_have_taken_effect());
    }
}
