//! The identity with which a client presents itself to a cluster.

use std::fmt;
use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::secrets::ClientCertificate;
use crate::{CertificateAuthority, Error, ErrorKind, Result};

const OPERATION: &str = "read credentials";

/// CA, client certificate and private key in PEM, as a talosconfig context holds them.
///
/// The certificate's organizations are the roles: `os:admin`, `os:operator`, `os:reader`, `os:etcd:backup`.
#[derive(Clone)]
pub struct Credentials {
    authority: String,
    certificate: String,
    key: SecretString,
}

impl Credentials {
    /// Takes PEM text; nothing is parsed before a client is built from it.
    ///
    /// The key may have the label `ED25519 PRIVATE KEY`, which Talos writes, or one of the usual ones.
    #[must_use]
    pub fn new(
        authority: impl Into<String>,
        certificate: impl Into<String>,
        key: SecretString,
    ) -> Self {
        Self {
            authority: authority.into(),
            certificate: certificate.into(),
            key,
        }
    }

    /// The authority that signs the nodes' certificates.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it is not a PEM certificate.
    pub fn authority(&self) -> Result<CertificateAuthority> {
        CertificateAuthority::from_pem(&self.authority)
    }

    pub(crate) fn identity(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = certificates(&self.certificate, "client certificate")?;
        if let Some(leaf) = chain.first() {
            refuse_expired(leaf)?;
        }
        Ok((chain, private_key(&self.key)?))
    }
}

impl From<&ClientCertificate> for Credentials {
    fn from(certificate: &ClientCertificate) -> Self {
        Self::new(
            certificate.ca_pem(),
            certificate.certificate_pem(),
            certificate.key_pem().clone(),
        )
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// An expired client certificate would only show as a TLS alert, which also stands for a wrong clock of the node.
fn refuse_expired(leaf: &CertificateDer<'_>) -> Result<()> {
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|source| invalid("the client certificate cannot be parsed").with_source(source))?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let end = parsed.validity().not_after;
    if end.timestamp() < now {
        return Err(Error::new(ErrorKind::Certificate, OPERATION)
            .with_message(format!("the client certificate expired on {end}")));
    }
    Ok(())
}

/// All certificates of a PEM text; `what` names it in errors.
pub(crate) fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let blocks = pem::parse_many(pem)
        .map_err(|source| invalid(format!("the {what} is not PEM")).with_source(source))?;
    let found: Vec<_> = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(|block| CertificateDer::from(block.into_contents()))
        .collect();
    if found.is_empty() {
        return Err(invalid(format!("the {what} holds no CERTIFICATE block")));
    }
    Ok(found)
}

/// The first private key of a PEM text.
///
/// Talos writes PKCS#8 under `ED25519 PRIVATE KEY`, a label that rustls does not know and skips silently.
fn private_key(pem: &SecretString) -> Result<PrivateKeyDer<'static>> {
    // The parse error is dropped: it may quote the text.
    let blocks =
        pem::parse_many(pem.expose_secret()).map_err(|_| invalid("the client key is not PEM"))?;
    for block in blocks {
        let label = block.tag().to_owned();
        let der = block.into_contents();
        match label.as_str() {
            "ED25519 PRIVATE KEY" | "PRIVATE KEY" => return Ok(PrivateKeyDer::Pkcs8(der.into())),
            "EC PRIVATE KEY" => return Ok(PrivateKeyDer::Sec1(der.into())),
            "RSA PRIVATE KEY" => return Ok(PrivateKeyDer::Pkcs1(der.into())),
            _ => {}
        }
    }
    Err(invalid("the client key holds no private key block"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION).with_message(message)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};

    use super::*;

    fn credentials(key_label: &str) -> Credentials {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let pem = pem::encode(&pem::Pem::new(key_label, key.serialize_der()));
        Credentials::new(certificate.pem(), certificate.pem(), pem.into())
    }

    #[test]
    fn the_label_that_talos_writes_is_understood() {
        for label in ["ED25519 PRIVATE KEY", "PRIVATE KEY"] {
            let credentials = credentials(label);

            let (chain, _) = credentials.identity().unwrap();
            assert_eq!(chain.len(), 1);
            let authority = credentials.authority().unwrap();
            assert!(crate::api::tls::mutual(&authority, &credentials).is_ok());
        }
    }

    #[test]
    fn a_text_without_a_key_is_a_configuration_error_that_does_not_quote_it() {
        let error = credentials("SECRET STUFF").identity().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(!format!("{error:?}").contains("SECRET STUFF"));
    }

    #[test]
    fn an_expired_client_certificate_is_refused_before_connecting() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let credentials = Credentials::new(
            certificate.pem(),
            certificate.pem(),
            key.serialize_pem().into(),
        );

        let error = credentials.identity().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Certificate);
        assert!(error.message().contains("expired"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", credentials("PRIVATE KEY")),
            "Credentials { .. }"
        );
    }
}
