//! Making a new bundle, key by key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use secrecy::SecretString;

use super::key::{KeyAlgorithm, KeyOperationFailed, KeyUse, PrivateKey};
use super::pem::CertificateAndKey;
use super::pki::{self, KeyIdentifier};
use super::{SecretsBundle, token};
use crate::config::VersionContract;
use crate::error::{Error, ErrorKind, Result};

const OPERATION: &str = "generate secrets";

/// What of a new bundle is given; the rest is generated.
#[derive(Debug, Clone)]
#[must_use]
pub struct SecretsBundleBuilder {
    contract: VersionContract,
    not_before: Option<Timestamp>,
    service_account_key: Option<SecretString>,
    bootstrap_token: Option<SecretString>,
    etcd: Option<CertificateAndKey>,
    kubernetes: Option<CertificateAndKey>,
    aggregator: Option<CertificateAndKey>,
}

/// The work was given up by the caller.
enum Stop {
    Cancelled,
    Failed(KeyOperationFailed),
}

impl From<KeyOperationFailed> for Stop {
    fn from(failed: KeyOperationFailed) -> Self {
        Self::Failed(failed)
    }
}

impl SecretsBundleBuilder {
    pub(super) const fn new(contract: VersionContract) -> Self {
        Self {
            contract,
            not_before: None,
            service_account_key: None,
            bootstrap_token: None,
            etcd: None,
            kubernetes: None,
            aggregator: None,
        }
    }

    /// Uses this key for service accounts instead of generating one: PEM text, kept byte for byte.
    pub fn service_account_key(mut self, key: SecretString) -> Self {
        self.service_account_key = Some(key);
        self
    }

    /// Uses this bootstrap token, of the form `abcdef.0123456789abcdef`; an empty one is generated.
    pub fn bootstrap_token(mut self, token: SecretString) -> Self {
        self.bootstrap_token = super::non_empty(token);
        self
    }

    /// Lets all authorities become valid at this time instead of now. Fractions of a second are dropped.
    pub const fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    pub(super) fn kubernetes_pki(
        mut self,
        kubernetes: CertificateAndKey,
        etcd: CertificateAndKey,
        aggregator: CertificateAndKey,
    ) -> Self {
        self.kubernetes = Some(kubernetes);
        self.etcd = Some(etcd);
        self.aggregator = Some(aggregator);
        self
    }

    /// Generates what was not given, on a blocking thread of the tokio runtime.
    ///
    /// Dropping the future stops the work after the key that is being made.
    ///
    /// # Errors
    /// `InvalidInput` when the given key cannot be read; `Server` when the operating system's random source fails.
    pub async fn generate(self) -> Result<SecretsBundle> {
        let cancelled = CancelOnDrop::default();
        let flag = Arc::clone(&cancelled.0);
        let work = tokio::task::spawn_blocking(move || self.run(&flag));
        work.await
            .map_err(|source| Error::new(ErrorKind::Server, OPERATION).with_source(source))?
    }

    /// Generates what was not given, on the calling thread.
    ///
    /// # Errors
    /// As [`SecretsBundleBuilder::generate`].
    pub fn generate_blocking(self) -> Result<SecretsBundle> {
        self.run(&AtomicBool::new(false))
    }

    fn run(self, cancelled: &AtomicBool) -> Result<SecretsBundle> {
        if let Some(key) = &self.service_account_key {
            PrivateKey::parse(key, KeyUse::Bare).map_err(|text| {
                Error::new(ErrorKind::InvalidInput, OPERATION)
                    .with_target("service account key")
                    .with_message(text)
            })?;
        }
        self.make(cancelled).map_err(|stop| match stop {
            Stop::Cancelled => {
                Error::new(ErrorKind::Interrupted, OPERATION).with_message("cancelled")
            }
            Stop::Failed(source) => Error::new(ErrorKind::Server, OPERATION).with_source(source),
        })
    }

