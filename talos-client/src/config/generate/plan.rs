//! What the input means for one release and contract.

use secrecy::{ExposeSecret, SecretString};

use super::input::GenerateInput;
use crate::config::VersionContract;
use crate::error::{Error, ErrorKind, Result};
use crate::secrets::{CertificateAndKey, SecretsBundle};

/// The input with all defaults resolved and all secrets at hand.
pub(super) struct Plan<'a> {
    pub(super) input: &'a GenerateInput,
    /// What the documents are written for.
    pub(super) contract: VersionContract,
    /// Which release's generator is followed.
    pub(super) generator: VersionContract,
    /// Without `v`; empty to leave all images out.
    pub(super) kubernetes: String,
    pub(super) install_image: String,
    pub(super) secrets: Secrets<'a>,
}

/// The secrets of a complete bundle.
pub(super) struct Secrets<'a> {
    pub(super) bundle: &'a SecretsBundle,
    pub(super) os: &'a CertificateAndKey,
    pub(super) kubernetes: &'a CertificateAndKey,
    pub(super) aggregator: &'a CertificateAndKey,
    pub(super) etcd: &'a CertificateAndKey,
    pub(super) service_account: &'a SecretString,
}

impl<'a> Plan<'a> {
    pub(super) fn new(input: &'a GenerateInput) -> Result<Self> {
        let talos = &input.talos_version;
        let generator = talos.generator();
        let contract = input.contract.unwrap_or(talos.contract()).min(generator);
        let kubernetes = match &input.kubernetes_version {
            Some(version) => version.strip_prefix('v').unwrap_or(version).to_owned(),
            None => talos.default_components().kubernetes.to_owned(),
        };
        if kubernetes.is_empty() && generator.has_kubernetes_documents() {
            return Err(refused(
                "failed to generate config bundle: kubernetes version must be specified",
            ));
        }
        Ok(Self {
            input,
            contract,
            generator,
            kubernetes,
            install_image: input
                .install_image
                .clone()
                .unwrap_or_else(|| talos.default_install_image()),
            secrets: Secrets::of(&input.secrets)?,
        })
    }

    /// Whether the comments or examples of the reference's default output were asked for.
    /// Whether Kubernetes and etcd are left out, which older releases cannot do.
    pub(super) fn is_without_kubernetes(&self) -> bool {
        !self.input.kubernetes && self.generator.has_kubernetes_documents()
    }

    pub(super) const fn has_comments(&self) -> bool {
        self.input.with_docs || self.input.with_examples
    }

    /// An image with the tag of the Kubernetes version; empty without one.
    pub(super) fn kubernetes_image(&self, repository: &str) -> String {
        if self.kubernetes.is_empty() {
            String::new()
        } else {
            format!("{repository}:v{}", self.kubernetes)
        }
    }
}

impl<'a> Secrets<'a> {
    fn of(bundle: &'a SecretsBundle) -> Result<Self> {
        let complete = || {
            Some(Self {
                bundle,
                os: bundle.os_ca()?,
                kubernetes: bundle.kubernetes_ca()?,
                aggregator: bundle.aggregator_ca()?,
                etcd: bundle.etcd_ca()?,
                service_account: bundle.service_account_key()?,
            })
        };
        match complete() {
            Some(secrets) => Ok(secrets),
            None => Err(bundle
                .validate()
                .err()
                .unwrap_or_else(|| refused("secrets bundle is incomplete"))),
        }
    }
}

pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, "generate machine configuration").with_message(message)
}

/// The text of a secret, to be written into a document.
pub(super) fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}
