//! The kinds of errors of a bootstrap.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The specification is invalid. No changes were made.
    InvalidSpec,
    /// A client cannot be configured: a URL, a certificate or a credential cannot be used.
    Configuration,
    /// An argument is invalid; no request was sent.
    InvalidInput,
    /// A server cannot be reached: DNS, TCP or proxy.
    Connect,
    /// The certificate of a server is not trusted, or a server does not accept the client certificate.
    Certificate,
    /// A server did not respond in time to one request.
    Timeout,
    /// A connection broke before the response was complete.
    Interrupted,
    /// A server does not accept the credentials.
    Unauthenticated,
    /// The credentials are valid, but a privilege or policy is missing.
    Forbidden,
    /// Something that must exist does not.
    NotFound,
    /// Something that was to be created exists already.
    AlreadyExists,
    /// Something exists that this cluster did not create. It was not changed.
    NotOurs,
    /// Something exists with different content.
    Conflict,
    /// A storage is full.
    NoSpace,
    /// A server is overloaded or a resource is locked.
    Busy,
    /// A server or resource is not ready for the request.
    NotReady,
    /// The server or its version does not support the request.
    Unsupported,
    /// A server rejected the request.
    Rejected,
    /// A server failed.
    Server,
    /// A task of Proxmox VE or an operation of Argo CD failed.
    TaskFailed,
    /// A response does not have the expected form.
    Decode,
    /// A wait ended at its deadline; the source is the last cause.
    Deadline,
    /// The change requires a permission that was not given, such as a reboot.
    PermissionRequired,
    /// The secrets of a configured cluster are missing. They are never generated again.
    SecretsLost,
    /// A file cannot be read or written.
    Io,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::InvalidSpec,
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
        Self::NotOurs,
        Self::Conflict,
        Self::NoSpace,
        Self::Busy,
        Self::NotReady,
        Self::Unsupported,
        Self::Rejected,
        Self::Server,
        Self::TaskFailed,
        Self::Decode,
        Self::Deadline,
        Self::PermissionRequired,
        Self::SecretsLost,
        Self::Io,
    ];

    /// What to do about an error of this kind when nothing more exact is known.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::InvalidSpec => "Fix the listed fields and run again.",
            Self::Configuration => "Correct the setting of the client that the message names.",
            Self::InvalidInput => "Correct the argument that the message names.",
            Self::Connect => "Check the address of the server, DNS, firewall and proxy.",
            Self::Certificate => {
                "Trust the authority or the fingerprint of the server, and compare the clocks."
            }
            Self::Timeout | Self::Interrupted => {
                "Check that the server is healthy and the network to it stable."
            }
            Self::Unauthenticated => {
                "Check that the credentials are those of this server and have not expired."
            }
            Self::Forbidden => "Grant the missing right to the account of the credentials.",
            Self::NotFound => "Create what is missing, or correct its name in the specification.",
            Self::AlreadyExists => {
                "Remove what exists if it is not needed, or choose another name."
            }
            Self::NotOurs => {
                "Choose another name, id or address, or remove the foreign object yourself."
            }
            Self::Conflict => "Compare both sides, and correct the one that is wrong.",
            Self::NoSpace => "Free space at the server, or choose another storage.",
            Self::Busy => "Wait until the other operation has ended.",
            Self::NotReady => "Wait until the server is ready.",
            Self::Unsupported => "Use a version of the server that supports the request.",
            Self::Rejected => "Correct what the server rejects; its own text says what.",
            Self::Server => "Read the log of the server: the response has no more of the cause.",
            Self::TaskFailed => "Read the log of the task at the server.",
            Self::Decode => {
                "Check that the address is that of the server itself, not of a proxy or portal before it."
            }
            Self::Deadline => "Resolve the last cause, or raise the deadline of this wait.",
            Self::PermissionRequired => "Allow the change explicitly if it is wanted.",
            Self::SecretsLost => "Restore the secrets bundle from a backup and import it.",
            Self::Io => "Check the path, its permissions and the free space.",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InvalidSpec => "invalid specification",
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
            Self::NotOurs => "belongs to something else",
            Self::Conflict => "conflict",
            Self::NoSpace => "no space left",
            Self::Busy => "busy",
            Self::NotReady => "not ready yet",
            Self::Unsupported => "not supported",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::TaskFailed => "task failed",
            Self::Decode => "unexpected response",
            Self::Deadline => "deadline exceeded",
            Self::PermissionRequired => "permission required",
            Self::SecretsLost => "secrets lost",
            Self::Io => "file error",
        })
    }
}
