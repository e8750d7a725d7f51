//! The client's own certificate and key, and the crypto provider of this crate's connections.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};

use super::{Error, ErrorKind, Result};

const OPERATION: &str = "set up TLS";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes the client present this certificate chain when the server asks for one.
///
/// # Errors
///
/// `Configuration` when the key is unusable or does not belong to the certificate.
pub(crate) fn with_identity(
    mut config: ClientConfig,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig> {
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(unusable)?;
    let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(key));
    config.client_auth_cert_resolver = resolver;
    Ok(config)
}

/// The private key of `pem`: PKCS#8, PKCS#1, SEC1, or PKCS#8 under Talos' own label.
///
/// # Errors
///
/// `Configuration` when there is none. The text is never quoted.
pub(crate) fn private_key(pem: &SecretString) -> Result<PrivateKeyDer<'static>> {
    let text = pem.expose_secret();
    if let Ok(key) = PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        return Ok(key);
    }
    // Talos writes Ed25519 keys as PKCS#8 under a label that no PEM reader of rustls knows.
    let relabelled = pem::parse(text)
        .ok()
        .filter(|block| block.tag() == "ED25519 PRIVATE KEY");
    relabelled
        .map(|block| PrivatePkcs8KeyDer::from(block.into_contents()).into())
        .ok_or_else(|| {
            Error::new(ErrorKind::Configuration, OPERATION)
                .with_message("no private key in the PEM text")
        })
}

fn unusable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION)
        .with_message(source.to_string())
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_under_the_label_of_talos_is_accepted() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let pem = key
            .serialize_pem()
            .replace("PRIVATE KEY", "ED25519 PRIVATE KEY");

        let loaded = private_key(&SecretString::from(pem)).unwrap();

        assert!(matches!(loaded, PrivateKeyDer::Pkcs8(_)));
    }

    #[test]
    fn a_text_without_a_key_is_refused_without_quoting_it() {
        let error = private_key(&SecretString::from("hunter2")).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