    fn make(self, cancelled: &AtomicBool) -> Result<SecretsBundle, Stop> {
        let now = self.not_before.unwrap_or_else(Timestamp::now);
        let identifier = if self.contract.has_random_key_identifiers() {
            KeyIdentifier::Random
        } else {
            KeyIdentifier::Sha1
        };
        let authority = |given: Option<CertificateAndKey>, organization, algorithm| {
            check(cancelled)?;
            let made = given.map_or_else(
                || pki::new_authority(organization, algorithm, identifier, now),
                Ok,
            );
            made.map(Some).map_err(Stop::from)
        };
        let os = authority(None, Some("talos"), KeyAlgorithm::Ed25519)?;
        let etcd = authority(self.etcd, Some("etcd"), KeyAlgorithm::EcdsaP256)?;
        let kubernetes = authority(self.kubernetes, Some("kubernetes"), KeyAlgorithm::EcdsaP256)?;
        let aggregator = authority(self.aggregator, None, KeyAlgorithm::EcdsaP256)?;
        let encryption_secret = token::secret()?;
        let (aescbc, secretbox) = if self.contract.uses_secretbox_encryption() {
            (None, Some(encryption_secret))
        } else {
            (Some(encryption_secret), None)
        };
        check(cancelled)?;
        let service_account = match self.service_account_key {
            Some(key) => key,
            None => PrivateKey::generate(service_account_algorithm(self.contract))?.to_pem()?,
        };
        Ok(SecretsBundle {
            cluster_id: token::cluster_id()?,
            cluster_secret: token::secret()?,
            bootstrap_token: self.bootstrap_token.map_or_else(token::token, Ok)?,
            aescbc_encryption_secret: aescbc,
            secretbox_encryption_secret: secretbox,
            trustd_token: token::token()?,
            etcd,
            kubernetes,
            aggregator,
            service_account: Some(service_account),
            os,
        })
    }
}

const fn service_account_algorithm(contract: VersionContract) -> KeyAlgorithm {
    if contract.uses_rsa_service_account_key() {
        KeyAlgorithm::Rsa4096
    } else {
        KeyAlgorithm::EcdsaP256
    }
}

fn check(cancelled: &AtomicBool) -> Result<(), Stop> {
    if cancelled.load(Ordering::Relaxed) {
        Err(Stop::Cancelled)
    } else {
        Ok(())
    }
}

#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const OLD: VersionContract = VersionContract::new(1, 6);

    #[test]
    fn the_encryption_secret_follows_the_contract() {
        let old = SecretsBundle::generate_blocking(VersionContract::new(1, 2)).unwrap();
        assert!(
            old.aescbc_encryption_secret().is_some() && old.secretbox_encryption_secret().is_none()
        );
        let new = SecretsBundle::generate_blocking(VersionContract::new(1, 3)).unwrap();
        assert!(
            new.aescbc_encryption_secret().is_none() && new.secretbox_encryption_secret().is_some()
        );
    }

    #[test]
    fn old_contracts_have_an_ecdsa_service_account_key() {
        let bundle = SecretsBundle::generate_blocking(OLD).unwrap();

        let key = bundle.service_account_key().unwrap().expose_secret();
        assert!(key.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    }

    #[test]
    fn a_given_service_account_key_is_kept_byte_for_byte() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256)
            .unwrap()
            .to_pem()
            .unwrap();
        let odd = format!("# made elsewhere\n{}", key.expose_secret());

        let bundle = SecretsBundle::builder(VersionContract::V1_10)
            .service_account_key(SecretString::from(odd.clone()))
            .generate_blocking()
            .unwrap();

        assert_eq!(bundle.service_account_key().unwrap().expose_secret(), odd);
    }

    #[test]
    fn a_service_account_key_that_cannot_be_read_is_refused() {
        let error = SecretsBundle::builder(OLD)
            .service_account_key(SecretString::from("canary"))
            .generate_blocking()
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.message(), "failed to parse PEM block");
    }

    #[test]
    fn cancelled_work_stops_before_the_next_key() {
        let error = SecretsBundle::builder(OLD)
            .run(&AtomicBool::new(true))
            .unwrap_err();

        assert_eq!(error.message(), "cancelled");
    }

    #[tokio::test]
    async fn generating_does_not_block_the_async_thread() {
        let bundle = SecretsBundle::generate(OLD).await.unwrap();

        assert_eq!(bundle.cluster_id().len(), 44);
        assert!(!format!("{bundle:?}").contains("PRIVATE"));
    }
}
