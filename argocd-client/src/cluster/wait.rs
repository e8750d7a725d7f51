//! Waiting until a cluster is registered, or watched by the controller.

use super::{Cluster, Clusters, ConnectionStatus, ServerUrl};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, Probed, WaitState};
use crate::response::kind_of_target_text;

impl Clusters {
    /// Waits until the cluster is listed and its connection has not failed.
    ///
    /// Use this after a registration: a cluster without applications is never monitored.
    ///
    /// # Errors
    /// [`TargetUnreachable`](ErrorKind::TargetUnreachable),
    /// [`TargetCertificate`](ErrorKind::TargetCertificate),
    /// [`TargetUnauthenticated`](ErrorKind::TargetUnauthenticated) or
    /// [`TargetForbidden`](ErrorKind::TargetForbidden) as soon as the server reports a failed
    /// connection; [`Deadline`](ErrorKind::Deadline) with the last cause;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn wait_until_registered(&self, server: &ServerUrl, poll: Poll) -> Result<Cluster> {
        let what = format!("cluster {server} to be listed");
        self.wait(
            "wait for cluster registration",
            server,
            poll,
            what,
            |_| {},
            |_| None,
        )
        .await
    }

    /// Waits until the controller watches the cluster. This happens only once an application targets
    /// it.
    ///
    /// # Errors
    /// The kinds of [`wait_until_registered`](Self::wait_until_registered).
    pub async fn wait_until_monitored(&self, server: &ServerUrl, poll: Poll) -> Result<Cluster> {
        self.wait_until_monitored_observed(server, poll, |_| {})
            .await
    }

    /// The same as [`wait_until_monitored`](Self::wait_until_monitored); `observer` sees the state
    /// after every probe.
    ///
    /// # Errors
    /// The kinds of [`wait_until_registered`](Self::wait_until_registered).
    pub async fn wait_until_monitored_observed(
        &self,
        server: &ServerUrl,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Cluster> {
        let what = format!("cluster {server} to be monitored");
        self.wait(
            "wait for cluster monitoring",
            server,
            poll,
            what,
            observer,
            unmonitored,
        )
        .await
    }

    async fn wait(
        &self,
        operation: &'static str,
        server: &ServerUrl,
        poll: Poll,
        what: String,
        observer: impl FnMut(&WaitState),
        missing: impl Fn(&Cluster) -> Option<String>,
    ) -> Result<Cluster> {
        let missing = &missing;
        poll.wait(operation, server.as_str(), what, observer, || async move {
            let Some(cluster) = self.find(server).await? else {
                return Ok(Probed::Pending("the cluster is not listed".to_owned()));
            };
            if let Some(error) = connection_failure(&cluster, operation) {
                return Err(error);
            }
            Ok(match missing(&cluster) {
                Some(cause) => Probed::Pending(cause),
                None => Probed::Ready(cluster),
            })
        })
        .await
    }
}

/// Why the controller does not watch the cluster yet; none when it does.
fn unmonitored(cluster: &Cluster) -> Option<String> {
    if cluster.is_monitored() {
        return None;
    }
    let state = cluster.connection();
    Some(match (state.status(), state.message.as_str()) {
        (ConnectionStatus::NotMonitored, _) => "no application targets the cluster yet".to_owned(),
        (status, "") => format!("connection {status}, cache not synchronised yet"),
        (status, message) => format!("connection {status}: {message}"),
    })
}

/// The error that a failed connection of Argo CD to the cluster stands for.
pub(super) fn connection_failure(cluster: &Cluster, operation: &'static str) -> Option<Error> {
    let state = cluster.connection();
    (state.status() == ConnectionStatus::Failed).then(|| {
        let kind =
            kind_of_target_text(&state.message, None).unwrap_or(ErrorKind::TargetUnreachable);
        Error::new(kind, operation)
            .with_target(&cluster.server)
            .with_message(&state.message)
    })
}
