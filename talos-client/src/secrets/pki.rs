//! Certificates with exactly the fields that Talos puts into them.

use jiff::{Timestamp, ToSpan};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use super::certificate::{self, Extension, Template};
use super::key::{KeyAlgorithm, KeyOperationFailed, PrivateKey};
use super::pem::{self, CertificateAndKey};

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];

/// BIT STRING digitalSignature + keyCertSign.
const SIGN_AND_CERTIFY: &[u8] = &[0x03, 0x02, 0x02, 0x84];
/// BIT STRING digitalSignature.
const SIGN: &[u8] = &[0x03, 0x02, 0x07, 0x80];
/// SEQUENCE of serverAuth and clientAuth.
const SERVER_AND_CLIENT: &[u8] = &[
    0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01, 0x06, 0x08, 0x2b, 0x06,
    0x01, 0x05, 0x05, 0x07, 0x03, 0x02,
];
/// SEQUENCE of clientAuth.
const CLIENT: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02,
];
/// SEQUENCE with CA = TRUE and no path length.
const IS_AUTHORITY: &[u8] = &[0x30, 0x03, 0x01, 0x01, 0xff];

const AUTHORITY_LIFETIME_HOURS: i64 = 87_600;

/// How the subject key identifier of an authority is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyIdentifier {
    /// SHA-1 of the public key (RFC 5280, method 1).
    Sha1,
    Random,
}

/// A new self-signed authority, valid for ten years of 365 days.
///
/// Without an organization its name is empty: the reference asks for `CN=front-proxy` for the aggregator but its helper
/// drops the common name.
pub(crate) fn new_authority(
    organization: Option<&str>,
    algorithm: KeyAlgorithm,
    identifier: KeyIdentifier,
    now: Timestamp,
) -> Result<CertificateAndKey, KeyOperationFailed> {
    let key = PrivateKey::generate(algorithm)?;
    let identifier: [u8; 20] = match identifier {
        KeyIdentifier::Sha1 => sha1(key.public_key_bits()),
        KeyIdentifier::Random => random()?,
    };
    let name = certificate::name(organization.as_slice());
    let der = certificate::sign(
        &Template {
            serial: random()?,
            issuer: &name,
            subject: &name,
            not_before: now,
            not_after: now + AUTHORITY_LIFETIME_HOURS.hours(),
            public_key: &key.public_key_info()?,
            extensions: &[
                Extension::critical(KEY_USAGE, SIGN_AND_CERTIFY),
                Extension::new(EXTENDED_KEY_USAGE, SERVER_AND_CLIENT),
                Extension::critical(BASIC_CONSTRAINTS, IS_AUTHORITY),
                Extension::new(
                    SUBJECT_KEY_IDENTIFIER,
                    &[&[0x04, 20], identifier.as_slice()].concat(),
                ),
            ],
        },
        &key,
    )?;
    Ok(CertificateAndKey::new(armored(&der), key.to_pem()?))
}

/// What a client certificate says.
pub(crate) struct ClientProfile<'a> {
    pub(crate) organizations: &'a [&'a str],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) serial: [u8; 16],
}

/// Signs a client certificate for `key` with the authority.
pub(crate) fn issue_client(
    authority: &Authority,
    key: &PrivateKey,
    profile: &ClientProfile<'_>,
) -> Result<CertificateAndKey, KeyOperationFailed> {
    let mut extensions = vec![
        Extension::critical(KEY_USAGE, SIGN),
        Extension::new(EXTENDED_KEY_USAGE, CLIENT),
    ];
    if let Some(identifier) = &authority.key_identifier {
        extensions.push(Extension::new(
            AUTHORITY_KEY_IDENTIFIER,
            &key_identifier_sequence(identifier),
        ));
    }
    let der = certificate::sign(
        &Template {
            serial: profile.serial,
            issuer: &authority.subject,
            subject: &certificate::name(profile.organizations),
            not_before: profile.not_before,
            not_after: profile.not_after,
            public_key: &key.public_key_info()?,
            extensions: &extensions,
        },
        &authority.key,
    )?;
    Ok(CertificateAndKey::new(armored(&der), key.to_pem()?))
}

/// A parsed authority that can sign.
pub(crate) struct Authority {
    subject: Vec<u8>,
    pub(crate) key: PrivateKey,
    key_identifier: Option<Vec<u8>>,
}

impl Authority {
    /// Pairs a certificate with its key; the error is the reference's text.
    pub(crate) fn new(certificate_pem: &str, key: PrivateKey) -> Result<Self, String> {
        let der = certificate_der(certificate_pem)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(malformed)?;
        let key_identifier = certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
                _ => None,
            });
        let subject = certificate.subject().as_raw().to_vec();
        Ok(Self {
            subject,
            key,
            key_identifier,
        })
    }
}

