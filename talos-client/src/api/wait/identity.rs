//! Waiting for a node to come back as a member of its cluster.

use jiff::Timestamp;

use super::{WaitState, Waiting, WaitingFor, is_transient, until_deadline};
use crate::api::machine::Version;
use crate::{Client, ErrorKind, Poll, PresentedCertificate, Probe, Result, api::probe};

impl Client {
    /// Waits until the node answers with the identity of its configuration; use it after
    /// [`crate::MaintenanceClient::apply_configuration`].
    ///
    /// `before` is the certificate of the node in maintenance mode, as [`crate::probe`] or
    /// [`crate::MaintenanceClient::presented_certificate`] gave it. With it a node that failed to install, and
    /// booted into maintenance mode once more, is told from one that has not acted yet.
    ///
    /// v1.10 to v1.12 close the port from the moment they act on the configuration until the installed system is
    /// up, which takes minutes; later versions keep it open.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when the node is back in maintenance mode: the installation failed, and only its
    /// console tells why. [`ErrorKind::Certificate`] when it comes back with another authority's certificate.
    /// [`ErrorKind::Deadline`] with the last cause as its source.
    pub async fn wait_for_identity(
        &self,
        before: Option<&PresentedCertificate>,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Version> {
        let target = self.endpoint().to_string();
        let waiting = Waiting::new("wait for identity", target, poll, observer);
        let mut history = History {
            maintenance: before.cloned(),
            was_closed: false,
        };
        until_deadline(waiting, async |waiting| {
            loop {
                if let Some(version) = self.look(&mut history, waiting).await? {
                    return Ok(version);
                }
                waiting.pause().await;
            }
        })
        .await
    }

    async fn look<F: FnMut(&WaitState)>(
        &self,
        history: &mut History,
        waiting: &mut Waiting<F>,
    ) -> Result<Option<Version>> {
        let timeout = waiting.clock.attempt_timeout();
        match probe(self.endpoint(), Some(self.authority()), timeout).await? {
            Probe::Closed(error) => {
                history.was_closed = true;
                waiting.report_error(WaitingFor::Installation, error);
            }
            Probe::Maintenance(certificate) => {
                if history.is_new_boot(&certificate) {
                    let message = format!(
                        "the installation failed: the node has booted into maintenance mode again, fingerprint {}; \
                         its console tells why",
                        certificate.fingerprint
                    );
                    return Err(waiting.failed(ErrorKind::Rejected, message));
                }
                history.maintenance = Some(certificate);
                waiting.report(WaitingFor::Restart, "the node is still in maintenance mode");
            }
            Probe::Foreign(certificate) => {
                let message = format!(
                    "the node's certificate {:?} is not signed by the cluster's authority but by {:?}",
                    certificate.subject, certificate.issuer
                );
                return Err(waiting.failed(ErrorKind::Certificate, message));
            }
            Probe::Configured(certificate) if certificate.not_before > Timestamp::now() => {
                let because = format!(
                    "the node's certificate is not valid before {}",
                    certificate.not_before
                );
                waiting.report(WaitingFor::Clock, because);
            }
            Probe::Configured(_) => match self.machine().version().await {
                Ok(version) => return Ok(Some(version)),
                Err(error) if is_transient(&error) => {
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
