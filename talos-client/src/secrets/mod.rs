//! The secrets of a cluster: everything a `secrets.yaml` of `talosctl gen secrets` holds, and certificates signed with it.
//!
//! Losing the bundle means losing administrative access, and generating another one means another cluster: generate it once,
//! store it, and read it back.
//!
//! ```
//! use talos_client::config::VersionContract;
//! use talos_client::secrets::SecretsBundle;
//!
//! # fn main() -> Result<(), talos_client::Error> {
//! // A contract up to v1.6 has no RSA key, which takes a second or so to generate.
//! let bundle = SecretsBundle::generate_blocking(VersionContract::new(1, 6))?;
//! let stored = bundle.to_yaml();
//!
//! use secrecy::ExposeSecret;
//! let read = SecretsBundle::parse(stored.expose_secret())?;
//! assert_eq!(read.cluster_id(), bundle.cluster_id());
//! # Ok(())
//! # }
//! ```

mod certificate;
mod client_certificate;
mod der;
mod document;
mod encryption;
mod generate;
mod import;
mod key;
mod pem;
mod pki;
mod role;
mod token;
mod validate;

use std::fmt;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

pub use client_certificate::{ClientCertificate, ClientCertificateRequest};
pub use generate::SecretsBundleBuilder;
pub use pem::CertificateAndKey;
pub use role::Role;

pub(crate) use key::KeyUse;
pub(crate) use pem::{decode, encode, encode_key};
pub(crate) use validate::{check_certificate_text, check_key_text};

use crate::config::VersionContract;
use crate::error::{Error, ErrorKind, Result};

/// All secrets of one cluster.
///
/// A clone is a full copy. `Debug` shows no secret.
#[derive(Clone)]
pub struct SecretsBundle {
    cluster_id: String,
    cluster_secret: SecretString,
    bootstrap_token: SecretString,
    aescbc_encryption_secret: Option<SecretString>,
    secretbox_encryption_secret: Option<SecretString>,
    trustd_token: SecretString,
    etcd: Option<CertificateAndKey>,
    kubernetes: Option<CertificateAndKey>,
    aggregator: Option<CertificateAndKey>,
    service_account: Option<SecretString>,
    os: Option<CertificateAndKey>,
}

impl SecretsBundle {
    /// Generates all secrets for documents of this contract.
    ///
    /// Runs on a blocking thread of the tokio runtime; from contract v1.7 the RSA key of service accounts takes 0.2 to 4 seconds.
    /// Dropping the future stops the work after the key that is being made. Every call makes a different cluster.
    ///
    /// # Errors
    /// `Server` when the operating system's random source fails.
    pub async fn generate(contract: VersionContract) -> Result<Self> {
        Self::builder(contract).generate().await
    }

    /// Like [`SecretsBundle::generate`], on the calling thread.
    ///
    /// # Errors
    /// As [`SecretsBundle::generate`].
    pub fn generate_blocking(contract: VersionContract) -> Result<Self> {
        Self::builder(contract).generate_blocking()
    }

    /// Generates with some of the secrets given.
    pub fn builder(contract: VersionContract) -> SecretsBundleBuilder {
        SecretsBundleBuilder::new(contract)
    }

    /// The ID of the cluster in discovery: not secret on its own.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// What discovery data is encrypted with.
    #[must_use]
    pub fn cluster_secret(&self) -> &SecretString {
        &self.cluster_secret
    }

    /// The token kubelets join with.
    #[must_use]
    pub fn bootstrap_token(&self) -> &SecretString {
        &self.bootstrap_token
    }

    /// The token workers ask for certificates with.
    #[must_use]
    pub fn trustd_token(&self) -> &SecretString {
        &self.trustd_token
    }

    /// What Kubernetes secrets in etcd are encrypted with, up to contract v1.2.
    #[must_use]
    pub fn aescbc_encryption_secret(&self) -> Option<&SecretString> {
        self.aescbc_encryption_secret.as_ref()
    }

    /// What Kubernetes secrets in etcd are encrypted with, from contract v1.3.
    #[must_use]
    pub fn secretbox_encryption_secret(&self) -> Option<&SecretString> {
        self.secretbox_encryption_secret.as_ref()
    }

    /// The authority of etcd; missing in a bundle from a worker configuration.
    #[must_use]
    pub fn etcd_ca(&self) -> Option<&CertificateAndKey> {
        self.etcd.as_ref()
    }

    /// The authority of Kubernetes; without key in a bundle from a worker configuration.
    #[must_use]
    pub fn kubernetes_ca(&self) -> Option<&CertificateAndKey> {
        self.kubernetes.as_ref()
    }

    /// The authority of the API aggregation layer; missing in a bundle from a worker configuration.
    #[must_use]
    pub fn aggregator_ca(&self) -> Option<&CertificateAndKey> {
        self.aggregator.as_ref()
    }

    /// The key service account tokens are signed with, as PEM text; missing in a bundle from a worker configuration.
    #[must_use]
    pub fn service_account_key(&self) -> Option<&SecretString> {
        self.service_account.as_ref()
    }

    /// The authority of the Talos API; without key in a bundle from a worker configuration.
    #[must_use]
    pub fn os_ca(&self) -> Option<&CertificateAndKey> {
        self.os.as_ref()
    }

    /// When the authority of the Talos API becomes valid: for a generated bundle, when it was made.
    ///
    /// # Errors
    /// `InvalidDocument` when there is no such certificate or it cannot be read.
    pub fn created_at(&self) -> Result<Timestamp> {
        let authority = self.os.as_ref().ok_or("certs.os is required".to_owned());
        authority
            .and_then(|authority| pki::inspect(authority.certificate_pem()))
            .map(|(validity, _)| validity.not_before)
            .map_err(|text| {
                Error::new(ErrorKind::InvalidDocument, "read Talos authority").with_message(text)
            })
    }

    /// A client certificate for the Talos API, to be issued by this bundle's authority.
    pub fn client_certificate(&self, role: Role) -> ClientCertificateRequest {
        ClientCertificateRequest::new(self, role)
    }
}

impl fmt::Debug for SecretsBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsBundle")
            .field("cluster_id", &self.cluster_id)
            .finish_non_exhaustive()
    }
}

/// An optional secret; the reference knows no difference between missing and empty.
fn non_empty(secret: SecretString) -> Option<SecretString> {
    (!secret.expose_secret().is_empty()).then_some(secret)
}
