//! What is at an endpoint, according to its certificate alone.

use std::sync::Arc;
use std::time::Duration;

use crate::api::certificate::PresentedCertificate;
use crate::{
    CertificateAuthority, Endpoint, Error, ErrorKind, MaintenanceTrust, Result, api::dial, api::tls,
};

/// What answers at an endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub enum Probe {
    /// Nothing, or nothing that completes a TLS handshake; the error says what happened.
    Closed(Error),
    /// A node that waits for a configuration.
    Maintenance(PresentedCertificate),
    /// A node whose certificate our authority has signed. It may not be valid yet: nodes issue without backdating.
    Configured(PresentedCertificate),
    /// A node of another cluster, or no Talos at all; also every configured node when no authority was given.
    Foreign(PresentedCertificate),
}

/// Looks at the certificate of whatever listens at `endpoint`. Sends nothing, needs no identity, changes nothing.
///
/// A maintenance certificate has the subject `maintenance-service.talos.dev` (v1.10 to v1.14). A certificate signed
/// by `authority` belongs to a node that was configured with it, whatever its names and validity.
///
/// # Errors
/// [`ErrorKind::Configuration`] for an endpoint that is no TLS name. A failed connection is no error but
/// [`Probe::Closed`].
pub async fn probe(
    endpoint: &Endpoint,
    authority: Option<&CertificateAuthority>,
    timeout: Duration,
) -> Result<Probe> {
    let (config, verifier) = tls::anonymous(MaintenanceTrust::TrustOnFirstUse)?;
    let outcome = dial::handshake(endpoint, Arc::new(config), timeout).await;
    // With TLS 1.2 the handshake fails for want of a client certificate, after the server has shown its own.
    let Some(leaf) = verifier.seen() else {
        return match outcome {
            Err(error) if error.kind() != ErrorKind::Configuration => Ok(Probe::Closed(error)),
            Err(error) => Err(error),
            Ok(_) => Ok(Probe::Closed(
                Error::new(ErrorKind::Decode, "probe")
                    .with_message("the server has no certificate"),
            )),
        };
    };
    let certificate = match PresentedCertificate::parse(&leaf) {
        Ok(certificate) => certificate,
        Err(error) => return Ok(Probe::Closed(error)),
    };
    Ok(if certificate.is_maintenance() {
        Probe::Maintenance(certificate)
    } else if authority.is_some_and(|authority| authority.has_signed(&leaf)) {
        Probe::Configured(certificate)
    } else {
        Probe::Foreign(certificate)
    })
}
