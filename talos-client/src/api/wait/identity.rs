//! Waiting for a node to come back as a member of its cluster.

use jiff::Timestamp;

use super::{Waiting, WaitingFor, until_deadline};
use crate::api::machine::Version;
use crate::{Client, ErrorKind, Poll, PresentedCertificate, Probe, Result, WaitState, api::probe};

impl Client {
    /// Waits until the node answers with the identity of its configuration. Call it after
    /// [`crate::MaintenanceClient::apply_configuration`]. Changes nothing.
    ///
    /// `before` is the certificate of the node in maintenance mode, from [`crate::probe`] or
    /// [`crate::MaintenanceClient::presented_certificate`]. It distinguishes a node that failed to install and booted
    /// into maintenance mode again from one that has not acted yet.
    ///
    /// Talos v1.10 to v1.12 closes the port from the moment it acts on the configuration until the installed system is
    /// up, which takes minutes. Later releases keep it open.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when the node is back in maintenance mode: the installation failed, and only the
    /// console shows the cause. [`ErrorKind::Certificate`] when it returns with a certificate of another authority.
    /// [`ErrorKind::Deadline`] with the last error as its source.
    pub async fn wait_for_identity(
        &self,
        before: Option<&PresentedCertificate>,
        poll: Poll,
    ) -> Result<Version> {
        self.wait_for_identity_observed(before, poll, |_| {}).await
    }

    /// As [`Client::wait_for_identity`]; `observer` sees the state of the wait after every attempt.
    ///
    /// # Errors
    /// As [`Client::wait_for_identity`].
    pub async fn wait_for_identity_observed(
        &self,
        before: Option<&PresentedCertificate>,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Version> {
        let target = self.endpoint().to_string();
        let first = WaitingFor::Identity;
        let waiting = Waiting::new("wait for identity", target, first, poll, observer);
        let mut history = History {
            maintenance: before.cloned(),
            was_closed: false,
        };
        until_deadline(waiting, async |waiting| {
            loop {
                if let Some(version) = self.probe_identity(&mut history, waiting).await? {
                    return Ok(version);
                }
                waiting.sleep().await;
            }
        })
        .await
    }

    async fn probe_identity<F: FnMut(&WaitState)>(
        &self,
        history: &mut History,
        waiting: &mut Waiting<F>,
    ) -> Result<Option<Version>> {
        let timeout = waiting.attempt_timeout();
        match probe(self.endpoint(), Some(self.authority()), timeout).await? {
            Probe::Closed(error) => {
                history.was_closed = true;
                waiting.report_error(WaitingFor::Installation, error);
            }
            Probe::Maintenance(certificate) => {
                if history.is_new_boot(&certificate) {
                    let message = format!(
                        "the installation failed: the node booted into maintenance mode again (fingerprint {}); \
                         see its console for the cause",
                        certificate.fingerprint
                    );
                    return Err(waiting.failed(ErrorKind::Rejected, message));
                }
                history.maintenance = Some(certificate);
                waiting.report(WaitingFor::Restart, "the node is still in maintenance mode");
            }
            Probe::Foreign(certificate) => {
                let message = format!(
                    "the node's certificate {:?} is not signed by the authority of the cluster but by {:?}",
                    certificate.subject, certificate.issuer
                );
                return Err(waiting.failed(ErrorKind::Certificate, message));
            }
            Probe::Configured(certificate) if certificate.not_before > Timestamp::now() => {
                let cause = format!(
                    "the node's certificate is not valid before {}",
                    certificate.not_before
                );
                waiting.report(WaitingFor::Clock, cause);
            }
            Probe::Configured(_) => match self.machine().version().await {
                Ok(version) => return Ok(Some(version)),
                Err(error) if error.is_retryable() => {
                    waiting.report_error(WaitingFor::Identity, error);
                }
                Err(error) => return Err(error),
            },
        }
        Ok(None)
    }
}

/// What was seen of the node before.
struct History {
    maintenance: Option<PresentedCertificate>,
    was_closed: bool,
}

impl History {
    /// Whether a maintenance certificate is of another boot than the one the configuration was sent to.
    fn is_new_boot(&self, now: &PresentedCertificate) -> bool {
        match &self.maintenance {
            // Where the certificates do not tell, a port that was closed in between does.
            Some(before) => !before.is_same_boot(now).unwrap_or(!self.was_closed),
            None => self.was_closed,
        }
    }
}