/// Start and end of a certificate's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// Reads when a certificate is valid and which organizations its subject has; the error is the reference's text.
pub(crate) fn inspect(certificate_pem: &str) -> Result<(Validity, Vec<String>), String> {
    let der = certificate_der(certificate_pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(malformed)?;
    let timestamp = |seconds| {
        Timestamp::from_second(seconds)
            .map_err(|error| format!("failed to parse certificate: {error}"))
    };
    let validity = Validity {
        not_before: timestamp(certificate.validity().not_before.timestamp())?,
        not_after: timestamp(certificate.validity().not_after.timestamp())?,
    };
    let organizations = certificate.subject().iter_organization();
    Ok((
        validity,
        organizations
            .filter_map(|name| name.as_str().ok())
            .map(str::to_owned)
            .collect(),
    ))
}

fn certificate_der(certificate_pem: &str) -> Result<Vec<u8>, String> {
    let (_, der) = pem::first_block(certificate_pem).ok_or("failed to parse PEM block")?;
    Ok(der.to_vec())
}

fn malformed<E>(_: E) -> String {
    "failed to parse certificate: x509: malformed certificate".to_owned()
}

fn key_identifier_sequence(identifier: &[u8]) -> Vec<u8> {
    let length = u8::try_from(identifier.len()).unwrap_or(u8::MAX);
    let mut der = vec![0x30, length.saturating_add(2), 0x80, length];
    der.extend_from_slice(identifier);
    der
}

fn sha1(data: &[u8]) -> [u8; 20] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    let mut out = [0; 20];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Bytes from the operating system's random source, for tokens, serial numbers and the seeds of Ed25519 keys.
///
/// They do not come from the generator of the cryptographic library: that one gathers jitter of the processor for about 30 ms
/// when it is first used, on top of the very bytes that are read here.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyOperationFailed> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyOperationFailed)?;
    Ok(bytes)
}

fn armored(der: &[u8]) -> String {
    pem::armor("CERTIFICATE", der).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::key::KeyUse;

    fn authority(identifier: KeyIdentifier) -> Authority {
        let pair = new_authority(
            Some("talos"),
            KeyAlgorithm::Ed25519,
            identifier,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
        let key = PrivateKey::parse(pair.key_pem(), KeyUse::OfCertificate).unwrap();
        Authority::new(pair.certificate_pem(), key).unwrap()
    }

    fn client(authority: &Authority, serial: [u8; 16]) -> Vec<u8> {
        let profile = ClientProfile {
            organizations: &["os:admin"],
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::UNIX_EPOCH + 1.hours(),
            serial,
        };
        let pair = issue_client(authority, &authority.key, &profile).unwrap();
        certificate_der(pair.certificate_pem()).unwrap()
    }

    #[test]
    fn key_identifiers_are_the_sha1_of_the_key_or_random() {
        let derived = authority(KeyIdentifier::Sha1);
        let random = authority(KeyIdentifier::Random);

        assert_eq!(
            derived.key_identifier.unwrap(),
            sha1(derived.key.public_key_bits())
        );
        assert_ne!(
            random.key_identifier.unwrap(),
            sha1(random.key.public_key_bits())
        );
    }

    #[test]
    fn serial_numbers_are_positive_and_minimal() {
        let authority = authority(KeyIdentifier::Sha1);
        for (serial, der) in [
            ([0xff; 16], [&[0x02, 17, 0][..], &[0xff; 16]].concat()),
            ([0; 16], vec![0x02, 1, 0]),
            (
                [0, 0, 0x80, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
                [&[0x02, 15, 0, 0x80][..], &[1; 13]].concat(),
            ),
        ] {
            let certificate = client(&authority, serial);
            // After the two outer headers and the version.
            let start = certificate
                .windows(5)
                .position(|w| w == [0xa0, 3, 2, 1, 2])
                .unwrap();
            assert_eq!(certificate[start + 5..][..der.len()], der);
        }
    }

    #[test]
    fn a_signature_verifies_with_the_authority() {
        let authority = authority(KeyIdentifier::Random);
        let der = client(&authority, [7; 16]);

        let (_, certificate) = X509Certificate::from_der(&der).unwrap();

        let public = aws_lc_rs::signature::UnparsedPublicKey::new(
            &aws_lc_rs::signature::ED25519,
            authority.key.public_key_bits(),
        );
        public
            .verify(
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            )
            .unwrap();
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(inspect("x").unwrap_err(), "failed to parse PEM block");
        let garbage = pem::armor("CERTIFICATE", b"x");
        assert!(
            inspect(&garbage)
                .unwrap_err()
                .starts_with("failed to parse certificate: ")
        );
    }
}
