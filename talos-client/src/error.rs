//! The one error type of this crate: what was attempted, on what, and what that means.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Code, PinMismatch};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built: a bad endpoint, PEM block or fingerprint.
    Configuration,
    /// A value that cannot be sent or generated from. The message names the field.
    InvalidInput,
    /// A document (machine configuration, patch, secrets bundle, talosconfig) that cannot be read or merged.
    InvalidDocument,
    /// A document that was read but breaks a rule of the reference validator.
    Validation,
    /// DNS, TCP or TLS failed; nothing was sent.
    Connect,
    /// The certificate of the node is not trusted, or the node rejects the client certificate. Never retried.
    Certificate,
    /// One attempt took longer than its timeout.
    Timeout,
    /// The connection broke after the request was sent.
    Interrupted,
    /// The node requires a client certificate.
    Unauthenticated,
    /// The role of the client certificate is not sufficient.
    Forbidden,
    /// The resource, file, service or member does not exist.
    NotFound,
    /// The resource exists already.
    AlreadyExists,
    /// The node is not in the state for this call yet. A later call can succeed.
    NotReady,
    /// The node does not offer this call in its present mode, role or release.
    Unsupported,
    /// The node is overloaded, or executes a conflicting operation. It rejected the request.
    Busy,
    /// The node rejected the request for another reason.
    Rejected,
    /// The node failed while it executed the request.
    Server,
    /// The response does not have the expected form.
    Decode,
    /// A local file cannot be read or written.
    Io,
    /// The deadline of the operation passed. The source is the last cause.
    Deadline,
    /// An operation that the node had accepted ended in another state than the requested one.
    OperationFailed,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::Configuration,
        Self::InvalidInput,
        Self::InvalidDocument,
        Self::Validation,
        Self::Connect,
        Self::Certificate,
        Self::Timeout,
        Self::Interrupted,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::AlreadyExists,
        Self::NotReady,
        Self::Unsupported,
        Self::Busy,
        Self::Rejected,
        Self::Server,
        Self::Decode,
        Self::Io,
        Self::Deadline,
        Self::OperationFailed,
    ];
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "invalid client configuration",
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
            Self::AlreadyExists => "already exists",
            Self::NotReady => "not ready yet",
            Self::Unsupported => "not supported",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected response",
            Self::Io => "file error",
            Self::Deadline => "deadline exceeded",
            Self::OperationFailed => "operation failed",
        })
    }
}

/// An error of this crate: kind, operation, target, message and source.
///
/// ```
/// use talos_client::{Code, Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Forbidden => "use a certificate with another role",
///         ErrorKind::Connect | ErrorKind::Timeout => "check the network",
///         _ if error.is_retryable() => "try again later",
///         _ => "read the message",
///     }
/// }
///
/// let error = Error::new(ErrorKind::Forbidden, "reboot")
///     .with_target("10.0.2.10:50000")
///     .with_code(Code::PermissionDenied)
///     .with_message("not authorized");
///
/// assert_eq!(advice(&error), "use a certificate with another role");
/// assert_eq!(error.to_string(), "reboot (10.0.2.10:50000): not authorized");
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
    code: Option<Code>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` that occurred during `operation`, for example `"apply configuration"`.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                server: None,
                code: None,
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

    /// Sets the text that explains the error.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// Sets the gRPC status code of the response.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.inner.code = Some(code);
        self
    }

    /// Sets the endpoint of the node.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.inner.server = Some(server.into());
        self
    }

    /// Sets the time that the server asked to wait for.
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

    /// The text of the node or of the reference tool, unchanged; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The endpoint of the node, `host:port`; `None` when the operation concerns no node.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// The gRPC status code, when a node answered with one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.inner.code
    }

    /// How long the server asked to wait. Talos v1.10 to v1.14 never does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The pins and the presented key, when the node's public key is not one of the pinned ones.
    #[must_use]
    pub fn pin_mismatch(&self) -> Option<&PinMismatch> {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(current) = cause {
            if let Some(found) = current.downcast_ref() {
                return Some(found);
            }
            cause = current.source();
        }
        None
    }

    /// Whether the requested object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the node is configured already and was addressed without a client certificate.
    #[must_use]
    pub fn is_client_certificate_required(&self) -> bool {
        self.inner.kind == ErrorKind::Unauthenticated && self.inner.code.is_none()
    }

    /// Whether the same call can succeed later.
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
                | ErrorKind::OperationFailed
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
            write!(f, ": {}", inner.kind)
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

    #[test]
    fn every_kind_has_a_phrase_and_survives_serialization() {
        let mut phrases = std::collections::BTreeSet::new();
        for kind in ErrorKind::ALL {
            assert!(phrases.insert(kind.to_string()), "{kind:?}");
            let text = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<ErrorKind>(&text).unwrap(), *kind);
        }
        assert_eq!(
            serde_json::to_string(&ErrorKind::AlreadyExists).unwrap(),
            "\"already_exists\""
        );
    }
}
