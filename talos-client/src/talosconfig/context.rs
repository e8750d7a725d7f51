//! One context: where to connect, which nodes to address, and with which identity.

use std::fmt;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::secrets::{ClientCertificate, decode, encode, encode_key};

/// A context of a talosconfig.
///
/// Certificates and key are kept as they were written, base64 of PEM text, and only decoded when they are asked for.
#[derive(Clone, Default)]
pub struct Context {
    pub(super) endpoints: Vec<String>,
    pub(super) nodes: Vec<String>,
    pub(super) ca: String,
    pub(super) crt: String,
    pub(super) key: SecretString,
    pub(super) auth: Auth,
    pub(super) cluster: String,
    pub(super) proxy_url: String,
}

/// Other ways to authenticate, of hosted proxies; kept in round trips.
#[derive(Clone, Default)]
pub(super) struct Auth {
    pub(super) basic: Option<Basic>,
    /// The identity of the `siderov1` method.
    pub(super) siderov1_identity: Option<String>,
}

#[derive(Clone, Default)]
pub(super) struct Basic {
    pub(super) username: String,
    pub(super) password: SecretString,
}

impl Context {
    /// A context without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A context that authenticates with this certificate and has no endpoints yet.
    #[must_use]
    pub fn from_certificate(certificate: &ClientCertificate) -> Self {
        let mut context = Self::new();
        context.set_certificate(certificate);
        context
    }

    /// A context from PEM files: `talosctl config add --ca --crt --key`. Each part may be missing, certificate and key together.
    ///
    /// # Errors
    /// `InvalidInput` when there is a certificate without a key, or a key without a certificate.
    pub fn from_pem(
        ca: Option<&str>,
        certificate: Option<&str>,
        key: Option<&SecretString>,
    ) -> Result<Self> {
        if certificate.is_some() != key.is_some() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "add talosconfig context")
                    .with_target("crt, key")
                    .with_message("a certificate and its key come together; give both or none"),
            );
        }
        let key = key.map(|key| SecretString::from(encode_key(key).as_str()));
        Ok(Self {
            ca: ca.map(encode).unwrap_or_default(),
            crt: certificate.map(encode).unwrap_or_default(),
            key: key.unwrap_or_default(),
            ..Self::default()
        })
    }

    /// Replaces authority, certificate and key; endpoints and nodes stay. This is how a certificate is renewed.
    pub fn set_certificate(&mut self, certificate: &ClientCertificate) {
        self.ca = encode(certificate.ca_pem());
        self.crt = encode(certificate.certificate_pem());
        self.key = SecretString::from(encode_key(certificate.key_pem()).as_str());
    }

    /// Replaces the endpoints; blanks around them are dropped.
    pub fn set_endpoints<S: AsRef<str>>(&mut self, endpoints: impl IntoIterator<Item = S>) {
        self.endpoints = trimmed(endpoints);
    }

    /// Replaces the nodes; blanks around them are dropped.
    pub fn set_nodes<S: AsRef<str>>(&mut self, nodes: impl IntoIterator<Item = S>) {
        self.nodes = trimmed(nodes);
    }

    /// The addresses a client connects to, each a host with an optional port.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The nodes requests are for when none is named.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// The name of the cluster behind a hosted proxy; empty elsewhere.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority nodes are verified with, as PEM text; nothing when the context has none.
    ///
    /// # Errors
    /// `InvalidDocument` when it is not base64.
    pub fn ca_pem(&self) -> Result<Option<String>> {
        Self::decoded("ca", &self.ca)
    }

    /// Certificate, key and authority; nothing when the context has no certificate.
    ///
    /// # Errors
    /// `InvalidDocument` when one of them is not base64, or the certificate cannot be read.
    pub fn client_certificate(&self) -> Result<Option<ClientCertificate>> {
        let Some(certificate) = Self::decoded("crt", &self.crt)? else {
            return Ok(None);
        };
        let key = Self::decoded("key", self.key.expose_secret())?.map(SecretString::from);
        let ca = self.ca_pem()?.unwrap_or_default();
        ClientCertificate::from_pem(ca, certificate, key.unwrap_or_default())
            .map(Some)
            .map_err(|error| unreadable("crt", error.message()))
    }

    /// Until when nodes accept the certificate; nothing when the context has none.
    ///
    /// # Errors
    /// As [`Context::client_certificate`].
    pub fn not_after(&self) -> Result<Option<Timestamp>> {
        Ok(self
            .client_certificate()?
            .map(|certificate| certificate.not_after()))
    }

    fn decoded(field: &str, text: &str) -> Result<Option<String>> {
        if text.is_empty() {
            return Ok(None);
        }
        decode(text)
            .map(Some)
            .map_err(|cause| unreadable(field, &cause))
    }
}

fn unreadable(field: &str, cause: &str) -> Error {
    Error::new(ErrorKind::InvalidDocument, "read talosconfig context")
        .with_target(field)
        .with_message(cause)
}

fn trimmed<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Vec<String> {
    items
        .into_iter()
        .map(|item| item.as_ref().trim().to_owned())
        .collect()
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("endpoints", &self.endpoints)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
