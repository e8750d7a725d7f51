//! Bundles from what exists already: a control plane configuration, a Kubernetes PKI directory.

use std::fs;
use std::io;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::encryption;
use super::key::{KeyUse, PrivateKey};
use super::pem::{self, CertificateAndKey};
use super::validate::check_pair;
use super::{SecretsBundle, non_empty};
use crate::config::{MachineConfig, VersionContract};
use crate::error::{Error, ErrorKind, Result};
use crate::go::yaml::Node;

const FROM_CONFIG: &str = "extract secrets from machine configuration";
const FROM_PKI: &str = "read Kubernetes PKI";

/// Taking over an existing cluster.
impl SecretsBundle {
    /// Extracts the bundle a control plane configuration was generated from.
    ///
    /// Nothing is generated. A configuration without one of the tokens, authorities or keys is refused, so that a worker
    /// configuration or a patch is not taken for the whole: the reference writes a bundle with empty fields for it. Whether
    /// the keys can be read, and what a cluster may do without (the discovery identity, the encryption of secrets), is checked
    /// by [`SecretsBundle::validate`] only.
    ///
    /// # Errors
    /// `InvalidDocument` when there is no `v1alpha1` document, when a certificate or key in it is not base64, and when
    /// something is missing: the message lists the fields.
    pub fn from_controlplane_config(config: &MachineConfig) -> Result<Self> {
        let root = config
            .v1alpha1()
            .ok_or_else(|| extraction_failed("", "no v1alpha1 document"))?;
        let identity = config
            .of_kind("DiscoveryIdentityConfig")
            .next()
            .map(|document| document.node());
        // The identity in the v1alpha1 document wins, everything else in documents of their own does.
        let is_identified = ["id", "secret"]
            .iter()
            .any(|key| !text(root, &["cluster", key]).is_empty());
        let identity_text = |document_key: &str, key: &str| match identity {
            Some(node) if !is_identified => text(node, &[document_key]),
            _ => text(root, &["cluster", key]),
        };
        let secretbox = secretbox_key(config)?
            .unwrap_or_else(|| text(root, &["cluster", "secretboxEncryptionSecret"]).to_owned());
        let service_account = match document_pem(
            config,
            "KubeServiceAccountConfig",
            &["issuer", "privateKey"],
        ) {
            Some(key) => Some(SecretString::from(key)),
            None => encoded_key(root, &["cluster", "serviceAccount"])?,
        };
        let bundle = Self {
            cluster_id: identity_text("clusterID", "id").to_owned(),
            cluster_secret: SecretString::from(identity_text("clusterSecret", "secret")),
            bootstrap_token: SecretString::from(bootstrap_token(text(root, &["cluster", "token"]))),
            aescbc_encryption_secret: non_empty(SecretString::from(text(
                root,
                &["cluster", "aescbcEncryptionSecret"],
            ))),
            secretbox_encryption_secret: non_empty(SecretString::from(secretbox)),
            trustd_token: SecretString::from(text(root, &["machine", "token"])),
            etcd: encoded_pair(root, &["cluster", "etcd", "ca"])?,
            kubernetes: authority(config, "KubeAPIServerCAConfig", root, "ca")?,
            aggregator: authority(config, "KubeAggregatorCAConfig", root, "aggregatorCA")?,
            service_account,
            os: encoded_pair(root, &["machine", "ca"])?,
        };
        let missing = bundle.missing_fields();
        if missing.is_empty() {
            Ok(bundle)
        } else {
            Err(Error::new(ErrorKind::InvalidDocument, FROM_CONFIG)
                .with_message(format!("the configuration lacks {}", missing.join(", "))))
        }
    }

    /// The fields of a control plane configuration that gave nothing, by the names they have in the `v1alpha1` document.
    fn missing_fields(&self) -> Vec<String> {
        let bootstrap_token = self.bootstrap_token.expose_secret();
        let tokens = [
            (
                "machine.token",
                self.trustd_token.expose_secret().is_empty(),
            ),
            ("cluster.token", matches!(bootstrap_token, "" | ".")),
        ];
        let authorities = [
            ("machine.ca", &self.os),
            ("cluster.ca", &self.kubernetes),
            ("cluster.aggregatorCA", &self.aggregator),
            ("cluster.etcd.ca", &self.etcd),
        ];
        let mut missing: Vec<String> = tokens
            .into_iter()
            .filter(|(_, is_missing)| *is_missing)
            .map(|(name, _)| name.to_owned())
            .collect();
        for (name, authority) in authorities {
            let Some(pair) = authority else {
                missing.push(name.to_owned());
                continue;
            };
            if pair.certificate_pem().is_empty() {
                missing.push(format!("{name}.crt"));
            }
            if pair.key_pem().expose_secret().is_empty() {
                missing.push(format!("{name}.key"));
            }
        }
        match &self.service_account {
            None => missing.push("cluster.serviceAccount".to_owned()),
            Some(key) if key.expose_secret().is_empty() => {
                missing.push("cluster.serviceAccount.key".to_owned());
            }
            Some(_) => {}
        }
        missing
    }

