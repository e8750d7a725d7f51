//! Whether a failed call may be made again, and whether it may have had an effect.

use http::StatusCode;

use super::{Error, ErrorKind};
use crate::reason::Reason;

impl Error {
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
            // A 500 is a rejection in words, which repeating does not change; 502 and 504 come from a proxy.
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
            _ => self.explained().is_some_and(Self::may_have_taken_effect),
        }
    }

    /// The failure that this error explains, for example the broken connection of an upload without the right.
    fn explained(&self) -> Option<&Self> {
        self.inner.source.as_deref()?.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
