//! The one error type of this crate: what was attempted, on what, and what that means.

mod display;
mod kind;
mod repetition;

use std::error::Error as StdError;
use std::time::Duration;

use http::StatusCode;

use crate::access::MissingPermission;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::reason::Reason;
use crate::task::TaskFailure;
use crate::tls::PinMismatch;

pub use kind::ErrorKind;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// An error of this crate: kind, operation, target, server, the server's own text, and the cause.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use proxmox_client::mock::{Fault, PveMock, Route};
/// use proxmox_client::{ErrorKind, id::VmId};
///
/// let mock = PveMock::start().await;
/// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
///
/// let error = vm.config().await.unwrap_err();
///
/// match error.kind() {
///     ErrorKind::NotFound => {} // no VM of that ID on that node
///     ErrorKind::Forbidden => panic!("grant {:?}", error.missing_permissions()),
///     _ if error.is_retryable() => panic!("try again later: {error}"),
///     _ => panic!("{error}"),
/// }
/// # Ok::<(), proxmox_client::Error>(())
/// # }).unwrap();
/// ```
///
/// A test of your own can construct one:
///
/// ```
/// use proxmox_client::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Busy, "start VM").with_target("node pve-01, VM 104");
/// assert!(error.is_retryable() && !error.may_have_taken_effect());
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
    reason: Option<Reason>,
    retry_after: Option<Duration>,
    diagnostics: Diagnostics,
    detail: Detail,
    source: Option<Source>,
}

/// The part of an error that only some kinds have.
#[derive(Debug)]
enum Detail {
    None,
    Permissions(Vec<MissingPermission>),
    Task(TaskFailure, Vec<MissingPermission>),
    Pin(PinMismatch),
}

impl Error {
    /// An error without details.
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
                reason: None,
                retry_after: None,
                diagnostics: Diagnostics::new(),
                detail: Detail::None,
                source: None,
            }),
        }
    }

    /// One field of a value that cannot be used: `field` names it, `problem` says why.
    pub(crate) fn field(operation: &'static str, field: &str, problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation)
            .with_diagnostics([Diagnostic::error(field, problem)].into_iter().collect())
    }

    /// Sets what the operation was attempted on.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    /// Sets the address of the server, without credentials.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.inner.server = Some(server.into());
        self
    }

    /// Sets the text of the server, or the description of the failure.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// Sets the HTTP status of the response.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Sets what the text of the server means.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Option<Reason>>) -> Self {
        self.inner.reason = reason.into();
        self
    }

    /// Sets the time after which the server asks to repeat the request.
    #[must_use]
    pub fn with_retry_after(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.inner.retry_after = delay.into();
        self
    }

    /// Sets what is wrong with which field.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.inner.diagnostics = diagnostics;
        self
    }

    /// Sets the privileges that are missing.
    #[must_use]
    pub fn with_missing_permissions(mut self, missing: Vec<MissingPermission>) -> Self {
        self.inner.detail = Detail::Permissions(missing);
        self
    }

    pub(crate) fn with_task(
        mut self,
        failure: TaskFailure,
        missing: impl IntoIterator<Item = MissingPermission>,
    ) -> Self {
        self.inner.detail = Detail::Task(failure, missing.into_iter().collect());
        self
    }

    pub(crate) fn with_pin_mismatch(mut self, mismatch: PinMismatch) -> Self {
        self.inner.detail = Detail::Pin(mismatch);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
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

    /// What the operation was attempted on, for example `"node pve-01, VM 2411000"`. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The server's text, possibly of several lines, or the description of the failure; may be empty.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status of the response; `None` when none arrived.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// What the server's text means, where the text is a known one. Also set for failed tasks.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.inner.reason
    }

    /// What is wrong with which parameter or field; empty when the failure is not about a field.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.inner.diagnostics
    }

    /// The address of the server, `https://HOST:PORT`; `None` when nothing was to be sent.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// How long the server asks to wait before the request is repeated (`Retry-After`, in seconds).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The missing privileges: one for a rejected call, all of them for [`Client::preflight`].
    ///
    /// [`Client::preflight`]: crate::Client::preflight
    #[must_use]
    pub fn missing_permissions(&self) -> &[MissingPermission] {
        match &self.inner.detail {
            Detail::Permissions(missing) | Detail::Task(_, missing) => missing,
            _ => &[],
        }
    }

    /// The failed or unfinished background task this error is about.
    #[must_use]
    pub fn task(&self) -> Option<&TaskFailure> {
        match &self.inner.detail {
            Detail::Task(failure, _) => Some(failure),
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
    fn every_kind_is_printed_and_survives_json() {
        for kind in ErrorKind::ALL {
            let text = serde_json::to_string(kind).unwrap();

            assert_eq!(serde_json::from_str::<ErrorKind>(&text).unwrap(), *kind);
            assert!(!kind.to_string().is_empty());
        }
        assert_eq!(
            serde_json::to_string(&ErrorKind::NotFound).unwrap(),
            "\"not_found\""
        );
    }

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_with_operation_target_and_the_servers_text() {
        let error = Error::new(ErrorKind::Rejected, "create VM")
            .with_target("node pve-01, VM 104")
            .with_message("Parameter verification failed.\n")
            .with_diagnostics(
                [Diagnostic::error("boot", "invalid format\n")]
                    .into_iter()
                    .collect(),
            );

        assert_eq!(
            error.to_string(),
            "create VM (node pve-01, VM 104): Parameter verification failed: boot: invalid format"
        );
    }

    #[test]
    fn display_ends_with_the_log_of_a_failed_task() {
        let log = [
            "one",
            "two",
            "",
            "copying failed",
            "three",
            "TASK ERROR: copying failed",
        ];
        let failure = TaskFailure {
            id: "UPID:pve-01:0003A2F1:01C2D3E4:66A1B2C3:qmclone:104:ci@pve:"
                .parse()
                .unwrap(),
            exit_text: "copying failed".to_owned(),
            log: log.map(str::to_owned).to_vec(),
        };
        let error = Error::new(ErrorKind::TaskFailed, "wait for task")
            .with_message("copying failed")
            .with_task(failure, None);

        assert_eq!(
            error.to_string(),
            "wait for task: copying failed (log: one; two; three)"
        );
    }
}
