//! How the server is trusted: public roots, the cluster's authority, or one pinned certificate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::BuilderVerifierExt;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// Which server certificates are accepted. There is no mode that accepts any certificate.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsTrust {
    /// Certificates issued by a publicly known authority, for example through ACME.
    #[default]
    PublicRoots,
    /// Certificates issued by this authority: `/etc/pve/pve-root-ca.pem`, valid for ten years.
    ///
    /// The name or address in the endpoint must be in the certificate.
    Authority(CertificateDer<'static>),
    /// Exactly this certificate, whatever its issuer, names and dates; a certificate that a known
    /// authority issued is refused too when it is another one.
    ///
    /// The node renews its own certificate within two years; the pin changes then.
    Pinned(Fingerprint),
}

impl TlsTrust {
    /// Trusts the first certificate of a PEM text as authority.
    ///
    /// # Errors
    /// `Configuration` when there is no certificate in the text.
    pub fn authority_pem(pem: &str) -> Result<Self> {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .map(Self::Authority)
            .map_err(|_| configuration("no certificate in the PEM text of the authority"))
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| configuration("TLS setup").with_source(error))?;
        match self {
            Self::PublicRoots => Ok(builder
                .with_platform_verifier()
                .map_err(|error| configuration("public roots").with_source(error))?
                .with_no_client_auth()),
            Self::Authority(certificate) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(certificate.clone())
                    .map_err(|error| configuration("authority certificate").with_source(error))?;
                Ok(builder.with_root_certificates(roots).with_no_client_auth())
            }
            Self::Pinned(fingerprint) => Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(PinnedVerifier {
                    expected: *fingerprint,
                    provider,
                }))
                .with_no_client_auth()),
        }
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, "build client").with_message(message)
}

/// The SHA-256 of a whole certificate, as Proxmox VE shows it on its certificate page.
///
/// Parses with or without colons, in any letter case; prints in upper case with colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of this certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }

    /// A fingerprint from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Configuration, "parse fingerprint").with_message(format!(
                "`{text}` is not a SHA-256 fingerprint (32 hexadecimal pairs, with or without colons)"
            ))
        };
        let digits: Vec<char> = text.trim().chars().filter(|c| *c != ':').collect();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair: String = pair.iter().collect();
            if !pair.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(&pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// The server presented another certificate than the pinned one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinMismatch {
    /// The pin.
    pub expected: Fingerprint,
    /// What the server presented.
    pub presented: Fingerprint,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the pinned certificate has the fingerprint {}, the server presented {}",
            self.expected, self.presented
        )
    }
}

impl std::error::Error for PinMismatch {}

#[derive(Debug)]
struct PinnedVerifier {
    expected: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Fingerprint::of(end_entity);
        if presented == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = PinMismatch {
            expected: self.expected,
            presented,
        };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
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

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The TLS failure inside a chain of errors.
///
/// An `io::Error` inside an `io::Error` is skipped by `source()`; only `get_ref()` reaches it.
pub(crate) fn find_tls_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let wrapped: Option<&'a (dyn std::error::Error + 'static)> = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|inner| inner as _);
        next = wrapped.or_else(|| current.source());
    }
    None
}

/// The pin mismatch inside a TLS failure.
pub(crate) fn pin_mismatch(error: &rustls::Error) -> Option<PinMismatch> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<PinMismatch>().cloned()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89";

    #[test]
    fn fingerprints_are_read_in_every_spelling_and_printed_in_one() {
        for text in [TEXT.to_owned(), TEXT.to_lowercase(), TEXT.replace(':', "")] {
            assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), TEXT);
        }
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        for text in [
            "",
            "AB:CD",
            &TEXT[..94],
            &TEXT.replace('A', "G"),
            &TEXT.replace("AB", "+B"),
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mismatch_is_found_below_nested_io_errors() {
        let fingerprint: Fingerprint = TEXT.parse().unwrap();
        let mismatch = PinMismatch {
            expected: fingerprint,
            presented: fingerprint,
        };
        let tls: rustls::Error = CertificateError::Other(OtherError(Arc::new(mismatch))).into();
        let nested = std::io::Error::other(std::io::Error::other(tls));

        assert!(pin_mismatch(find_tls_error(&nested).unwrap()).is_some());
    }

    #[test]
    fn an_authority_needs_a_certificate() {
        let error = TlsTrust::authority_pem("-----BEGIN NOTHING-----").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}
