//! PEM text and its base64 form, as Talos documents carry it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::go::base64;

/// A certificate and its private key, both as PEM text.
///
/// Either may be empty: worker configurations carry certificates without keys.
#[derive(Clone)]
pub struct CertificateAndKey {
    certificate: String,
    key: SecretString,
}

impl CertificateAndKey {
    /// Takes both PEM texts as they are; nothing is parsed.
    #[must_use]
    pub fn new(certificate: impl Into<String>, key: SecretString) -> Self {
        Self {
            certificate: certificate.into(),
            key,
        }
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The private key as PEM text, with the label Talos uses (`ED25519 PRIVATE KEY`, `EC PRIVATE KEY`, `RSA PRIVATE KEY`).
    ///
    /// rustls does not know the first one: the content is PKCS#8, so give it the label `PRIVATE KEY`.
    #[must_use]
    pub fn key_pem(&self) -> &SecretString {
        &self.key
    }

    /// The certificate as `crt` has it: base64 of the PEM text.
    pub(crate) fn encoded_certificate(&self) -> String {
        encode(&self.certificate)
    }

    /// The key as `key` has it: base64 of the PEM text, or the redaction mark itself.
    pub(crate) fn encoded_key(&self) -> Zeroizing<String> {
        encode_key(&self.key)
    }
}

impl fmt::Debug for CertificateAndKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAndKey")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// What the reference prints in place of a key, and reads back as it is.
const REDACTED: &str = "******";

pub(crate) fn encode(text: &str) -> String {
    base64::encode(text)
}

pub(crate) fn encode_key(key: &SecretString) -> Zeroizing<String> {
    match key.expose_secret() {
        REDACTED => Zeroizing::new(REDACTED.to_owned()),
        pem => Zeroizing::new(encode(pem)),
    }
}

/// Decodes `crt`; the error is the reference's text.
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let bytes = base64::decode(text)?;
    // Only PEM blocks are ever read from it, and they are ASCII: whatever else is there makes it no PEM text.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Decodes `key`, which may be the redaction mark.
pub(crate) fn decode_key(text: &str) -> Result<SecretString, String> {
    match text {
        REDACTED => Ok(SecretString::from(REDACTED)),
        encoded => decode(encoded).map(SecretString::from),
    }
}

/// Wraps DER in PEM lines of 64 characters, with a final newline.
pub(crate) fn armor(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(base64::encode(der));
    let mut text = Zeroizing::new(String::with_capacity(
        body.len() * 66 / 64 + 2 * label.len() + 40,
    ));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The label and content of the first PEM block.
pub(crate) fn first_block(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let block = pem::parse(text).ok()?;
    Some((
        block.tag().to_owned(),
        Zeroizing::new(block.into_contents()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_base64_of_their_pem_text_but_a_redacted_key_stays_as_it_is() {
        let key = decode_key("******").unwrap();
        assert_eq!(key.expose_secret(), "******");
        assert_eq!(*encode_key(&key), "******");
        assert_eq!(decode_key("YQo=").unwrap().expose_secret(), "a\n");
    }

    #[test]
    fn bad_base64_is_refused_with_its_position_only() {
        assert_eq!(
            decode("YWJj!A==").unwrap_err(),
            "illegal base64 data at input byte 4"
        );
        assert_eq!(decode("YW\nJj").unwrap(), "abc");
    }

    #[test]
    fn armor_and_first_block_are_inverse() {
        let text = armor("CERTIFICATE", &[7; 100]);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(first_block(&text).unwrap().1.as_slice(), &[7; 100]);
        assert!(first_block("nothing").is_none());
    }

    #[test]
    fn debug_shows_no_key() {
        let pair = CertificateAndKey::new("cert", SecretString::from("canary"));
        assert!(!format!("{pair:?}").contains("canary"));
    }
}
