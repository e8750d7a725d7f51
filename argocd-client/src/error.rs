//! The one error type of this crate: what was attempted, on what, and what the refusal means.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
///
/// Argo CD answers 401 and 403 both for itself and for the cluster it was asked to talk to. The
/// kinds keep the two apart: `Unauthenticated` and `Forbidden` are Argo CD's, the `Target…` kinds
/// are the Kubernetes cluster's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad builder input: the endpoint, a PEM block, a token that is no JSON web token.
    Configuration,
    /// A value that must not be sent: the message names every field that is wrong.
    InvalidRequest,
    /// DNS or TCP: nothing was sent.
    Connect,
    /// The certificate of the Argo CD server is not trusted. Never retried.
    Certificate,
    /// One attempt took too long, or the server or a proxy says that it did.
    Timeout,
    /// The connection broke after the request was sent.
    Interrupted,
    /// The server redirects. Credentials are not carried along, so this is an error.
    Redirected,
    /// A 2xx answer that is not JSON: another site, or the wrong root path.
    NotArgoCd,
    /// Argo CD does not know us: no session, an expired or revoked one, a refused login.
    Unauthenticated,
    /// Argo CD's RBAC forbids the call.
    Forbidden,
    /// The object does not exist, or we may not see it: Argo CD does not tell which.
    NotFoundOrForbidden,
    /// The object does not exist.
    NotFound,
    /// The object exists already and differs from what was sent.
    AlreadyExists,
    /// The object was changed by somebody else, or a name is taken by another object.
    Conflict,
    /// The application is busy with another operation; the refusal is certain.
    OperationInProgress,
    /// A sync window of the project forbids synchronising now.
    SyncWindow,
    /// The state of the object does not allow the call.
    FailedPrecondition,
    /// Argo CD could not reach the cluster: DNS, TCP, or no answer in time.
    TargetUnreachable,
    /// Argo CD does not trust the certificate of the cluster: wrong CA or server name.
    TargetCertificate,
    /// The cluster refused the credentials it was registered with.
    TargetUnauthenticated,
    /// The RBAC of the cluster forbids what Argo CD wanted to do.
    TargetForbidden,
    /// This server version does not offer the call.
    Unsupported,
    /// Overloaded; the refusal is certain.
    Busy,
    /// A proxy or a component behind the server did not answer (502, 503); the outcome is unknown.
    Unavailable,
    /// Any other refusal of the request.
    Rejected,
    /// The server failed while working on the request.
    Server,
    /// The answer is not of the expected shape.
    Decode,
    /// What was waited for has failed and will not come by waiting longer.
    Failed,
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
            Self::Redirected => "redirected",
            Self::NotArgoCd => "not an Argo CD API",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "not permitted",
            Self::NotFoundOrForbidden => "not found or not permitted",
            Self::NotFound => "not found",
            Self::AlreadyExists => "exists already and differs",
            Self::Conflict => "conflict",
            Self::OperationInProgress => "another operation is in progress",
            Self::SyncWindow => "blocked by a sync window",
            Self::FailedPrecondition => "failed precondition",
            Self::TargetUnreachable => "the cluster cannot be reached from Argo CD",
            Self::TargetCertificate => "Argo CD does not trust the certificate of the cluster",
            Self::TargetUnauthenticated => "the cluster refused the credentials",
            Self::TargetForbidden => "the cluster forbids the call",
            Self::Unsupported => "not supported by this server",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Server => "server error",
            Self::Decode => "unexpected answer",
            Self::Failed => "failed",
            Self::Deadline => "deadline exceeded",
        }
    }
}

/// An error of this crate: kind, operation, target, message of the server and source.
///
/// `Display` is one line and leaves the source out; walk [`source`](StdError::source) for the rest.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    message: String,
    status: Option<StatusCode>,
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

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, "build client").with_message(message)
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

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    pub(crate) fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.inner.retry_after = delay;
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was attempted, for example `"create cluster"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on: a cluster URL, an application. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The text of the server as it was given, or our explanation; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, when the server answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// Whether the object is certainly missing.
    ///
    /// # Troubleshooting
    /// Argo CD hides missing clusters and applications behind `permission denied`
    /// ([`ErrorKind::NotFoundOrForbidden`], not included here); the list calls tell the difference.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the same call can succeed when it is made again later, unchanged.
    ///
    /// # Troubleshooting
    /// Check [`may_have_taken_effect`](Self::may_have_taken_effect) before repeating a call that
    /// is not idempotent.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_transient()
            || matches!(
                self.inner.kind,
                ErrorKind::OperationInProgress
                    | ErrorKind::SyncWindow
                    | ErrorKind::TargetUnreachable
                    | ErrorKind::Conflict
            )
    }

    /// Whether the server may have acted although the call failed.
    ///
    /// # Troubleshooting
    /// A cluster creation that timed out at a proxy has often succeeded: look with
    /// [`Clusters::find_by_server`](crate::Clusters::find_by_server).
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Unavailable
                | ErrorKind::Server
                | ErrorKind::NotArgoCd
                | ErrorKind::Decode
                | ErrorKind::Deadline
        )
    }

    /// Failures of the way to the server, not of the request: polling loops look past them.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Busy
                | ErrorKind::Unavailable
                | ErrorKind::Server
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
        write!(f, ": {}", inner.kind.text())?;
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        Ok(())
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

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_names_operation_target_kind_and_message_in_one_line() {
        let error = Error::new(ErrorKind::TargetUnreachable, "create cluster")
            .with_target("https://10.0.2.10:6443")
            .with_message("dial tcp 10.0.2.10:6443: connect: connection refused")
            .with_source("not shown");

        assert_eq!(
            error.to_string(),
            "create cluster (https://10.0.2.10:6443): the cluster cannot be reached from Argo CD: \
             dial tcp 10.0.2.10:6443: connect: connection refused"
        );
        assert!(error.is_retryable());
        assert!(!error.may_have_taken_effect());
    }

    #[test]
    fn a_broken_connection_may_have_taken_effect_and_a_refusal_has_not() {
        assert!(Error::new(ErrorKind::Interrupted, "x").may_have_taken_effect());
        assert!(!Error::new(ErrorKind::Forbidden, "x").may_have_taken_effect());
        assert!(!Error::new(ErrorKind::Certificate, "x").is_retryable());
    }
}