    /// Takes the authorities and the service account key of a kubeadm cluster and generates the rest.
    ///
    /// Reads `ca`, `etcd/ca` and `front-proxy-ca` (each `.crt` and `.key`) and `sa.key` below `directory`; the files are kept
    /// byte for byte. `bootstrap_token` is generated when it is empty. Blocks for a few milliseconds: no RSA key is made.
    ///
    /// # Errors
    /// `NotFound` when the directory or a file is missing; `InvalidInput` when a file cannot be read, with the reference's text.
    pub fn from_kubernetes_pki(
        directory: &Path,
        bootstrap_token: SecretString,
        contract: VersionContract,
    ) -> Result<Self> {
        let shown = directory.display();
        let metadata =
            fs::metadata(directory).map_err(|source| not_read("stat", directory, source))?;
        if !metadata.is_dir() {
            return Err(Error::new(ErrorKind::InvalidInput, FROM_PKI)
                .with_message(format!("{:?} is not a directory", shown.to_string())));
        }
        let kubernetes = pair_from_files(directory, "ca")?;
        let etcd = pair_from_files(&directory.join("etcd"), "ca")?;
        let aggregator = pair_from_files(directory, "front-proxy-ca")?;
        let path = directory.join("sa.key");
        let service_account = SecretString::from(read(&path)?);
        PrivateKey::parse(&service_account, KeyUse::Bare).map_err(|text| malformed(&path, text))?;
        Self::builder(contract)
            .kubernetes_pki(kubernetes, etcd, aggregator)
            .service_account_key(service_account)
            .bootstrap_token(bootstrap_token)
            .generate_blocking()
    }
}

fn text<'a>(node: &'a Node, path: &[&str]) -> &'a str {
    node.path(path).and_then(Node::as_str).unwrap_or_default()
}

/// The reference splits the token and joins it again; what has not two parts becomes two empty ones.
fn bootstrap_token(token: &str) -> &str {
    if token.matches('.').count() == 1 {
        token
    } else {
        "."
    }
}

/// An authority from its own document (v1.14, plain PEM text) or from the cluster section (base64).
fn authority(
    config: &MachineConfig,
    kind: &str,
    root: &Node,
    key: &str,
) -> Result<Option<CertificateAndKey>> {
    if config.of_kind(kind).next().is_none() {
        return encoded_pair(root, &["cluster", key]);
    }
    let certificate = document_pem(config, kind, &["issuingCA", "cert"]);
    let key = document_pem(config, kind, &["issuingCA", "key"]);
    Ok(certificate.map(|certificate| {
        CertificateAndKey::new(certificate, SecretString::from(key.unwrap_or_default()))
    }))
}

fn document_pem<'a>(config: &'a MachineConfig, kind: &str, path: &[&str]) -> Option<&'a str> {
    let document = config
        .documents()
        .iter()
        .find(|document| document.kind() == kind)?;
    document.node().path(path)?.as_str()
}

fn encoded_pair(root: &Node, path: &[&str]) -> Result<Option<CertificateAndKey>> {
    let Some(node) = root.path(path).filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let certificate = pem::decode(text(node, &["crt"]))
        .map_err(|cause| extraction_failed(&path.join("."), &cause))?;
    let key = pem::decode_key(text(node, &["key"]))
        .map_err(|cause| extraction_failed(&path.join("."), &cause))?;
    Ok(Some(CertificateAndKey::new(certificate, key)))
}

fn encoded_key(root: &Node, path: &[&str]) -> Result<Option<SecretString>> {
    let Some(node) = root.path(path).filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let key = pem::decode_key(text(node, &["key"]))
        .map_err(|cause| extraction_failed(&path.join("."), &cause))?;
    Ok(Some(key))
}

/// The secretbox key of the document that v1.14 has for it.
fn secretbox_key(config: &MachineConfig) -> Result<Option<String>> {
    let document = config.of_kind("KubeEtcdEncryptionConfig").next();
    let Some(settings) = document.and_then(|document| document.node().get("config")) else {
        return Ok(None);
    };
    encryption::secretbox_key(settings).map_err(|text| {
        Error::new(ErrorKind::InvalidDocument, FROM_CONFIG)
            .with_target("KubeEtcdEncryptionConfig")
            .with_message(text)
    })
}

fn extraction_failed(path: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidDocument, FROM_CONFIG)
        .with_target(path)
        .with_message(format!("failed to load controlplane config: {text}"))
}

