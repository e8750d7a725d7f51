//! Private keys in the byte shapes that Talos writes and reads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use pkcs8::PrivateKeyInfoRef;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::der::{self, Form};
use super::pem;
use super::pki::random;

const RSA: &str = "RSA PRIVATE KEY";
const EC: &str = "EC PRIVATE KEY";
const ED25519: &str = "ED25519 PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";

/// Kinds of keys Talos generates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Ed25519,
    EcdsaP256,
    Rsa4096,
}

/// A private key that can sign certificates. The key material stays inside the cryptographic library.
pub(crate) enum PrivateKey {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair, Curve),
    Rsa(Box<RsaKeyPair>),
}

/// Curves that are read; new keys are always P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// Where in a document a key is; the reference words one refusal differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyUse {
    OfCertificate,
    Bare,
}

/// A fault of the operating system's random source or of the cryptographic library.
#[derive(Debug, thiserror::Error)]
#[error("key operation failed")]
pub(crate) struct KeyOperationFailed;

impl From<aws_lc_rs::error::Unspecified> for KeyOperationFailed {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

impl PrivateKey {
    /// Draws a new key. RSA takes between 0.2 and 4 seconds of one processor; when a processor is idle two searches run at the
    /// same time and the first key is taken.
    ///
    /// An Ed25519 private key is 32 uniformly random bytes and nothing else (RFC 8032, section 5.1.5): no search, no test, no
    /// structure that a weak generator could spoil further. The bytes come from the operating system, whose source is seeded
    /// before it answers and from which the generator of the library would seed itself.
    pub(crate) fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyOperationFailed> {
        Ok(match algorithm {
            KeyAlgorithm::Ed25519 => {
                let seed = Zeroizing::new(random::<32>()?);
                return Self::from_ed25519_seed(&seed);
            }
            KeyAlgorithm::EcdsaP256 => Self::Ecdsa(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
                Curve::P256,
            ),
            KeyAlgorithm::Rsa4096 => Self::Rsa(Box::new(generate_rsa()?)),
        })
    }

    /// The Ed25519 key of a seed.
    pub(crate) fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, KeyOperationFailed> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyOperationFailed)?;
        Ok(Self::Ed25519(key))
    }

    /// The algorithm a certificate's key must have when this key signs it.
    pub(crate) const fn family(&self) -> KeyAlgorithm {
        match self {
            Self::Ed25519(_) => KeyAlgorithm::Ed25519,
            Self::Ecdsa(..) => KeyAlgorithm::EcdsaP256,
            Self::Rsa(_) => KeyAlgorithm::Rsa4096,
        }
    }

    /// The seed of an Ed25519 key.
    pub(crate) fn ed25519_seed(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Self::Ed25519(key) = self else {
            return None;
        };
        let der = key.to_pkcs8v1().ok()?;
        // The 48 bytes of the version 1 form end with the 32 bytes of the seed.
        der.as_ref()
            .last_chunk::<32>()
            .map(|seed| Zeroizing::new(seed.to_vec()))
    }

    /// The SubjectPublicKeyInfo of certificates for this key.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, KeyOperationFailed> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ed25519(key) => key.public_key().as_der()?,
            Self::Ecdsa(key, _) => key.public_key().as_der()?,
            Self::Rsa(key) => key.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The bits of the public key, without the algorithm.
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.public_key().as_ref(),
            Self::Ecdsa(key, _) => key.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }

    /// The AlgorithmIdentifier of signatures by this key, in DER.
    pub(crate) const fn signature_algorithm(&self) -> &'static [u8] {
        match self {
            Self::Ed25519(_) => b"\x30\x05\x06\x03\x2b\x65\x70",
            Self::Ecdsa(_, Curve::P256) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
            Self::Ecdsa(_, Curve::P384) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
            Self::Ecdsa(_, Curve::P521) => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
            Self::Rsa(_) => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
        }
    }

    /// Signs a message; the same message gives the same signature with Ed25519 only.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyOperationFailed> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(key) => Ok(key.try_sign(message)?.as_ref().to_vec()),
            Self::Ecdsa(key, _) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// Reads the first PEM block; the error is the reference's text up to the cause, which differs between libraries.
    pub(crate) fn parse(text: &SecretString, usage: KeyUse) -> Result<Self, String> {
        let (label, der) =
            pem::first_block(text.expose_secret()).ok_or("failed to parse PEM block")?;
        let unreadable =
            |what: &str, form| format!("failed to parse {what}: {}", der::cause(form, &der));
        match label.as_str() {
            RSA => rsa(RsaKeyPair::from_der(&der).ok())
                .ok_or_else(|| unreadable("RSA key", Form::Pkcs1)),
            EC => ecdsa(&der)
                .filter(|_| is_sec1(&der))
                .ok_or_else(|| unreadable("ECDSA key", Form::Sec1)),
            ED25519 => match pkcs8_key(&der) {
                Some(key @ Self::Ed25519(_)) => Ok(key),
                Some(_) => Err("failed parsing Ed25519 key, got wrong key type".to_owned()),
                None => Err(unreadable("Ed25519 key", Form::Pkcs8)),
            },
            PKCS8 => pkcs8_key(&der).ok_or_else(|| unreadable("key", Form::Pkcs8)),
            other => {
                let colon = if usage == KeyUse::OfCertificate {
                    ":"
                } else {
                    ""
                };
                Err(format!("unsupported key type{colon} {other:?}"))
            }
        }
    }

    /// The PEM text Talos writes: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 version 1 under its own label for Ed25519.
    pub(crate) fn to_pem(&self) -> Result<SecretString, KeyOperationFailed> {
        let text = match self {
            Self::Ed25519(key) => pem::armor(ED25519, key.to_pkcs8v1()?.as_ref()),
            Self::Ecdsa(key, _) => {
                let der: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der()?;
                pem::armor(EC, der.as_ref())
            }
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der()?;
                let info =
                    PrivateKeyInfoRef::try_from(der.as_ref()).map_err(|_| KeyOperationFailed)?;
                pem::armor(RSA, info.private_key.as_bytes())
            }
        };
        Ok(SecretString::from(text.as_str()))
    }
}

