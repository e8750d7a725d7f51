//! Reading and writing `secrets.yaml`.

use secrecy::{ExposeSecret, SecretString};

use super::pem::{self, CertificateAndKey};
use super::validate::Sections;
use super::{SecretsBundle, non_empty};
use crate::config::{Schema, TalosVersion, VersionContract, check_bundle};
use crate::error::{Error, ErrorKind, Result};
use crate::go::yaml::{Dialect, Fields, Mismatch, Node, Stream, documents_to_yaml, parse_stream};

const OPERATION: &str = "read secrets bundle";
/// The release whose texts [`SecretsBundle::parse`] has.
const COMMON: VersionContract = VersionContract::V1_11;

impl SecretsBundle {
    /// Reads a `secrets.yaml` and [validates](Self::validate) it, by the rules that releases share.
    ///
    /// Unknown keys and further documents are ignored. Talos v1.10 itself does not validate and fails later with a crash.
    ///
    /// # Errors
    /// `InvalidDocument` when the text is not such a document; `Validation` when something is missing or cannot be read. The
    /// message has the reference's text and never holds a secret.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(
            text,
            Schema::of_minor(COMMON.minor()),
            Dialect::Newest,
            COMMON,
        )
    }

    /// Reads a `secrets.yaml` as `gen config --with-secrets` of a Talos release does.
    ///
    /// The releases differ in what is YAML (v1.13 takes more), in what a text is (v1.14 refuses a date without quotes), and in
    /// how they say it. Unknown keys and further documents are ignored. v1.10 does not validate and fails later with a crash;
    /// here its bundles are checked as v1.11 checks them.
    ///
    /// # Errors
    /// As of [`SecretsBundle::parse`], with the texts of the release.
    pub fn load(text: &str, version: &TalosVersion) -> Result<Self> {
        let schema = Schema::of(version);
        Self::read(text, schema, schema.dialect(), version.generator())
    }

    fn read(
        text: &str,
        schema: &Schema,
        dialect: Dialect,
        release: VersionContract,
    ) -> Result<Self> {
        let Stream {
            documents, error, ..
        } = parse_stream(text, dialect);
        // What is behind the first document is not read.
        let root = match (documents.first(), error) {
            (Some(document), _) => &document.node,
            (None, Some(error)) => return Err(refused(error.target(), error.message())),
            (None, None) => return Err(refused("", "EOF")),
        };
        check_bundle(schema, root).map_err(|text| refused("", text))?;
        let root = Fields::root(root).map_err(mistyped)?;
        let (cluster, secrets) = (
            root.fields("cluster").map_err(mistyped)?,
            root.fields("secrets").map_err(mistyped)?,
        );
        let (trustdinfo, certs) = (
            root.fields("trustdinfo").map_err(mistyped)?,
            root.fields("certs").map_err(mistyped)?,
        );
        let present = Sections {
            cluster: cluster.is_present(),
            secrets: secrets.is_present(),
            trustdinfo: trustdinfo.is_present(),
            certs: certs.is_present(),
        };
        let bundle = Self {
            cluster_id: cluster.text("id").map_err(mistyped)?.to_owned(),
            cluster_secret: secret(&cluster, "secret")?,
            bootstrap_token: secret(&secrets, "bootstraptoken")?,
            aescbc_encryption_secret: non_empty(secret(&secrets, "aescbcencryptionsecret")?),
            secretbox_encryption_secret: non_empty(secret(&secrets, "secretboxencryptionsecret")?),
            trustd_token: secret(&trustdinfo, "token")?,
            etcd: pair(&certs, "etcd")?,
            kubernetes: pair(&certs, "k8s")?,
            aggregator: pair(&certs, "k8saggregator")?,
            service_account: bare_key(&certs, "k8sserviceaccount")?,
            os: pair(&certs, "os")?,
        };
        bundle.validate_sections(present, release)?;
        Ok(bundle)
    }

    /// The text of `secrets.yaml`, byte for byte as the reference writes it. Store it with mode 0600.
    #[must_use]
    pub fn to_yaml(&self) -> SecretString {
        let mut secrets = vec![("bootstraptoken", secret_node(&self.bootstrap_token))];
        if let Some(secret) = &self.aescbc_encryption_secret {
            secrets.push(("aescbcencryptionsecret", secret_node(secret)));
        }
        if let Some(secret) = &self.secretbox_encryption_secret {
            secrets.push(("secretboxencryptionsecret", secret_node(secret)));
        }
        let service_account = self
            .service_account
            .as_ref()
            .map_or_else(Node::null, |key| {
                Node::mapping([("key", Node::string(pem::encode_key(key).as_str()))])
            });
        let cluster = [
            ("id", Node::string(self.cluster_id.as_str())),
            ("secret", secret_node(&self.cluster_secret)),
        ];
        let certs = [
            ("etcd", pair_node(self.etcd.as_ref())),
            ("k8s", pair_node(self.kubernetes.as_ref())),
            ("k8saggregator", pair_node(self.aggregator.as_ref())),
            ("k8sserviceaccount", service_account),
            ("os", pair_node(self.os.as_ref())),
        ];
        documents_to_yaml([&Node::mapping([
            ("cluster", Node::mapping(cluster)),
            ("secrets", Node::mapping(secrets)),
            (
                "trustdinfo",
                Node::mapping([("token", secret_node(&self.trustd_token))]),
            ),
            ("certs", Node::mapping(certs)),
        ])])
    }
}

fn secret_node(secret: &SecretString) -> Node {
    Node::string(secret.expose_secret())
}

fn pair_node(pair: Option<&CertificateAndKey>) -> Node {
    pair.map_or_else(Node::null, |pair| {
        Node::mapping([
            ("crt", Node::string(pair.encoded_certificate())),
            ("key", Node::string(pair.encoded_key().as_str())),
        ])
    })
}

fn secret(fields: &Fields<'_>, key: &str) -> Result<SecretString> {
    Ok(fields.text(key).map_err(mistyped)?.into())
}

fn pair(certs: &Fields<'_>, key: &str) -> Result<Option<CertificateAndKey>> {
    let fields = certs.fields(key).map_err(mistyped)?;
    if !fields.is_present() {
        return Ok(None);
    }
    let certificate = decoded(&fields, "crt", pem::decode)?;
    let key = decoded(&fields, "key", pem::decode_key)?;
    Ok(Some(CertificateAndKey::new(certificate, key)))
}

fn bare_key(certs: &Fields<'_>, key: &str) -> Result<Option<SecretString>> {
    let fields = certs.fields(key).map_err(mistyped)?;
    let decode = || decoded(&fields, "key", pem::decode_key);
    fields.is_present().then(decode).transpose()
}

fn decoded<T>(fields: &Fields<'_>, key: &str, decode: fn(&str) -> Result<T, String>) -> Result<T> {
    decode(fields.text(key).map_err(mistyped)?).map_err(|text| refused(&fields.path_of(key), text))
}

fn mistyped(mismatch: Mismatch) -> Error {
    refused(&mismatch.path, &mismatch)
}

fn refused(path: &str, text: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidDocument, OPERATION)
        .with_target(path)
        .with_message(format!("failed to load secrets bundle: {text}"))
}
