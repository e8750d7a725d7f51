//! Which server certificates a client accepts: always explicit, never a process-wide default.
//!
//! Mirrored: the same text stands in every crate of the workspace that speaks HTTPS, and a policy test compares the copies.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    RootCertStore,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};

use crate::services::error::{Error, ErrorKind, Result}; // mirror: own path

/// Which server certificates are accepted. No variant accepts every certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsTrust {
    /// Certificates that the trust store of the operating system accepts.
    #[default]
    SystemRoots,
    /// Certificates issued by one of these authorities; the system's are not accepted.
    ///
    /// The name or address in the endpoint must be in the certificate. A self-signed server certificate can be given
    /// as its own authority.
    Authorities(Vec<CertificateDer<'static>>),
    /// Exactly the certificate with this fingerprint, whatever its issuer, names and dates. Another certificate is
    /// refused even when a known authority issued it.
    Pinned(Fingerprint),
}

impl TlsTrust {
    /// Trusts one authority, in DER form.
    #[must_use]
    pub fn authority(certificate: CertificateDer<'static>) -> Self {
        Self::Authorities(vec![certificate])
    }

    /// Trusts several authorities, in DER form.
    #[must_use]
    pub fn authorities(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        Self::Authorities(certificates.into_iter().collect())
    }

    /// Trusts all certificates of a PEM text as authorities.
    ///
    /// # Errors
    /// `Configuration` when the text has no certificate, or one that cannot be read.
    pub fn from_pem(pem: &str) -> Result<Self> {
        certificates(pem).map(Self::Authorities)
    }

    /// Trusts the one certificate with this SHA-256 fingerprint.
    #[must_use]
    pub const fn pinned(fingerprint: Fingerprint) -> Self {
        Self::Pinned(fingerprint)
    }

    /// The TLS configuration of a client. It offers no application protocol, so that HTTP/1.1 is spoken.
    ///
    /// `scheme` is that of the endpoint: a plain connection must not fail on a system without a trust store, nor wait until it
    /// is read, although the server may redirect it to HTTPS.
    pub(crate) fn client_config(&self, scheme: &str) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| configuration("no common TLS version").with_source(error))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::SystemRoots if scheme == "https" => {
                let verifier = Verifier::new(provider).map_err(|error| {
                    configuration("the system's trust store cannot be read").with_source(error)
                })?;
                Arc::new(verifier)
            }
            Self::SystemRoots => Arc::new(OwnVerifier {
                judge: Judge::SystemRoots(OnceLock::new()),
                provider,
            }),
            Self::Authorities(authorities) => {
                return Ok(builder
                    .with_root_certificates(roots(authorities)?)
                    .with_no_client_auth());
            }
            Self::Pinned(fingerprint) => Arc::new(OwnVerifier {
                judge: Judge::Pin(*fingerprint),
                provider,
            }),
        };
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }
}

/// The certificates of a PEM text.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| configuration("a PEM certificate cannot be read").with_source(error))?;
    if certificates.is_empty() {
        return Err(configuration("the PEM text has no certificate"));
    }
    Ok(certificates)
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    if authorities.is_empty() {
        return Err(configuration("the list of trusted authorities is empty"));
    }
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| {
            configuration("a trusted authority is not an X.509 certificate").with_source(error)
        })?;
    }
    Ok(roots)
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, "set up TLS").with_message(message)
}

/// The SHA-256 of a whole certificate.
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
            Error::new(ErrorKind::Configuration, "parse fingerprint").with_message(
                "not a SHA-256 fingerprint (32 hexadecimal pairs, with or without colons)",
            )
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
    /// The fingerprint of the certificate that the server presented.
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

/// Verifies signatures with the provider, and leaves it to `judge` whether a certificate is trusted.
#[derive(Debug)]
struct OwnVerifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Judge {
    Pin(Fingerprint),
    /// The trust store of the system, read when the first certificate comes: it has hundreds of certificates.
    SystemRoots(OnceLock<std::result::Result<Verifier, rustls::Error>>),
}

impl ServerCertVerifier for OwnVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let expected = match &self.judge {
            Judge::Pin(fingerprint) => *fingerprint,
            Judge::SystemRoots(verifier) => {
                let read = || Verifier::new(Arc::clone(&self.provider));
                let verifier = verifier.get_or_init(read).as_ref().map_err(Clone::clone)?;
                return verifier.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                );
            }
        };
        let presented = Fingerprint::of(end_entity);
        if presented == expected {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = PinMismatch {
            expected,
            presented,
        };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
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

/// Whether the cause is a certificate that one side does not accept. Such a failure is never repeated.
///
/// A failure of the handshake for another reason (protocol version, cipher suites) is none.
pub(crate) fn is_certificate_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    match find_tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => is_about_certificates(*alert),
        Some(error) => matches!(
            error,
            rustls::Error::InvalidCertificate(_)
                | rustls::Error::InvalidCertRevocationList(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::UnsupportedNameType
        ),
        None => false,
    }
}

/// Alerts by which a server refuses the certificate of the client.
fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
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
mod tls_tests {
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
    fn only_certificates_are_certificate_failures() {
        let certificates = [
            rustls::Error::InvalidCertificate(CertificateError::Expired),
            rustls::Error::NoCertificatesPresented,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
            rustls::Error::AlertReceived(AlertDescription::UnknownCA),
        ];
        let others = [
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion),
            rustls::Error::AlertReceived(AlertDescription::CloseNotify),
            rustls::Error::HandshakeNotComplete,
        ];

        assert!(
            certificates
                .into_iter()
                .all(|tls| is_certificate_failure(&std::io::Error::other(tls)))
        );
        assert!(
            !others
                .into_iter()
                .any(|tls| is_certificate_failure(&std::io::Error::other(tls)))
        );
    }

    #[test]
    fn authorities_need_a_certificate() {
        for pem in [
            "",
            "hello",
            "-----BEGIN NOTHING-----",
            "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n",
        ] {
            let error = TlsTrust::from_pem(pem).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration, "{pem}");
        }
        assert!(TlsTrust::authorities([]).client_config("https").is_err());
    }

    #[test]
    fn the_configuration_offers_no_http2() {
        let config = TlsTrust::default().client_config("http").unwrap();

        assert!(config.alpn_protocols.is_empty());
    }
}
