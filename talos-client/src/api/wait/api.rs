//! Waiting until something answers.

use super::{WaitState, Waiting, WaitingFor, until_deadline};
use crate::{
    Authority, Endpoint, ErrorKind, Poll, PresentedCertificate, Probe, Result, api::probe,
};

/// Waits until something answers at `endpoint`, and tells what it is.
///
/// Never returns [`Probe::Closed`]. With `authority` a node that is configured already is recognized as ours.
///
/// # Errors
/// [`ErrorKind::Deadline`] with the last failed connection as its source.
pub async fn wait_for_api(
    endpoint: &Endpoint,
    authority: Option<&Authority>,
    poll: Poll,
    observer: impl FnMut(&WaitState),
) -> Result<Probe> {
    let waiting = Waiting::new("wait for machine API", endpoint.to_string(), poll, observer);
    until_deadline(waiting, async |waiting| {
        loop {
            let timeout = waiting.clock.attempt_timeout();
            match probe(endpoint, authority, timeout).await? {
                Probe::Closed(error) => waiting.report_error(WaitingFor::Api, error),
                answered => return Ok(answered),
            }
            waiting.pause().await;
        }
    })
    .await
}

/// Waits until a node in maintenance mode answers at `endpoint`.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when a node answers that is configured, [`ErrorKind::Deadline`] with the last
/// failed connection as its source.
pub async fn wait_for_maintenance(
    endpoint: &Endpoint,
    poll: Poll,
    observer: impl FnMut(&WaitState),
) -> Result<PresentedCertificate> {
    let operation = "wait for maintenance mode";
    let waiting = Waiting::new(operation, endpoint.to_string(), poll, observer);
    until_deadline(waiting, async |waiting| {
        loop {
            let timeout = waiting.clock.attempt_timeout();
            match probe(endpoint, None, timeout).await? {
                Probe::Closed(error) => waiting.report_error(WaitingFor::Maintenance, error),
                Probe::Maintenance(certificate) => return Ok(certificate),
                Probe::Configured(certificate) | Probe::Foreign(certificate) => {
                    let message = format!(
                        "the node is configured: its certificate is {:?} by {:?}",
                        certificate.subject, certificate.issuer
                    );
                    return Err(waiting.failed(ErrorKind::AlreadyExists, message));
                }
            }
            waiting.pause().await;
        }
    })
    .await
}
