//! The certificate authority of the cluster: the server's certificate, admin certificates, and who a client is.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName as RootHint;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use secrecy::{ExposeSecret, SecretString};

use crate::services::{Error, ErrorKind, Result, certificates, private_key, provider};

const OPERATION: &str = "start Kubernetes mock";

/// A CA with its key; signs for the API server and for its administrators.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn load(certificate: &str, key: &SecretString) -> Result<Self> {
        let key = KeyPair::from_pem(key.expose_secret()).map_err(|error| bad(&error))?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|error| bad(&error))?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates(certificate)? {
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| bad(&error))?;
        Ok(Self {
            pem: certificate.to_owned(),
            issuer,
            clients,
        })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of an API server with these names and addresses.
    pub(super) fn serving_key(
        &self,
        names: &[String],
        addresses: &[IpAddr],
    ) -> Result<Arc<CertifiedKey>> {
        let key = KeyPair::generate().map_err(|error| bad(&error))?;
        let mut params = parameters(
            "kube-apiserver",
            Some("kube-master"),
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        for name in names {
            let name = name
                .clone()
                .try_into()
                .map_err(|error: rcgen::Error| bad(&error))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|error| bad(&error))?;
        CertifiedKey::from_der(
            vec![certificate.der().clone()],
            private_key(&SecretString::from(key.serialize_pem()))?,
            &provider(),
        )
        .map(Arc::new)
        .map_err(|error| bad(&error))
    }

    /// TLS of an API server. A client certificate is requested, not required, and one of another authority is accepted
    /// here: the API server responds to it with 401.
    pub(super) fn server_config(
        &self,
        certificate: Arc<ServingCertificate>,
    ) -> Result<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error))?
            .with_client_cert_verifier(Arc::new(AnyClient(Arc::clone(&self.clients))))
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A client certificate and key as Talos issues them for its admin kubeconfig.
    pub(super) fn issue(&self, user: &str, group: Option<&str>) -> Result<(String, SecretString)> {
        let key = KeyPair::generate().map_err(|error| bad(&error))?;
        let params = parameters(user, group, ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|error| bad(&error))?;
        Ok((certificate.pem(), SecretString::from(key.serialize_pem())))
    }

    /// User and groups of a client certificate, when this authority signed it.
    pub(super) fn identify(&self, chain: &[CertificateDer<'_>]) -> Option<(String, Vec<String>)> {
        let (leaf, rest) = chain.split_first()?;
        self.clients
            .verify_client_cert(leaf, rest, UnixTime::now())
            .ok()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|name| name.as_str().ok())
            .map(str::to_owned);
        Some((user, groups.collect()))
    }
}

/// The present certificate of the API server. Talos renews it when a control plane node is added.
#[derive(Debug)]
pub(super) struct ServingCertificate {
    key: Mutex<Arc<CertifiedKey>>,
}

impl ServingCertificate {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Self {
        Self { key: key.into() }
    }

    pub(super) fn renew(&self, key: Arc<CertifiedKey>) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&key))
    }
}

/// A new authority as Talos makes one for Kubernetes: ECDSA P-256, organisation `kubernetes`.
pub(super) fn generate() -> Result<(String, SecretString)> {
    let key = KeyPair::generate().map_err(|error| bad(&error))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "kubernetes");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    validity(&mut params);
    let certificate = params.self_signed(&key).map_err(|error| bad(&error))?;
    Ok((certificate.pem(), SecretString::from(key.serialize_pem())))
}

fn parameters(
    name: &str,
    group: Option<&str>,
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from(
        since_epoch().as_nanos().to_be_bytes().to_vec(),
    ));
    validity(&mut params);
    params
}

/// From ten seconds ago, for a year, as Talos does it.
fn validity(params: &mut CertificateParams) {
    const YEAR: Duration = Duration::from_secs(8760 * 3600);
    let start = since_epoch().saturating_sub(Duration::from_secs(10));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + start;
    params.not_after = epoch + start + YEAR;
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn bad(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION).with_message(error.to_string())
}

/// Accepts whatever certificate a client shows, if the client owns its key.
#[derive(Debug)]
struct AnyClient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[RootHint] {
        // A hint would keep clients from showing certificates of other authorities.
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_another_authority_identifies_nobody() {
        let (pem, key) = generate().unwrap();
        let ours = Authority::load(&pem, &key).unwrap();
        let (pem, key) = generate().unwrap();
        let theirs = Authority::load(&pem, &key).unwrap();
        let (certificate, _) = theirs.issue("admin", Some("system:masters")).unwrap();
        let chain = certificates(&certificate).unwrap();

        assert_eq!(ours.identify(&chain), None);
        assert_eq!(
            theirs.identify(&chain),
            Some(("admin".to_owned(), vec!["system:masters".to_owned()]))
        );
    }
}
