//! The error of the Kubernetes and OpenBao modules: what was attempted, on what, and what that means.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of every fallible call of [`crate::kubernetes`] and [`crate::openbao`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A kubeconfig, address, certificate or credential that cannot be used; nothing was sent.
    Configuration,
    /// A value that cannot be sent: the message names it.
    InvalidInput,
    /// DNS or TCP: nothing was sent.
    Connect,
    /// The peer's certificate is not trusted, or it refuses ours. Never retried.
    Certificate,
    /// One attempt took too long.
    Timeout,
    /// The connection broke after the request was sent.
    Interrupted,
    /// The server does not know us: credentials wrong, expired or revoked.
    Unauthenticated,
    /// We are known, and not allowed to do this.
    Forbidden,
    /// The object, secret or version does not exist.
    NotFound,
    /// The version of the secret was deleted or destroyed; its metadata still exists.
    Deleted,
    /// OpenBao has no KV version 2 engine at this path, or no such namespace.
    NoSuchMount,
    /// It exists already: a create-only write was refused and changed nothing.
    AlreadyExists,
    /// Somebody else changed or owns what was to be written.
    Conflict,
    /// The server is sealed or not initialised.
    Sealed,
    /// The server is a standby, or its cluster has no active node at the moment.
    Standby,
    /// The server is starting; asking again later can succeed.
    NotReady,
    /// Overloaded or rate limited; the refusal is certain.
    Busy,
    /// The value is larger than the server or its storage accepts.
    TooLarge,
    /// The server demands something this client does not do.
    Unsupported,
    /// Any other refusal of the request.
    Rejected,
    /// The server failed while working on the request.
    Server,
    /// The answer is not of the expected shape.
    Decode,
    /// What was read back is not what was written.
    Mismatch,
    /// Our own time budget ran out; the message is the last cause.
    Deadline,
    /// A file cannot be read or written.
    Io,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Configuration => "bad client configuration",
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
            Self::AlreadyExists => "exists already",
            Self::Conflict => "conflict",
            Self::Sealed => "sealed",
            Self::Standby => "no active node",
            Self::NotReady => "not ready yet",
            Self::Busy => "busy",
            Self::TooLarge => "too large",
            Self::Unsupported => "not supported",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected answer",
            Self::Mismatch => "not what was written",
            Self::Deadline => "deadline exceeded",
            Self::Io => "input or output failed",
        }
    }
}

/// An error of a service: kind, operation, target, message and source. One pointer wide.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    message: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                status: None,
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

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    pub(crate) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.inner.retry_after = pause;
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// A failure below HTTP: tells certificate, connection and interruption apart by the causes in `source`.
    ///
    /// `connecting` says that the failure came before the request was sent.
    pub(crate) fn transport(
        operation: &'static str,
        connecting: bool,
        source: impl Into<Source>,
    ) -> Self {
        let source = source.into();
        let kind = match certificate_failure(source.as_ref()) {
            Some(_) => ErrorKind::Certificate,
            None if connecting => ErrorKind::Connect,
            None => ErrorKind::Interrupted,
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

    /// What was attempted, for example `"read secret"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on: an object, a path, an address. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The text of the server, as it was given, or our own explanation; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, when the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// How long the server asked to wait before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether the thing asked for does not exist (a deleted version counts as existing).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether a create-only write found something there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.inner.kind == ErrorKind::AlreadyExists
    }

    /// Whether the same call can succeed when it is made again later.
    ///
    /// Says nothing about whether repeating is *safe*: see [`Error::may_have_taken_effect`].
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

/// The TLS failure in a chain of causes. The I/O errors that carry it skip it in `source()`, so they are opened.
fn certificate_failure<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<rustls::Error>())
        .filter(|failure| {
            matches!(
                failure,
                rustls::Error::InvalidCertificate(_)
                    | rustls::Error::InvalidCertRevocationList(_)
                    | rustls::Error::NoCertificatesPresented
                    | rustls::Error::AlertReceived(_)
            )
        })
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
            .with_status(403);

        assert_eq!(
            error.to_string(),
            "read secret (secret/talos/lungmen.akn): permission denied"
        );
        assert_eq!(error.status(), Some(403));
        assert!(!error.is_retryable());
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
