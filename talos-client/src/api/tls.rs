//! Trust: which nodes the client accepts, and how it authenticates to them.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::api::credentials::{Credentials, certificates};
use crate::{Error, ErrorKind, Result};

/// Pin of a node's public key: base64 of the SHA-256 of its `SubjectPublicKeyInfo`.
///
/// ```
/// use talos_client::PublicKeyFingerprint;
///
/// let pin: PublicKeyFingerprint = "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k=".parse()?;
/// assert_eq!(pin.to_string(), "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k=");
/// # Ok::<(), talos_client::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKeyFingerprint([u8; 32]);

impl PublicKeyFingerprint {
    pub(crate) fn of_public_key(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self::of_public_key(certificate.public_key().raw))
    }
}

impl FromStr for PublicKeyFingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| {
                Error::new(ErrorKind::Configuration, "parse fingerprint")
                    .with_message(format!("error parsing certificate fingerprint {text:?}"))
            })
    }
}

impl fmt::Display for PublicKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeyFingerprint({self})")
    }
}

/// The CA of a cluster's Talos API (`machine.ca`), several while it is being rotated.
#[derive(Clone)]
pub struct CertificateAuthority {
    roots: Arc<RootCertStore>,
}

impl CertificateAuthority {
    /// Reads one or more certificates in PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no certificate or one is not usable as an authority.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, "certificate authority")? {
            roots.add(certificate).map_err(|source| {
                Error::new(ErrorKind::Configuration, "read certificate authority")
                    .with_message("a certificate cannot serve as an authority")
                    .with_source(source)
            })?;
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }

    /// Whether the certificate chains to this authority, whatever name and time it is for.
    pub(crate) fn has_signed(&self, leaf: &CertificateDer<'_>) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
            return false;
        };
        let Ok(verifier) =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
                .build()
        else {
            return false;
        };
        let validity = parsed.validity();
        let (from, until) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let inside = now.clamp(from, until.max(from));
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(inside).unwrap_or_default(),
        ));
        let name = ServerName::from(std::net::Ipv4Addr::UNSPECIFIED);
        match verifier.verify_server_cert(leaf, &[], &name, &[], time) {
            // The chain is checked before the name.
            Ok(_)
            | Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => true,
            Err(_) => false,
        }
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateAuthority({} certificates)", self.roots.len())
    }
}

/// Which certificates of a node in maintenance mode are accepted.
///
/// The certificate is signed by an authority that exists for one boot only, so there is no CA to configure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaintenanceTrust {
    /// Accepts any certificate, like `talosctl --insecure`: whatever answers at the address receives the
    /// configuration.
    #[default]
    TrustOnFirstUse,
    /// The leaf's public key must have one of these pins (`talosctl --cert-fingerprint`). The node shows its pin
    /// on the console, and has a new one after every boot and every change of its addresses or clock.
    Pinned(Vec<PublicKeyFingerprint>),
}

/// The only crypto provider of this crate; none is installed process-wide.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Mutual TLS: the node must have a certificate of the authority, and receives the client's.
pub(crate) fn mutual(
    authority: &CertificateAuthority,
    credentials: &Credentials,
) -> Result<ClientConfig> {
    let (chain, key) = credentials.identity()?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(Arc::clone(&authority.roots))
        .with_client_auth_cert(chain, key)
        .map_err(unusable)?;
    Ok(for_http2(config))
}

/// TLS without a client certificate; the verifier remembers what the node presented.
pub(crate) fn anonymous(trust: MaintenanceTrust) -> Result<(ClientConfig, Arc<LeafVerifier>)> {
    let verifier = Arc::new(LeafVerifier {
        trust,
        provider: provider(),
        seen: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    Ok((for_http2(config), verifier))
}

fn for_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Nodes issue no tickets, and a node that changed its identity must be verified again.
    config.resumption = Resumption::disabled();
    config
}

fn unusable(source: rustls::Error) -> Error {
    Error::new(ErrorKind::Configuration, "configure TLS")
        .with_message(source.to_string())
        .with_source(source)
}

/// Checks the leaf alone, and remembers it even when the handshake fails afterwards.
#[derive(Debug)]
pub(crate) struct LeafVerifier {
    trust: MaintenanceTrust,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl LeafVerifier {
    /// The certificate of the last handshake.
    pub(crate) fn seen(&self) -> Option<CertificateDer<'static>> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The node's public key is not one of the pinned ones. The text is that of talosctl.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("leaf peer certificate doesn't match the provided fingerprints: [{}], it has {presented}", joined(.expected))]
#[non_exhaustive]
pub struct PinMismatch {
    /// The pins.
    pub expected: Vec<PublicKeyFingerprint>,
    /// The fingerprint of the key that the node presented.
    pub presented: PublicKeyFingerprint,
}

fn joined(pins: &[PublicKeyFingerprint]) -> String {
    let pins: Vec<String> = pins.iter().map(ToString::to_string).collect();
    pins.join(" ")
}

impl ServerCertVerifier for LeafVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf.clone().into_owned());
        let MaintenanceTrust::Pinned(pins) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let presented = PublicKeyFingerprint::of_certificate(leaf).ok_or(
            rustls::Error::InvalidCertificate(CertificateError::BadEncoding),
        )?;
        if pins.contains(&presented) {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = PinMismatch {
            expected: pins.clone(),
            presented,
        };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(mismatch)),
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Ed25519 public key of RFC 8032, test 1, as a SubjectPublicKeyInfo.
    const SPKI: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn a_fingerprint_is_the_hash_of_the_public_key_info() {
        let spki = STANDARD.decode(SPKI).unwrap();

        assert_eq!(
            PublicKeyFingerprint::of_public_key(&spki).to_string(),
            "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k="
        );
    }

    #[test]
    fn what_is_not_base64_of_32_bytes_is_no_fingerprint() {
        for text in [
            "",
            "sha256:abc",
            "AAAA",
            "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k",
        ] {
            let error = text.parse::<PublicKeyFingerprint>().unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert_eq!(
                error.message(),
                format!("error parsing certificate fingerprint {text:?}")
            );
        }
    }
}
