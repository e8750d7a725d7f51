//! The one error type of this crate: what was attempted, on what, and what that means.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::access::MissingPermission;
use crate::reason::Reason;
use crate::task::TaskFailure;
use crate::tls::PinMismatch;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad builder input: an endpoint, a fingerprint, missing credentials. Nothing was sent.
    Configuration,
    /// A value that cannot be sent; [`Error::fields`] names each problem. Nothing was sent.
    InvalidRequest,
    /// DNS or TCP, or status 595 (the contacted node cannot reach the target node): not executed.
    Connect,
    /// The server's certificate is not the trusted one. Never retried.
    Certificate,
    /// One attempt took too long.
    Timeout,
    /// The connection broke after sending began, or a forwarding node lost its peer (596 to 599).
    Interrupted,
    /// 401: unknown or expired credentials.
    Unauthenticated,
    /// 403: [`Error::missing_permissions`] has path and privilege when the server names them.
    Forbidden,
    /// The VM, storage, node, volume, bridge or task does not exist.
    NotFound,
    /// The VM id or the file is taken.
    AlreadyExists,
    /// The object is in another state than the call needs (running, changed meanwhile).
    Conflict,
    /// A lock, a missing quorum or a busy proxy; the refusal is certain and passes.
    Busy,
    /// The guest agent does not answer yet.
    NotReady,
    /// 501: this server version does not know the call.
    Unsupported,
    /// Any other refusal; [`Error::fields`] has the parameters when the server names them.
    Rejected,
    /// The server failed while working on the request.
    Server,
    /// The answer is not of the expected shape.
    Decode,
    /// A background task ended badly; [`Error::task`] has its id, exit text and last log lines.
    TaskFailed,
    /// Our own time budget ran out; the source is the last cause.
    Deadline,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Configuration => "bad client configuration",
            Self::InvalidRequest => "invalid request",
            Self::Connect => "cannot connect",
            Self::Certificate => "certificate not accepted",
            Self::Timeout => "timed out",
            Self::Interrupted => "connection interrupted",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "not permitted",
            Self::NotFound => "not found",
            Self::AlreadyExists => "exists already",
            Self::Conflict => "conflicts with the present state",
            Self::Busy => "busy",
            Self::NotReady => "not ready yet",
            Self::Unsupported => "not supported by this server",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected answer",
            Self::TaskFailed => "task failed",
            Self::Deadline => "deadline exceeded",
        }
    }
}

/// An error of this crate: kind, operation, target, the server's own text, and the cause.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    message: String,
    status: Option<StatusCode>,
    reason: Option<Reason>,
    fields: BTreeMap<String, String>,
    detail: Detail,
    source: Option<Source>,
}

