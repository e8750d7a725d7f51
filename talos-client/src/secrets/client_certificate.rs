//! Client certificates for the Talos API, signed by a bundle's authority.

use std::time::Duration;

use aws_lc_rs::hkdf;
use jiff::Timestamp;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::SecretsBundle;
use super::key::{KeyOperationFailed, KeyUse, PrivateKey};
use super::pem::CertificateAndKey;
use super::pki::{self, Authority, ClientProfile, Validity};
use super::role::Role;
use crate::Credentials;
use crate::error::{Error, ErrorKind, Result};

const ISSUE: &str = "issue client certificate";
/// How long the reference lets a client certificate be valid: 8760 hours.
const DEFAULT_TTL: Duration = Duration::from_secs(8760 * 3600);
/// Separates keys derived here from anything else derived from the same seed. Changing it changes every derived certificate.
const DERIVATION_SALT: &[u8] = b"talos-client/client-certificate/v1";

/// A client certificate that is yet to be issued.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientCertificateRequest {
    authority: Option<CertificateAndKey>,
    roles: Vec<Role>,
    ttl: Duration,
    not_before: Option<Timestamp>,
}

impl ClientCertificateRequest {
    pub(super) fn new(bundle: &SecretsBundle, role: Role) -> Self {
        Self {
            authority: bundle.os_ca().cloned(),
            roles: vec![role],
            ttl: DEFAULT_TTL,
            not_before: None,
        }
    }

    /// Gives the bearer another role as well.
    pub fn role(mut self, role: Role) -> Self {
        if !self.roles.contains(&role) {
            self.roles.push(role);
        }
        self
    }

    /// Lets the certificate be valid for this long instead of 8760 hours. Fractions of a second are dropped.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Lets the certificate become valid at this time instead of now. Fractions of a second are dropped.
    pub const fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Issues a certificate for a new key, different with every call.
    ///
    /// An authority with an RSA key, which Talos never generates, takes seconds because the new key is RSA 4096 too.
    ///
    /// # Errors
    /// `InvalidInput` when the bundle has no usable Talos authority or the validity is out of range; `Server` when the operating
    /// system's random source fails.
    pub fn issue(self) -> Result<ClientCertificate> {
        let authority = self.signing_authority()?;
        let key = PrivateKey::generate(authority.key.family()).map_err(failed)?;
        let serial = pki::random().map_err(failed)?;
        let not_before = self.not_before.unwrap_or_else(Timestamp::now);
        self.sign(&authority, &key, serial, not_before)
    }

    /// Issues a certificate whose key and serial number follow from the authority's key, the roles, the lifetime and `not_before`:
    /// the same input gives the same certificate, byte for byte.
    ///
    /// Use it where a certificate is stored again and again and should only change when it is renewed. Renew by a later `not_before`.
    ///
    /// # Errors
    /// As [`ClientCertificateRequest::issue`]; `Unsupported` when the authority's key is not Ed25519.
    pub fn derive(self, not_before: Timestamp) -> Result<ClientCertificate> {
        let authority = self.signing_authority()?;
        let seed = authority.key.ed25519_seed().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, ISSUE)
                .with_message("only an Ed25519 authority signs the same way twice")
        })?;
        let context = self.derivation_context(not_before);
        let mut derived = Zeroizing::new([0; 48]);
        expand(&seed, context.as_bytes(), derived.as_mut_slice()).map_err(failed)?;
        let (key_seed, serial) = derived.split_at(32);
        let key = Zeroizing::new(<[u8; 32]>::try_from(key_seed).unwrap_or_default());
        let key = PrivateKey::from_ed25519_seed(&key).map_err(failed)?;
        self.sign(
            &authority,
            &key,
            serial.try_into().unwrap_or_default(),
            not_before,
        )
    }

    fn derivation_context(&self, not_before: Timestamp) -> String {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        format!(
            "{} {} {}",
            not_before.as_second(),
            self.ttl.as_secs(),
            roles.join(" ")
        )
    }

    fn signing_authority(&self) -> Result<Authority> {
        let refused = |text: String| {
            Error::new(ErrorKind::InvalidInput, ISSUE)
                .with_target("certs.os")
                .with_message(text)
        };
        let pair = self
            .authority
            .as_ref()
            .ok_or_else(|| refused("certs.os is required".to_owned()))?;
        let key = PrivateKey::parse(pair.key_pem(), KeyUse::OfCertificate).map_err(refused)?;
        Authority::new(pair.certificate_pem(), key).map_err(refused)
    }

    fn sign(
        &self,
        authority: &Authority,
        key: &PrivateKey,
        serial: [u8; 16],
        not_before: Timestamp,
    ) -> Result<ClientCertificate> {
        let out_of_range = |source| {
            Error::new(ErrorKind::InvalidInput, ISSUE)
                .with_message("validity is out of range")
                .with_source(source)
        };
        let seconds =
            |time: Timestamp| Timestamp::from_second(time.as_second()).map_err(out_of_range);
        let validity = Validity {
            not_before: seconds(not_before)?,
            not_after: seconds(not_before.checked_add(self.ttl).map_err(out_of_range)?)?,
        };
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        let profile = ClientProfile {
            organizations: &roles,
            not_before: validity.not_before,
            not_after: validity.not_after,
            serial,
        };
        let pair = pki::issue_client(authority, key, &profile).map_err(failed)?;
        let ca = self
            .authority
            .as_ref()
            .map(|authority| authority.certificate_pem().to_owned());
        Ok(ClientCertificate {
            ca: ca.unwrap_or_default(),
            pair,
            validity,
            roles: roles.into_iter().map(str::to_owned).collect(),
        })
    }
}

