//! What a node's certificate says about the node.

use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::{Error, ErrorKind, PublicKeyFingerprint, Result};

/// Subject of every maintenance certificate, v1.10 to v1.14.
pub(crate) const MAINTENANCE_NAME: &str = "maintenance-service.talos.dev";

/// The certificate that a node presented, as far as it tells nodes apart.
///
/// Nothing in here was verified, unless the value came with a verdict such as [`crate::Probe::Configured`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedCertificate {
    /// Pin of the public key, as talosctl's `--cert-fingerprint` takes it and the node's console shows it.
    pub fingerprint: PublicKeyFingerprint,
    /// The subject's common name; empty when there is none.
    pub common_name: String,
    /// The whole subject.
    pub subject: String,
    /// The issuer; for a Talos CA usually only an organization.
    pub issuer: String,
    /// Addresses and names it is valid for.
    pub names: Vec<String>,
    /// Begin of validity. A node issues without backdating, so it may lie ahead of our clock.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    authority_key_id: Option<Vec<u8>>,
}

impl PresentedCertificate {
    pub(crate) fn parse(der: &CertificateDer<'_>) -> Result<Self> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|source| unreadable().with_source(source))?;
        let subject = certificate.subject();
        let common_name = subject
            .iter_common_name()
            .find_map(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let validity = certificate.validity();

        Ok(Self {
            fingerprint: PublicKeyFingerprint::of_public_key(certificate.public_key().raw),
            common_name,
            subject: subject.to_string(),
            issuer: certificate.issuer().to_string(),
            names: names(&certificate),
            not_before: timestamp(validity.not_before.timestamp())?,
            not_after: timestamp(validity.not_after.timestamp())?,
            authority_key_id: authority_key_id(&certificate),
        })
    }

    /// Whether it is the certificate of a maintenance service.
    #[must_use]
    pub fn is_maintenance(&self) -> bool {
        self.common_name == MAINTENANCE_NAME
    }

    /// Whether both were issued in the same boot of a node in maintenance mode; `None` when that cannot be determined.
    ///
    /// The maintenance authority is created once per boot, while the leaf is issued again whenever addresses or
    /// the clock change: another fingerprint alone does not prove a reboot.
    #[must_use]
    pub fn is_same_boot(&self, other: &Self) -> Option<bool> {
        if self.fingerprint == other.fingerprint {
            return Some(true);
        }
        match (&self.authority_key_id, &other.authority_key_id) {
            (Some(one), Some(two)) => Some(one == two),
            _ => None,
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn authority_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().map(|id| id.0.to_vec())
            }
            _ => None,
        })
}

fn timestamp(seconds: i64) -> Result<Timestamp> {
    Timestamp::from_second(seconds).map_err(|source| unreadable().with_source(source))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, "read certificate").with_message("not an X.509 certificate")
}
