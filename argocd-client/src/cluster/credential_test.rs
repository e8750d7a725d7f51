//! Whether a cluster accepts the credentials that Argo CD has stored for it.

use super::wait::connection_failure;
use super::{Cluster, Clusters};
use crate::error::{Error, ErrorKind, Result};

/// What [`Clusters::test_credentials`] found.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialTest {
    /// Argo CD called the cluster with them just now.
    Accepted(Cluster),
    /// The cluster rejects them, or Argo CD does not trust the cluster with them. Other credentials help.
    Rejected(Error),
    /// The account may not have them tried, and the connection has not failed as far as Argo CD says.
    NotTried(Cluster),
}

pub(super) async fn run(clusters: &Clusters, cluster: Cluster) -> Result<CredentialTest> {
    if let Some(error) = reported(&cluster) {
        return Ok(CredentialTest::Rejected(error));
    }
    match clusters.try_credentials(&cluster).await {
        Ok(cluster) => Ok(CredentialTest::Accepted(cluster)),
        Err(error) if is_rejection(&error) => Ok(CredentialTest::Rejected(error)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Forbidden | ErrorKind::NotFoundOrForbidden
            ) =>
        {
            Ok(CredentialTest::NotTried(cluster))
        }
        Err(error) => Err(error),
    }
}

/// Whether the cluster rejected Argo CD, or Argo CD does not trust it: other credentials can help.
pub(super) fn is_rejection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TargetUnauthenticated
            | ErrorKind::TargetForbidden
            | ErrorKind::TargetCertificate
    )
}

/// The rejection that Argo CD reports in the connection state.
pub(super) fn reported(cluster: &Cluster) -> Option<Error> {
    connection_failure(cluster, "test cluster credentials").filter(is_rejection)
}