fn pair_from_files(directory: &Path, name: &str) -> Result<CertificateAndKey> {
    let certificate_path = directory.join(format!("{name}.crt"));
    let certificate = read(&certificate_path)?;
    let key = SecretString::from(read(&directory.join(format!("{name}.key")))?);
    let pair = CertificateAndKey::new(certificate, key);
    check_pair(&pair).map_err(|text| malformed(&certificate_path, text))?;
    Ok(pair)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| not_read("open", path, source))
}

fn malformed(path: &Path, text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, FROM_PKI)
        .with_target(path.display().to_string())
        .with_message(text)
}

fn not_read(verb: &str, path: &Path, source: io::Error) -> Error {
    let (kind, cause) = match source.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "no such file or directory"),
        io::ErrorKind::PermissionDenied => (ErrorKind::InvalidInput, "permission denied"),
        io::ErrorKind::InvalidData => (ErrorKind::InvalidInput, "failed to parse PEM block"),
        _ => (ErrorKind::InvalidInput, "cannot be read"),
    };
    Error::new(kind, FROM_PKI)
        .with_message(format!("{verb} {}: {cause}", path.display()))
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old_bundle() -> SecretsBundle {
        SecretsBundle::generate_blocking(VersionContract::new(1, 6)).unwrap()
    }

    fn write_pki(directory: &Path, bundle: &SecretsBundle) {
        fs::create_dir(directory.join("etcd")).unwrap();
        for (name, pair) in [
            ("ca", bundle.kubernetes_ca()),
            ("etcd/ca", bundle.etcd_ca()),
            ("front-proxy-ca", bundle.aggregator_ca()),
        ] {
            let pair = pair.unwrap();
            fs::write(
                directory.join(format!("{name}.crt")),
                pair.certificate_pem(),
            )
            .unwrap();
            fs::write(
                directory.join(format!("{name}.key")),
                pair.key_pem().expose_secret(),
            )
            .unwrap();
        }
        fs::write(
            directory.join("sa.key"),
            bundle.service_account_key().unwrap().expose_secret(),
        )
        .unwrap();
    }

    fn refusal(config: &str) -> String {
        let config = MachineConfig::parse(config).unwrap();
        let error = SecretsBundle::from_controlplane_config(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDocument);
        error.message().to_owned()
    }

    #[test]
    fn a_partial_configuration_is_refused_with_what_is_missing() {
        assert_eq!(
            refusal("machine: {type: controlplane, token: a.b}\ncluster: {etcd: {}}\n"),
            "the configuration lacks cluster.token, machine.ca, cluster.ca, cluster.aggregatorCA, cluster.etcd.ca, \
             cluster.serviceAccount"
        );
        assert_eq!(
            refusal(
                "machine: {ca: {crt: YQ==, key: ''}}\n\
                 cluster: {token: a, ca: {key: YQ==}, aggregatorCA: {crt: YQ==, key: YQ==}, serviceAccount: {}}\n"
            ),
            "the configuration lacks machine.token, cluster.token, machine.ca.key, cluster.ca.crt, cluster.etcd.ca, \
             cluster.serviceAccount.key"
        );
        assert!(refusal("machine: {}\n").starts_with("the configuration lacks machine.token, "));
    }

    #[test]
    fn a_kubernetes_pki_is_taken_over_and_the_rest_is_generated() {
        let existing = old_bundle();
        let directory = tempfile::tempdir().unwrap();
        write_pki(directory.path(), &existing);

        let bundle = SecretsBundle::from_kubernetes_pki(
            directory.path(),
            "abcdef.0123456789abcdef".into(),
            VersionContract::V1_10,
        )
        .unwrap();

        bundle.validate().unwrap();
        assert_eq!(
            bundle.bootstrap_token().expose_secret(),
            "abcdef.0123456789abcdef"
        );
        assert_eq!(
            bundle.etcd_ca().unwrap().certificate_pem(),
            existing.etcd_ca().unwrap().certificate_pem()
        );
        assert_ne!(
            bundle.os_ca().unwrap().certificate_pem(),
            existing.os_ca().unwrap().certificate_pem()
        );
    }

    #[test]
    fn what_is_missing_in_a_kubernetes_pki_is_named() {
        let directory = tempfile::tempdir().unwrap();
        write_pki(directory.path(), &old_bundle());
        let key = directory.path().join("front-proxy-ca.key");
        fs::remove_file(&key).unwrap();

        let read = |path: &Path| {
            SecretsBundle::from_kubernetes_pki(path, "".into(), VersionContract::V1_10).unwrap_err()
        };

        let missing = read(directory.path());
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(
            missing.message(),
            format!("open {}: no such file or directory", key.display())
        );
        let file = directory.path().join("sa.key");
        assert_eq!(
            read(&file).message(),
            format!("{:?} is not a directory", file.display().to_string())
        );
        fs::write(&key, "nothing").unwrap();
        assert_eq!(
            read(directory.path()).message(),
            "failed to parse PEM block"
        );
    }
}
