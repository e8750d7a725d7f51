//! Reading and writing `secrets.yaml`.

use secrecy::{ExposeSecret, SecretString};

use super::pem::{self, CertificateAndKey};
use super::validate::Sections;
use super::{SecretsBundle, non_empty};
use crate::error::{Error, ErrorKind, Result};
use crate::yaml::{Node, documents_to_yaml, parse_documents};

const OPERATION: &str = "read secrets bundle";

impl SecretsBundle {
    /// Reads a `secrets.yaml` and [validates](Self::validate) it.
    ///
    /// Unknown keys are ignored. Talos v1.10 itself does not validate and fails later with a crash.
    ///
    /// # Errors
    /// `InvalidDocument` when the text is not such a document; `Validation` when something is missing or cannot be read. The
    /// message has the reference's text and never holds a secret.
    pub fn parse(text: &str) -> Result<Self> {
        let documents = parse_documents(text).map_err(|source| {
            let message = format!("failed to load secrets bundle: {}", source.message());
            Error::new(ErrorKind::InvalidDocument, OPERATION)
                .with_target(source.target())
                .with_message(message)
        })?;
        let root = documents.first().ok_or_else(|| refused("", "EOF"))?;
        let root = Section::new(root, "")?;
        let (cluster, secrets) = (root.section("cluster")?, root.section("secrets")?);
        let (trustdinfo, certs) = (root.section("trustdinfo")?, root.section("certs")?);
        let present = Sections {
            cluster: cluster.is_present(),
            secrets: secrets.is_present(),
            trustdinfo: trustdinfo.is_present(),
            certs: certs.is_present(),
        };
        let bundle = Self {
            cluster_id: cluster.text("id")?.to_owned(),
            cluster_secret: cluster.secret("secret")?,
            bootstrap_token: secrets.secret("bootstraptoken")?,
            aescbc_encryption_secret: non_empty(secrets.secret("aescbcencryptionsecret")?),
            secretbox_encryption_secret: non_empty(secrets.secret("secretboxencryptionsecret")?),
            trustd_token: trustdinfo.secret("token")?,
            etcd: certs.pair("etcd")?,
            kubernetes: certs.pair("k8s")?,
            aggregator: certs.pair("k8saggregator")?,
            service_account: certs.key("k8sserviceaccount")?,
            os: certs.pair("os")?,
        };
        bundle.validate_sections(present)?;
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

/// A mapping of the document, or the lack of one.
struct Section<'a> {
    node: Option<&'a Node>,
    path: String,
}

impl<'a> Section<'a> {
    fn new(node: &'a Node, path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        if node.is_null() {
            return Ok(Self { node: None, path });
        }
        if node.as_mapping().is_none() {
            return Err(refused(&path, mismatch(node, "a mapping")));
        }
        Ok(Self {
            node: Some(node),
            path,
        })
    }

    const fn is_present(&self) -> bool {
        self.node.is_some()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn section(&self, key: &str) -> Result<Self> {
        let path = self.path_of(key);
        match self.node.and_then(|node| node.get(key)) {
            Some(node) => Section::new(node, path),
            None => Ok(Self { node: None, path }),
        }
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        match self.node.and_then(|node| node.get(key)) {
            None => Ok(""),
            Some(node) if node.as_scalar().is_some() => Ok(node.as_str().unwrap_or_default()),
            Some(node) => Err(refused(&self.path_of(key), mismatch(node, "string"))),
        }
    }

    fn secret(&self, key: &str) -> Result<SecretString> {
        self.text(key).map(SecretString::from)
    }

    fn pair(&self, key: &str) -> Result<Option<CertificateAndKey>> {
        let section = self.section(key)?;
        if !section.is_present() {
            return Ok(None);
        }
        let certificate = section.decoded("crt", pem::decode)?;
        Ok(Some(CertificateAndKey::new(
            certificate,
            section.decoded("key", pem::decode_key)?,
        )))
    }

    fn key(&self, key: &str) -> Result<Option<SecretString>> {
        let section = self.section(key)?;
        section
            .is_present()
            .then(|| section.decoded("key", pem::decode_key))
            .transpose()
    }

    fn decoded<T>(&self, key: &str, decode: fn(&str) -> Result<T, String>) -> Result<T> {
        decode(self.text(key)?).map_err(|text| refused(&self.path_of(key), text))
    }
}

/// Go's text for a value of the wrong type, without the value: it may be a secret.
fn mismatch(node: &Node, wanted: &str) -> String {
    let found = if node.as_mapping().is_some() {
        "!!map"
    } else if node.as_sequence().is_some() {
        "!!seq"
    } else {
        "!!str"
    };
    let line = node.position().map_or(0, |position| position.line);
    format!("yaml: unmarshal errors:\n  line {line}: cannot unmarshal {found} into {wanted}")
}

fn refused(path: &str, text: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidDocument, OPERATION)
        .with_target(path)
        .with_message(format!("failed to load secrets bundle: {text}"))
}
