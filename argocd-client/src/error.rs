//! The error type of this crate: what was attempted, on what, and what the rejection means.

mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

pub use kind::ErrorKind;

use crate::tls::{PinMismatch, find_tls_error, pin_mismatch};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// An error of this crate: kind, operation, target, message of the server and source.
///
/// `Display` is one line and leaves the source out; walk [`source`](StdError::source) for the rest.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> argocd_client::Result<()> {
/// use argocd_client::ErrorKind;
/// use argocd_client::cluster::ServerUrl;
///
/// let argocd = argocd_client::mock::ArgoCdMock::start().await;
/// let server = ServerUrl::parse("https://kubernetes.example.com:6443")?;
///
/// let error = argocd.client().clusters().cluster(&server).await.unwrap_err();
/// let advice = match error.kind() {
///     ErrorKind::NotFound => "register the cluster first",
///     ErrorKind::Unauthenticated => "the token is not valid",
///     ErrorKind::TargetUnreachable => "Argo CD cannot reach the cluster",
///     _ if error.is_retryable() => "try again later",
///     _ => "report this error",
/// };
///
/// assert_eq!(advice, "register the cluster first");
/// # Ok(())
/// # }
/// ```
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
    server: Option<String>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind. Programs need it only to test how they handle errors.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                target: String::new(),
                message: String::new(),
                status: None,
                retry_after: None,
                server: None,
                source: None,
            }),
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, "build client").with_message(message)
    }

    /// Sets what the operation was about.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    /// Sets the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    pub(crate) fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.inner.retry_after = delay;
        self
    }

    pub(crate) fn with_server(mut self, server: impl Into<String>) -> Self {
        self.inner.server = Some(server.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
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

    /// The text of the server, or an explanation of this crate; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, when the server answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// How long the server asks the client to wait before the next attempt (`Retry-After`).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Address of the Argo CD server, without credentials, when a request was sent to one.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// The certificate that was presented instead of the pinned one, when that is the cause.
    #[must_use]
    pub fn pin_mismatch(&self) -> Option<PinMismatch> {
        pin_mismatch(find_tls_error(self.source()?)?)
    }

    /// Whether the object is certainly missing.
    ///
    /// Argo CD hides missing clusters and applications behind `permission denied`
    /// ([`ErrorKind::NotFoundOrForbidden`], for which this is false).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the same call can succeed when it is made again, unchanged, after a short delay.
    ///
    /// Check [`may_have_taken_effect`](Self::may_have_taken_effect) before repeating a call that
    /// is not idempotent. A [`Server`](ErrorKind::Server) error is not retryable: Argo CD answers 500
    /// to most mistakes of the caller, such as an invalid label selector (measured on 3.5.1). A [`Deadline`](ErrorKind::Deadline) is not retryable: the call has already
    /// been repeated for as long as it was allowed to.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Busy
                | ErrorKind::NotReady
                | ErrorKind::Unavailable
        )
    }

    /// Whether the server may have acted although the call failed.
    ///
    /// A cluster creation that timed out at a proxy has often succeeded: look it up with
    /// [`Clusters::find`](crate::Clusters::find). A [`Deadline`](ErrorKind::Deadline) says what its
    /// source says: a wait changes nothing, a write whose last response was lost may have.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Timeout
            | ErrorKind::Interrupted
            | ErrorKind::Unavailable
            | ErrorKind::Server
            | ErrorKind::NotArgoCd
            | ErrorKind::Decode => true,
            ErrorKind::Deadline => self
                .source()
                .and_then(|source| source.downcast_ref::<Self>())
                .is_some_and(Self::may_have_taken_effect),
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
        write!(f, ": {}", inner.kind)?;
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
            .field("server", &self.inner.server)
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
        assert!(!error.may_have_taken_effect());
    }

    #[test]
    fn a_broken_connection_may_have_taken_effect_and_a_rejection_has_not() {
        assert!(Error::new(ErrorKind::Interrupted, "x").may_have_taken_effect());
        assert!(!Error::new(ErrorKind::Forbidden, "x").may_have_taken_effect());
        assert!(!Error::new(ErrorKind::Certificate, "x").is_retryable());
    }

    #[test]
    fn a_deadline_may_have_taken_effect_only_when_its_last_cause_may() {
        let deadline =
            |source| Error::new(ErrorKind::Deadline, "x").with_source(Error::new(source, "x"));

        assert!(!Error::new(ErrorKind::Deadline, "x").may_have_taken_effect());
        assert!(!deadline(ErrorKind::Connect).may_have_taken_effect());
        assert!(deadline(ErrorKind::Interrupted).may_have_taken_effect());
        assert!(!deadline(ErrorKind::Interrupted).is_retryable());
    }
}