/// The part of an error that only some kinds have.
#[derive(Debug)]
enum Detail {
    None,
    Permissions(Vec<MissingPermission>),
    Task(TaskFailure),
    Pin(PinMismatch),
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
                reason: None,
                fields: BTreeMap::new(),
                detail: Detail::None,
                source: None,
            }),
        }
    }

    /// One field of a value that cannot be used: `field` names it, `problem` says why.
    pub(crate) fn field(operation: &'static str, field: &str, problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, operation)
            .with_fields(BTreeMap::from([(field.to_owned(), problem.into())]))
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

    pub(crate) fn with_reason(mut self, reason: Option<Reason>) -> Self {
        self.inner.reason = reason;
        self
    }

    pub(crate) fn with_fields(mut self, fields: BTreeMap<String, String>) -> Self {
        self.inner.fields = fields;
        self
    }

    pub(crate) fn with_permissions(mut self, missing: Vec<MissingPermission>) -> Self {
        self.inner.detail = Detail::Permissions(missing);
        self
    }

    pub(crate) fn with_task(mut self, failure: TaskFailure) -> Self {
        self.inner.detail = Detail::Task(failure);
        self
    }

    pub(crate) fn with_pin_mismatch(mut self, mismatch: PinMismatch) -> Self {
        self.inner.detail = Detail::Pin(mismatch);
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

    /// What was attempted, for example `"create VM"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on, for example `"node pve-01, VM 2411000"`. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The server's text as it was given, possibly of several lines; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status of the answer, if one came.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// What the server's text means, where it is a known one. Also set for failed tasks.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.inner.reason
    }

    /// Parameter or field name to problem; empty when the problem is not about a field.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.inner.fields
    }

    /// The privileges that were missing: one for a refused call, all of them for a preflight.
    #[must_use]
    pub fn missing_permissions(&self) -> &[MissingPermission] {
        match &self.inner.detail {
            Detail::Permissions(missing) => missing,
            _ => &[],
        }
    }

    /// The failed or unfinished background task this error is about.
    #[must_use]
    pub fn task(&self) -> Option<&TaskFailure> {
        match &self.inner.detail {
            Detail::Task(failure) => Some(failure),
            _ => None,
        }
    }

    /// Both fingerprints, when a pinned certificate was not presented.
    #[must_use]
    pub fn pin_mismatch(&self) -> Option<&PinMismatch> {
        match &self.inner.detail {
            Detail::Pin(mismatch) => Some(mismatch),
            _ => None,
        }
    }

    /// Whether the object of the call does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the same call can succeed when it is made again later.
    ///
    /// For a failed task this means the whole operation, for example the creation of a VM whose
    /// storage was locked. Look at [`may_have_taken_effect`](Self::may_have_taken_effect) before
    /// repeating a call that changes something.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Interrupted
            | ErrorKind::Busy
            | ErrorKind::NotReady => true,
            // A 500 is a refusal in words that repeating does not change; 502 and 504 are a proxy's.
            ErrorKind::Server => self.inner.status.is_some_and(|status| {
                status == StatusCode::BAD_GATEWAY || status == StatusCode::GATEWAY_TIMEOUT
            }),
            ErrorKind::TaskFailed => self.inner.reason.is_some_and(Reason::is_passing),
            _ => false,
        }
    }

    /// Whether the server may have acted although the call failed.
    ///
    /// Troubleshooting: when this is true, read the object's state before calling again.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Timeout
            | ErrorKind::Interrupted
            | ErrorKind::Server
            | ErrorKind::Decode
            | ErrorKind::Deadline => true,
            ErrorKind::TaskFailed => !self.inner.reason.is_some_and(Reason::is_passing),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.write_str(inner.operation)?;
        if !inner.target.is_empty() {
            write!(f, " ({})", inner.target)?;
        }
        let lines: Vec<&str> = inner.message.lines().map(str::trim).collect();
        let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            write!(f, ": {}", inner.kind.text())?;
        } else {
            write!(f, ": {}", lines.join("; ").trim_end_matches('.'))?;
        }
        let mut separator = ": ";
        for (field, problem) in &inner.fields {
            write!(
                f,
                "{separator}{field}: {}",
                problem.trim().replace('\n', "; ")
            )?;
            separator = "; ";
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
            .field("reason", &inner.reason)
            .field("fields", &inner.fields)
            .field("detail", &inner.detail)
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
    fn display_is_one_line_with_operation_target_and_the_servers_text() {
        let error = Error::new(ErrorKind::Rejected, "create VM")
            .with_target("node pve-01, VM 104")
            .with_message("Parameter verification failed.\n")
            .with_fields(BTreeMap::from([("boot".into(), "invalid format\n".into())]));

        assert_eq!(
            error.to_string(),
            "create VM (node pve-01, VM 104): Parameter verification failed: boot: invalid format"
        );
    }

    #[test]
    fn a_locked_storage_makes_a_failed_task_repeatable_and_without_effect() {
        let locked = Error::new(ErrorKind::TaskFailed, "wait for task")
            .with_reason(Some(Reason::StorageLocked));
        let broken = Error::new(ErrorKind::TaskFailed, "wait for task");

        assert!(locked.is_retryable() && !locked.may_have_taken_effect());
        assert!(!broken.is_retryable() && broken.may_have_taken_effect());
    }

    #[test]
    fn a_plain_500_is_not_repeated_but_a_proxys_502_is() {
        let refusal = Error::new(ErrorKind::Server, "list nodes")
            .with_status(StatusCode::INTERNAL_SERVER_ERROR);
        let proxy =
            Error::new(ErrorKind::Server, "list nodes").with_status(StatusCode::BAD_GATEWAY);

        assert!(!refusal.is_retryable());
        assert!(proxy.is_retryable());
    }
}
