//! Certificates of a mock node.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SerialNumber,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::api::certificate::MAINTENANCE_NAME;
use crate::api::credentials::certificates;
use crate::api::tls::provider;

type Result<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

const DAY: Duration = Duration::from_hours(24);

/// A certificate authority that can sign.
#[derive(Debug)]
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    /// The authority of one boot in maintenance mode.
    pub(super) fn ephemeral() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&[(DnType::OrganizationName, "talos")]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(certificate.der(), key)?,
        })
    }

    /// An authority of a configuration, in PEM; the key may have any label Talos writes.
    pub(super) fn from_pem(certificate: &str, key: &SecretString) -> Result<Self> {
        let key = KeyPair::from_pem(key.expose_secret())?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(certificate, key)?,
        })
    }

    fn key_pair(&self) -> Result<KeyPair> {
        // As Talos does: the leaf's key is of the authority's kind.
        let algorithm = if self.issuer.key().is_compatible(&PKCS_ED25519) {
            &PKCS_ED25519
        } else {
            &PKCS_ECDSA_P256_SHA256
        };
        Ok(KeyPair::generate_for(algorithm)?)
    }

    /// A server certificate that begins to be valid after `ahead`.
    pub(super) fn server(
        &self,
        common_name: &str,
        names: &[String],
        ahead: Duration,
    ) -> Result<Identity> {
        let key = self.key_pair()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(&[(DnType::CommonName, common_name)]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = OffsetDateTime::now_utc() + ahead;
        params.not_after = params.not_before + DAY;
        let certificate = sign(params, &key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        })
    }

    /// The administrator's client certificate for Kubernetes, as PEM with its key.
    pub(super) fn kubernetes_admin(&self, lifetime: Duration) -> Result<(String, SecretString)> {
        let key = self.key_pair()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&[
            (DnType::OrganizationName, "system:masters"),
            (DnType::CommonName, "admin"),
        ]);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = OffsetDateTime::now_utc() - Duration::from_secs(10);
        params.not_after = params.not_before + lifetime;
        let certificate = sign(params, &key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem().into()))
    }

    /// A client certificate for the Talos API, as PEM with its key.
    pub(super) fn talos_client(&self, role: &str) -> Result<(String, SecretString)> {
        let key = self.key_pair()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&[(DnType::OrganizationName, role)]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = OffsetDateTime::now_utc() - Duration::from_secs(10);
        params.not_after = params.not_before + DAY;
        let certificate = sign(params, &key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem().into()))
    }
}

/// Signs with a random serial number; by default every certificate of a key has the same.
fn sign(
    mut params: CertificateParams,
    key: &KeyPair,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<rcgen::Certificate> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    Ok(params.signed_by(key, issuer)?)
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}

/// A server's certificate and key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(super) fn maintenance(signer: &Signer, names: &[String]) -> Result<Self> {
        signer.server(MAINTENANCE_NAME, names, Duration::ZERO)
    }

    /// TLS as the maintenance service offers it: no client certificate is asked for.
    pub(super) fn anonymous(self) -> Result<Arc<ServerConfig>> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], self.key)?;
        Ok(Arc::new(like_talos(config)))
    }

    /// TLS as apid offers it: a client certificate of one of the authorities is required.
    pub(super) fn mutual(self, accepted: &[String]) -> Result<Arc<ServerConfig>> {
        let mut roots = RootCertStore::empty();
        for pem in accepted {
            for certificate in certificates(pem, "accepted authority")? {
                roots.add(certificate)?;
            }
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate], self.key)?;
        Ok(Arc::new(like_talos(config)))
    }
}

fn like_talos(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config
}
