//! Waiting until something answers.

use super::{Waiting, WaitingFor, until_deadline};
use crate::{
    CertificateAuthority, Endpoint, ErrorKind, Poll, PresentedCertificate, Probe, Result,
    WaitState, api::probe,
};

/// Waits until something answers at `endpoint`, and says what it is. Changes nothing.
///
/// Never returns [`Probe::Closed`]. With `authority` a node that is configured already is recognized as a member of
/// that cluster.
///
/// # Errors
/// [`ErrorKind::Configuration`] for an endpoint that is no TLS name, [`ErrorKind::Deadline`] with the last failed
/// connection as its source.
pub async fn wait_for_api(
    endpoint: &Endpoint,
    authority: Option<&CertificateAuthority>,
    poll: Poll,
) -> Result<Probe> {
    wait_for_api_observed(endpoint, authority, poll, |_| {}).await
}

/// As [`wait_for_api`]; `observer` sees the state of the wait after every attempt.
///
/// # Errors
/// As [`wait_for_api`].
pub async fn wait_for_api_observed(
    endpoint: &Endpoint,
    authority: Option<&CertificateAuthority>,
    poll: Poll,
    observer: impl FnMut(&WaitState),
) -> Result<Probe> {
    let (operation, target) = ("wait for machine API", endpoint.to_string());
    let waiting = Waiting::new(operation, target, WaitingFor::Api, poll, observer);
    until_deadline(waiting, async |waiting| {
        loop {
            let timeout = waiting.attempt_timeout();
            match probe(endpoint, authority, timeout).await? {
                Probe::Closed(error) => waiting.report_error(WaitingFor::Api, error),
                answered => return Ok(answered),
            }
            waiting.sleep().await;
        }
    })
    .await
}

/// Waits until a node in maintenance mode answers at `endpoint`. Changes nothing.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when a configured node answers, [`ErrorKind::Configuration`] for an endpoint that is no
/// TLS name, [`ErrorKind::Deadline`] with the last failed connection as its source.
pub async fn wait_for_maintenance(endpoint: &Endpoint, poll: Poll) -> Result<PresentedCertificate> {
    wait_for_maintenance_observed(endpoint, poll, |_| {}).await
}

/// As [`wait_for_maintenance`]; `observer` sees the state of the wait after every attempt.
///
/// # Errors
/// As [`wait_for_maintenance`].
pub async fn wait_for_maintenance_observed(
    endpoint: &Endpoint,
    poll: Poll,
    observer: impl FnMut(&WaitState),
) -> Result<PresentedCertificate> {
    let (operation, target) = ("wait for maintenance mode", endpoint.to_string());
    let waiting = Waiting::new(operation, target, WaitingFor::Maintenance, poll, observer);
    until_deadline(waiting, async |waiting| {
        loop {
            let timeout = waiting.attempt_timeout();
            match probe(endpoint, None, timeout).await? {
                Probe::Closed(error) => waiting.report_error(WaitingFor::Maintenance, error),
                Probe::Maintenance(certificate) => return Ok(certificate),
                Probe::Configured(certificate) | Probe::Foreign(certificate) => {
                    let message = format!(
                        "the node is already configured: its certificate has the subject {:?} and the issuer {:?}",
                        certificate.subject, certificate.issuer
                    );
                    return Err(waiting.failed(ErrorKind::AlreadyExists, message));
                }
            }
            waiting.sleep().await;
        }
    })
    .await
}
