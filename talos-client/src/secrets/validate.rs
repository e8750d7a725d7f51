//! What a bundle must hold before anything is generated from it.

use secrecy::{ExposeSecret, SecretString};

use super::SecretsBundle;
use super::key::{KeyUse, PrivateKey};
use super::pem::CertificateAndKey;
use super::pki;
use crate::config::VersionContract;
use crate::error::{Error, ErrorKind, Result};
use crate::go::text::multi_error;

/// Which sections a document had; the reference words a missing section differently from empty fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections {
    pub(super) cluster: bool,
    pub(super) secrets: bool,
    pub(super) trustdinfo: bool,
    pub(super) certs: bool,
}

impl Sections {
    pub(super) const ALL: Self = Self {
        cluster: true,
        secrets: true,
        trustdinfo: true,
        certs: true,
    };
}

impl SecretsBundle {
    /// Checks that the bundle is complete and its keys and certificates can be read, as Talos v1.11 and newer do.
    ///
    /// Whether a key belongs to its certificate is not checked. A bundle from a worker configuration is never valid.
    ///
    /// # Errors
    /// `Validation` with all findings in the reference's text.
    pub fn validate(&self) -> Result<()> {
        self.validate_sections(Sections::ALL, VersionContract::V1_11)
    }

    pub(super) fn validate_sections(
        &self,
        present: Sections,
        release: VersionContract,
    ) -> Result<()> {
        let mut findings = Vec::new();
        self.check_cluster(present.cluster, &mut findings);
        self.check_secrets(present.secrets, &mut findings);
        if !present.trustdinfo {
            findings.push("trustdinfo is required".to_owned());
        } else if self.trustd_token.expose_secret().is_empty() {
            findings.push("trustdinfo.token is required".to_owned());
        }
        if present.certs {
            self.check_certs(release, &mut findings);
        } else {
            findings.push("certs is required".to_owned());
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::Validation, "validate secrets bundle").with_message(format!(
                "failed to validate secrets bundle: {}",
                multi_error(&findings)
            )),
        )
    }

    fn check_cluster(&self, present: bool, findings: &mut Vec<String>) {
        if !present {
            findings.push("cluster is required".to_owned());
            return;
        }
        if self.cluster_id.is_empty() {
            findings.push("cluster.id is required".to_owned());
        }
        if self.cluster_secret.expose_secret().is_empty() {
            findings.push("cluster.secret is required".to_owned());
        }
    }

    fn check_secrets(&self, present: bool, findings: &mut Vec<String>) {
        if !present {
            findings.push("secrets is required".to_owned());
            return;
        }
        if self.bootstrap_token.expose_secret().is_empty() {
            findings.push("secrets.bootstraptoken is required".to_owned());
        }
        let choice = "[secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret]";
        match (
            &self.secretbox_encryption_secret,
            &self.aescbc_encryption_secret,
        ) {
            (None, None) => findings.push(format!("one of {choice} is required")),
            (Some(_), Some(_)) => findings.push(format!("only one of {choice} is allowed")),
            _ => {}
        }
    }

    fn check_certs(&self, release: VersionContract, findings: &mut Vec<String>) {
        for (name, authority) in [
            ("etcd", &self.etcd),
            ("k8s", &self.kubernetes),
            ("k8saggregator", &self.aggregator),
        ] {
            check_authority(name, authority.as_ref(), findings);
        }
        // Since v1.14 what Kubernetes needs comes first.
        if release >= VersionContract::V1_14 {
            self.check_service_account(findings);
            check_authority("os", self.os.as_ref(), findings);
        } else {
            check_authority("os", self.os.as_ref(), findings);
            self.check_service_account(findings);
        }
    }

    fn check_service_account(&self, findings: &mut Vec<String>) {
        match &self.service_account {
            None => findings.push("certs.k8sserviceaccount is required".to_owned()),
            Some(key) => {
                if let Err(text) = PrivateKey::parse(key, KeyUse::Bare) {
                    findings.push(format!("certs.k8sserviceaccount.key is invalid: {text}"));
                }
            }
        }
    }
}

fn check_authority(name: &str, pair: Option<&CertificateAndKey>, findings: &mut Vec<String>) {
    match pair.map(check_pair) {
        None => findings.push(format!("certs.{name} is required")),
        Some(Err(text)) => findings.push(format!("certs.{name} is invalid: {text}")),
        Some(Ok(())) => {}
    }
}

/// Checks that a PEM text is a certificate; the error is the reference's text.
pub(crate) fn check_certificate_text(text: &str) -> Result<(), String> {
    pki::inspect(text).map(drop)
}

/// Checks that a PEM text is a private key; the error is the reference's text.
pub(crate) fn check_key_text(text: &SecretString, usage: KeyUse) -> Result<(), String> {
    PrivateKey::parse(text, usage).map(drop)
}

/// Checks that key and certificate can be read; the error is the reference's text.
pub(super) fn check_pair(pair: &CertificateAndKey) -> Result<(), String> {
    PrivateKey::parse(pair.key_pem(), KeyUse::OfCertificate)?;
    pki::inspect(pair.certificate_pem()).map(|_| ())
}
