//! The one error type of this crate: what was attempted, on what, and what that means.

use std::error::Error as StdError;
use std::fmt;

use crate::Code;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad builder input: an endpoint, a PEM block, a fingerprint.
    Configuration,
    /// A value that cannot be sent or generated from: the message names the field.
    InvalidInput,
    /// A document (machine configuration, patch, secrets bundle, talosconfig) that cannot be read or merged.
    InvalidDocument,
    /// A document that was read but breaks a rule of the reference validator.
    Validation,
    /// DNS or TCP: nothing was sent.
    Connect,
    /// The peer's certificate is not trusted, or it refuses ours. Never retried.
    Certificate,
    /// One attempt took too long.
    Timeout,
    /// The connection broke after the request was sent.
    Interrupted,
    /// The peer does not know us.
    Unauthenticated,
    /// The role of our certificate is not sufficient.
    Forbidden,
    /// The resource does not exist.
    NotFound,
    /// The resource exists already.
    AlreadyExists,
    /// The node is not in the state for this call yet; asking again later can succeed.
    NotReady,
    /// The node will not do this in its present mode or version, however often it is asked.
    Unsupported,
    /// Overloaded or busy; the refusal is certain.
    Busy,
    /// Any other refusal of the request.
    Rejected,
    /// The node failed while working on the request.
    Server,
    /// The answer is not of the expected shape.
    Decode,
    /// Our own time budget ran out; the source is the last cause.
    Deadline,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Configuration => "bad client configuration",
            Self::InvalidInput => "invalid input",
            Self::InvalidDocument => "invalid document",
            Self::Validation => "validation failed",
            Self::Connect => "cannot connect",
            Self::Certificate => "certificate not accepted",
            Self::Timeout => "timed out",
            Self::Interrupted => "connection interrupted",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "not permitted",
            Self::NotFound => "not found",
            Self::AlreadyExists => "exists already",
            Self::NotReady => "not ready yet",
            Self::Unsupported => "not supported",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected answer",
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
    code: Option<Code>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` while doing `operation` ("apply configuration", "patch").
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                code: None,
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

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.inner.code = Some(code);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was attempted, for example `"bootstrap etcd"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on: an address, a file, a document. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The text of the reference tool or of the node, as it was given; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The gRPC status code, when a node answered with one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.inner.code
    }

    /// Whether what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the node wants to know who we are: it is configured, and was addressed as if it were not.
    #[must_use]
    pub fn is_client_certificate_required(&self) -> bool {
        self.inner.kind == ErrorKind::Unauthenticated && self.inner.code.is_none()
    }

    /// Whether the same call can succeed when it is made again later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::NotReady
                | ErrorKind::Busy
                | ErrorKind::Server
        )
    }

    /// Whether the node may have acted although the call failed.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Server
                | ErrorKind::Decode
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
            .field("code", &self.inner.code)
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

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_with_operation_target_and_message() {
        let error = Error::new(ErrorKind::NotReady, "bootstrap etcd")
            .with_target("10.0.2.10:50000")
            .with_message("time is not in sync yet");

        assert_eq!(
            error.to_string(),
            "bootstrap etcd (10.0.2.10:50000): time is not in sync yet"
        );
        assert!(error.is_retryable());
        assert!(!error.may_have_taken_effect());
    }
}
