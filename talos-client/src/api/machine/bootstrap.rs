//! Starting etcd on the first control plane node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reply::only;
use super::{Machine, machine_service};
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::{Code, Error, ErrorKind, Result};

pub(crate) const OPERATION: &str = "bootstrap etcd";

/// The node itself waits up to six seconds for its container runtime and its clock.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Whether the hash of a snapshot is checked before it is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum HashCheck {
    /// A snapshot without a matching hash is rejected.
    #[default]
    Require,
    /// For the database file of a data directory, which has no hash.
    Skip,
}

impl Machine {
    /// Tells one control plane node to start etcd, once in the life of a cluster. Needs `os:admin`.
    ///
    /// Success means that etcd is being started. On the **same** node the call may be repeated; on two nodes of a
    /// cluster it makes two clusters. [`Machine::bootstrap_and_wait`] repeats it as the reference tools do.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] too early: repeat it. [`ErrorKind::AlreadyExists`] when etcd has data, which also
    /// old data of another cluster would cause: check that etcd becomes healthy. [`ErrorKind::Unsupported`] on a
    /// worker, and in maintenance mode. Talos v1.10 to v1.12 answers `FailedPrecondition` for "too early" and for
    /// a worker alike; the text decides.
    pub async fn bootstrap(&self) -> Result<()> {
        self.bootstrap_with(pb::BootstrapRequest::default()).await
    }

    /// As [`Machine::bootstrap`], with the data of the snapshot that [`Machine::etcd_recover`] has uploaded to this node.
    ///
    /// # Errors
    /// As [`Machine::bootstrap`], and [`ErrorKind::Server`] when the snapshot is missing or damaged.
    pub async fn bootstrap_from_snapshot(&self, check: HashCheck) -> Result<()> {
        self.bootstrap_with(pb::BootstrapRequest {
            recover_etcd: true,
            recover_skip_hash_check: check == HashCheck::Skip,
        })
        .await
    }

    async fn bootstrap_with(&self, request: pb::BootstrapRequest) -> Result<()> {
        let call = Call::change(OPERATION).at_least(ATTEMPT);
        let reply = self
            .transport
            .call_once(call, |service| async move {
                machine_service(service).bootstrap(request).await
            })
            .await
            .map_err(refine)?;
        only(&self.transport, OPERATION, reply)?;
        Ok(())
    }
}

fn refine(error: Error) -> Error {
    let message = error.message();
    let kind = match error.code() {
        Some(Code::FailedPrecondition) if message.contains("on a control plane node") => {
            ErrorKind::Unsupported
        }
        // Lost a race against another bootstrap of the same node.
        Some(Code::Unknown) if message.contains("etcd data directory is not empty") => {
            ErrorKind::AlreadyExists
        }
        Some(Code::InvalidArgument) => ErrorKind::Unsupported,
        _ => error.kind(),
    };
    error.with_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::from_code;

    #[test]
    fn too_early_a_worker_and_done_already_are_told_apart() {
        for (code, message, expected) in [
            (
                Code::FailedPrecondition,
                "bootstrap is not available yet",
                ErrorKind::NotReady,
            ),
            (
                Code::FailedPrecondition,
                "time is not in sync yet",
                ErrorKind::NotReady,
            ),
            (
                Code::FailedPrecondition,
                "bootstrap can only be performed on a control plane node",
                ErrorKind::Unsupported,
            ),
            (
                Code::Unimplemented,
                "bootstrap is only available on control plane nodes",
                ErrorKind::Unsupported,
            ),
            (
                Code::InvalidArgument,
                "etcd is not configured, bootstrap is not possible",
                ErrorKind::Unsupported,
            ),
            (
                Code::AlreadyExists,
                "etcd data directory is not empty",
                ErrorKind::AlreadyExists,
            ),
            (
                Code::Unknown,
                "etcd data directory is not empty",
                ErrorKind::AlreadyExists,
            ),
            (
                Code::Unknown,
                "failed to stop etcd: context deadline exceeded",
                ErrorKind::Server,
            ),
        ] {
            let error = refine(from_code(OPERATION, code, message));

            assert_eq!(error.kind(), expected, "{message}");
        }
    }
}