/// The searches for RSA keys that this process makes at the moment, those included for which nobody waits any more.
static SEARCHES: AtomicUsize = AtomicUsize::new(0);

/// A search for an RSA key, counted while it goes on.
struct Search;

impl Search {
    /// Counts a search. Gives also how many there are with it.
    fn begin() -> (Self, usize) {
        (Self, SEARCHES.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Draws a key; the search ends with it.
    fn run(self) -> Result<RsaKeyPair, KeyOperationFailed> {
        Ok(RsaKeyPair::generate(KeySize::Rsa4096)?)
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        SEARCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long the search for two primes takes varies widely, so the faster of two is much faster than one. A second one is made
/// when a processor is left for it; the slower one ends by itself, and its key is erased unseen.
fn generate_rsa() -> Result<RsaKeyPair, KeyOperationFailed> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (search, searches) = Search::begin();
    if searches >= processors {
        return search.run();
    }
    let (sender, keys) = mpsc::channel();
    let other = sender.clone();
    let (second, _) = Search::begin();
    let thread = || std::thread::Builder::new().name("rsa-key".to_owned());
    let started = thread().spawn(move || {
        // Nobody waits for the slower one.
        other.send(search.run()).ok();
    });
    let also_started = thread().spawn(move || {
        sender.send(second.run()).ok();
    });
    if started.is_err() && also_started.is_err() {
        return Search::begin().0.run();
    }
    keys.recv().map_err(|_| KeyOperationFailed)?
}

fn rsa(key: Option<RsaKeyPair>) -> Option<PrivateKey> {
    key.map(|key| PrivateKey::Rsa(Box::new(key)))
}

fn ecdsa(der: &[u8]) -> Option<PrivateKey> {
    let curves: [(Curve, &'static EcdsaSigningAlgorithm); 3] = [
        (Curve::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (Curve::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
        (Curve::P521, &ECDSA_P521_SHA512_ASN1_SIGNING),
    ];
    curves.into_iter().find_map(|(curve, algorithm)| {
        let key = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
        Some(PrivateKey::Ecdsa(key, curve))
    })
}

/// Whether it is an ECDSA key in the form of SEC 1: the library takes PKCS #8 in its place.
pub(super) fn is_sec1(der: &[u8]) -> bool {
    PrivateKeyInfoRef::try_from(der).is_err() && ecdsa(der).is_some()
}

fn pkcs8_key(der: &[u8]) -> Option<PrivateKey> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
        .ok()
        .map(PrivateKey::Ed25519)
        .or_else(|| ecdsa(der).filter(|_| PrivateKeyInfoRef::try_from(der).is_ok()))
        .or_else(|| rsa(RsaKeyPair::from_pkcs8(der).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der_of(key: &PrivateKey) -> Vec<u8> {
        pem::first_block(key.to_pem().unwrap().expose_secret())
            .unwrap()
            .1
            .to_vec()
    }

    #[test]
    fn ed25519_keys_are_48_bytes_of_pkcs8_under_their_own_label() {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();

        let text = key.to_pem().unwrap();
        let der = der_of(&key);

        assert!(
            text.expose_secret()
                .starts_with("-----BEGIN ED25519 PRIVATE KEY-----\n")
        );
        assert_eq!(der.len(), 48);
        assert_eq!(
            der[..16],
            *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"
        );
        assert_eq!(key.ed25519_seed().unwrap().as_slice(), &der[16..]);
        assert!(PrivateKey::parse(&text, KeyUse::Bare).is_ok());
    }

    #[test]
    fn ecdsa_keys_are_121_bytes_of_sec1_with_curve_and_public_key() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();

        let text = key.to_pem().unwrap();

        assert!(
            text.expose_secret()
                .starts_with("-----BEGIN EC PRIVATE KEY-----\n")
        );
        assert_eq!(der_of(&key).len(), 121);
        assert!(matches!(
            PrivateKey::parse(&text, KeyUse::Bare),
            Ok(PrivateKey::Ecdsa(..))
        ));
    }

    #[test]
    fn refusals_have_the_texts_of_the_reference() {
        let parse = |text: &str, usage| {
            PrivateKey::parse(&SecretString::from(text), usage)
                .err()
                .unwrap()
        };
        let odd = pem::armor("DSA PRIVATE KEY", b"x");

        assert_eq!(parse("no pem", KeyUse::Bare), "failed to parse PEM block");
        assert_eq!(
            parse(&odd, KeyUse::OfCertificate),
            r#"unsupported key type: "DSA PRIVATE KEY""#
        );
        assert_eq!(
            parse(&odd, KeyUse::Bare),
            r#"unsupported key type "DSA PRIVATE KEY""#
        );
        let ecdsa = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let PrivateKey::Ecdsa(pair, _) = &ecdsa else {
            panic!()
        };
        let mislabelled = pem::armor("ED25519 PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        assert_eq!(
            parse(&mislabelled, KeyUse::Bare),
            "failed parsing Ed25519 key, got wrong key type"
        );
        assert!(
            parse(&pem::armor("RSA PRIVATE KEY", b"x"), KeyUse::Bare)
                .starts_with("failed to parse RSA key: ")
        );
    }
}
