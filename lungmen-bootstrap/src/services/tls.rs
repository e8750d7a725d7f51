//! Trust of the Kubernetes and OpenBao connections: every configuration names its provider, none is process-wide.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};

use super::{Error, ErrorKind, Result};

/// Whom to believe about the identity of a server.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsTrust {
    /// The certificate authorities of the operating system.
    #[default]
    PublicRoots,
    /// Exactly these authorities, as one or more PEM `CERTIFICATE` blocks.
    Authority(String),
}

const OPERATION: &str = "build TLS configuration";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A configuration that trusts as told and shows `identity`, if there is one. ALPN is left empty.
///
/// # Errors
///
/// `Configuration` when a certificate or key cannot be used.
pub(crate) fn client_config(
    trust: &TlsTrust,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match trust {
        TlsTrust::PublicRoots => builder.with_platform_verifier().map_err(unusable)?,
        TlsTrust::Authority(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(unusable)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable),
    }
}

/// A configuration that trusts nobody: reqwest wants one even for a client that only ever speaks plain HTTP.
///
/// # Errors
///
/// `Configuration` when the provider offers no protocol version.
pub(crate) fn untrusting_config() -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    Ok(builder
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

/// Every `CERTIFICATE` block of `pem`; at least one.
///
/// # Errors
///
/// `Configuration` when there is none or one is broken.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(unusable)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Configuration, OPERATION)
            .with_message("no CERTIFICATE block in the PEM text"));
    }
    Ok(found)
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

    #[test]
    fn an_authority_without_certificates_is_refused() {
        let error = client_config(&TlsTrust::Authority("nothing".to_owned()), None).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}
