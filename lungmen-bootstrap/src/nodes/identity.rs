//! The secrets of the cluster and the admin certificate that follows from them.

use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use talos_client::secrets::{ClientCertificate, Role, SecretsBundle};
use talos_client::{CertificateAuthority, Credentials};

use crate::error::Result;

/// The lifetime of the admin certificate: that of talosctl.
const LIFETIME: Duration = Duration::from_hours(8760);
/// How long a certificate is given out before the next one is; the rest of its lifetime is for its users.
const PERIOD: Duration = Duration::from_hours(4380);

/// The identity of the run towards the nodes.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) bundle: SecretsBundle,
    pub(crate) admin: ClientCertificate,
}

impl Identity {
    /// The identity of the bundle at this time. Making it again gives the same certificate, so that saving it again
    /// changes nothing; every half a year there is a new one.
    pub(crate) fn of(bundle: SecretsBundle, now: Timestamp) -> Result<Self> {
        let admin = bundle
            .client_certificate(Role::Admin)
            .ttl(LIFETIME)
            .derive(period_start(bundle.created_at()?, now))?;
        Ok(Self { bundle, admin })
    }

    /// The admin certificate that was given out in the period before `now`, which is still valid.
    pub(crate) fn earlier(&self, now: Timestamp) -> Result<ClientCertificate> {
        let before = now.checked_sub(PERIOD).unwrap_or(now);
        Ok(Self::of(self.bundle.clone(), before)?.admin)
    }

    /// The certificate authority as machine configurations write it.
    pub(crate) fn authority_in_configs(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.admin.ca_pem())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(
            self.admin.ca_pem(),
            self.admin.certificate_pem(),
            self.admin.key_pem().clone(),
        )
    }

    pub(crate) fn authority(&self) -> Result<CertificateAuthority> {
        Ok(CertificateAuthority::from_pem(self.admin.ca_pem())?)
    }
}

/// The start of the period that `now` is in, counted from the making of the bundle.
fn period_start(created: Timestamp, now: Timestamp) -> Timestamp {
    let age = now.as_second().saturating_sub(created.as_second()).max(0);
    let period = i64::try_from(PERIOD.as_secs()).unwrap_or(i64::MAX);
    let start = created.as_second() + age - age % period;
    Timestamp::from_second(start).unwrap_or(created)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_changes_only_with_the_period() {
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text: &str| period_start(created, text.parse().unwrap());

        assert_eq!(at("2026-01-01T00:00:01Z"), created);
        assert_eq!(at("2026-06-01T00:00:00Z"), created);
        assert_eq!(
            at("2026-08-01T00:00:00Z").to_string(),
            "2026-07-02T12:00:00Z"
        );
        assert_eq!(at("2025-12-31T00:00:00Z"), created);
    }
}
