//! The kinds of errors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, independent of the operation.
///
/// Prints as a plain phrase, and is serialized in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built: an endpoint, a fingerprint or credentials are invalid. Nothing was sent.
    Configuration,
    /// A value cannot be sent; [`Error::diagnostics`](crate::Error::diagnostics) names each field. Nothing was sent.
    InvalidInput,
    /// DNS or TCP failed, or the contacted node cannot reach the target node (status 595). Nothing was executed.
    Connect,
    /// The server's certificate is not the trusted one. Never retried.
    Certificate,
    /// One attempt took longer than the timeout.
    Timeout,
    /// The connection broke after sending started, or a forwarding node lost its peer (status 596 to 599).
    Interrupted,
    /// The credentials are unknown or expired (status 401).
    Unauthenticated,
    /// A privilege is missing (status 403); [`Error::missing_permissions`](crate::Error::missing_permissions) has path and privilege where the server names them.
    Forbidden,
    /// The VM, storage, node, volume, bridge, snapshot or task does not exist.
    NotFound,
    /// The VM ID, the name or the file is taken.
    AlreadyExists,
    /// The object is in a state that does not allow the call: running, stopped, or changed meanwhile.
    Conflict,
    /// A lock, a missing quorum or a busy proxy. The call certainly had no effect, and can succeed later.
    Busy,
    /// The guest agent does not respond yet.
    NotReady,
    /// This server version does not know the call (status 501).
    Unsupported,
    /// The server rejected the call for another reason; [`Error::diagnostics`](crate::Error::diagnostics) names the parameters where the server does.
    Rejected,
    /// The server failed while it worked on the request.
    Server,
    /// The response does not have the expected shape.
    Decode,
    /// Reading a local file failed.
    Io,
    /// A background task failed; [`Error::task`](crate::Error::task) has its ID, exit status and last log lines.
    TaskFailed,
    /// The caller's deadline passed; the source is the last error, if there was one.
    Deadline,
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
        Self::AlreadyExists,
        Self::Conflict,
        Self::Busy,
        Self::NotReady,
        Self::Unsupported,
        Self::Rejected,
        Self::Server,
        Self::Decode,
        Self::Io,
        Self::TaskFailed,
        Self::Deadline,
    ];

    pub(super) const fn text(self) -> &'static str {
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
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::NotReady => "not ready yet",
            Self::Unsupported => "not supported",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected response",
            Self::Io => "file error",
            Self::TaskFailed => "task failed",
            Self::Deadline => "deadline exceeded",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