fn failed(source: KeyOperationFailed) -> Error {
    Error::new(ErrorKind::Server, ISSUE).with_source(source)
}

/// The length of derived material.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(seed: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), KeyOperationFailed> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, DERIVATION_SALT).extract(seed);
    secret.expand(&[context], Length(out.len()))?.fill(out)?;
    Ok(())
}

/// A client certificate for the Talos API, with its key and the authority that nodes are verified with.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    ca: String,
    pair: CertificateAndKey,
    validity: Validity,
    roles: Vec<String>,
}

impl ClientCertificate {
    /// Takes certificates and key that exist already, all as PEM text.
    ///
    /// # Errors
    /// `InvalidInput` when the client certificate cannot be read, with the reference's text. The key and the authority are not
    /// looked at.
    pub fn from_pem(
        ca: impl Into<String>,
        certificate: impl Into<String>,
        key: SecretString,
    ) -> Result<Self> {
        let pair = CertificateAndKey::new(certificate, key);
        let (validity, roles) = pki::inspect(pair.certificate_pem()).map_err(|text| {
            Error::new(ErrorKind::InvalidInput, "read client certificate").with_message(text)
        })?;
        Ok(Self {
            ca: ca.into(),
            pair,
            validity,
            roles,
        })
    }

    /// The authority that signed this certificate and those of the nodes, as PEM text.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        self.pair.certificate_pem()
    }

    /// The private key as PEM text; see [`CertificateAndKey::key_pem`] for its label.
    #[must_use]
    pub fn key_pem(&self) -> &SecretString {
        self.pair.key_pem()
    }

    /// The same as the identity of a [`Client`](crate::Client).
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(
            self.ca_pem(),
            self.certificate_pem(),
            self.key_pem().clone(),
        )
    }

    /// From when on nodes accept it.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.validity.not_before
    }

    /// Until when nodes accept it.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.validity.not_after
    }

    /// Whether it is expired at `now` or will be after `margin`: time to issue another one.
    #[must_use]
    pub fn expires_within(&self, now: Timestamp, margin: Duration) -> bool {
        now.checked_add(margin)
            .map_or(true, |end| end >= self.validity.not_after)
    }

    /// The roles the bearer has, as the certificate names them.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::VersionContract;

    fn bundle() -> SecretsBundle {
        SecretsBundle::generate_blocking(VersionContract::new(1, 6)).unwrap()
    }

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.9Z".parse().unwrap()
    }

    #[test]
    fn a_certificate_is_valid_for_a_year_of_365_days_from_a_whole_second() {
        let issued = bundle()
            .client_certificate(Role::Admin)
            .not_before(noon())
            .issue()
            .unwrap();

        assert_eq!(issued.not_before().to_string(), "2026-11-22T12:00:00Z");
        assert_eq!(issued.not_after().to_string(), "2027-11-22T12:00:00Z");
        assert_eq!(issued.roles(), ["os:admin"]);
        assert!(!issued.expires_within(noon(), Duration::from_secs(3600)));
        assert!(issued.expires_within(noon() + 8759.hours(), Duration::from_secs(3600)));
        assert!(!format!("{issued:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_read_back_from_the_certificate_is_what_was_asked_for() {
        let issued = bundle()
            .client_certificate(Role::Reader)
            .role(Role::EtcdBackup)
            .role(Role::Reader)
            .ttl(Duration::from_secs(600))
            .issue()
            .unwrap();

        let read =
            ClientCertificate::from_pem("", issued.certificate_pem(), issued.key_pem().clone())
                .unwrap();

        let mut roles = read.roles().to_vec();
        roles.sort_unstable();
        assert_eq!(roles, ["os:etcd:backup", "os:reader"]);
        assert_eq!(
            (read.not_before(), read.not_after()),
            (issued.not_before(), issued.not_after())
        );
    }

    #[test]
    fn derived_certificates_repeat_and_issued_ones_do_not() {
        let bundle = bundle();
        let request = bundle.client_certificate(Role::Admin);
        let derive = |time| request.clone().derive(time).unwrap();

        let (first, again, renewed) = (derive(noon()), derive(noon()), derive(noon() + 1.hours()));

        assert_eq!(first.certificate_pem(), again.certificate_pem());
        assert_eq!(
            first.key_pem().expose_secret(),
            again.key_pem().expose_secret()
        );
        assert_ne!(
            first.key_pem().expose_secret(),
            renewed.key_pem().expose_secret()
        );
        let issued = [request.clone().issue().unwrap(), request.issue().unwrap()];
        assert_ne!(issued[0].certificate_pem(), issued[1].certificate_pem());
    }

    #[test]
    fn other_roles_or_another_bundle_derive_another_key() {
        let one = bundle();
        let key = |request: ClientCertificateRequest| {
            request
                .derive(noon())
                .unwrap()
                .key_pem()
                .expose_secret()
                .to_owned()
        };

        let admin = key(one.client_certificate(Role::Admin));

        assert_ne!(admin, key(one.client_certificate(Role::Reader)));
        assert_ne!(
            admin,
            key(one
                .client_certificate(Role::Admin)
                .ttl(Duration::from_secs(60)))
        );
        assert_ne!(admin, key(bundle().client_certificate(Role::Admin)));
    }

    #[test]
    fn a_bundle_without_authority_cannot_issue() {
        let mut bundle = bundle();
        bundle.os = None;

        let error = bundle.client_certificate(Role::Admin).issue().unwrap_err();

        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::InvalidInput, "certs.os is required")
        );
    }
}
