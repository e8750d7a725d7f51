//! What Argo CD trusts when it reads repositories: certificates, SSH host keys and GPG keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::{List, nullable};

const CERTIFICATES: &str = "/api/v1/certificates";
const KEYS: &str = "/api/v1/gpgkeys";

/// The certificates and SSH host keys of repository servers.
#[derive(Debug, Clone)]
pub struct RepositoryCertificates {
    transport: Arc<Transport>,
}

/// A certificate or host key as the server shows it: without its data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepositoryCertificate {
    /// Host that it is for.
    #[serde(default, deserialize_with = "nullable")]
    pub server_name: String,
    /// `https` or `ssh`.
    #[serde(default, rename = "certType", deserialize_with = "nullable")]
    pub kind: String,
    /// Algorithm of a host key.
    #[serde(default, rename = "certSubType", deserialize_with = "nullable")]
    pub algorithm: String,
    /// Fingerprint or subject.
    #[serde(default, rename = "certInfo", deserialize_with = "nullable")]
    pub info: String,
}

/// A certificate or host key to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a certificate does nothing until it is sent"]
pub struct NewCertificate {
    item: Value,
}

impl NewCertificate {
    /// The certificate authority, or the certificate itself, of a server that speaks HTTPS.
    pub fn https(server_name: impl Into<String>, pem: impl AsRef<str>) -> Self {
        Self::new(server_name, "https", "", pem.as_ref())
    }

    /// The host key of an SSH server; `key` is its base64 text as in `known_hosts`.
    pub fn ssh(
        server_name: impl Into<String>,
        algorithm: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> Self {
        Self::new(server_name, "ssh", algorithm.as_ref(), key.as_ref())
    }

    fn new(server_name: impl Into<String>, kind: &str, algorithm: &str, data: &str) -> Self {
        let mut item = json!({
            "serverName": server_name.into(), "certType": kind, "certData": STANDARD.encode(data),
        });
        if !algorithm.is_empty() {
            item["certSubType"] = json!(algorithm);
        }
        Self { item }
    }
}

/// Which certificates are meant; all by default.
#[derive(Debug, Clone, Default)]
#[must_use = "a filter does nothing until it is used"]
pub struct CertificateFilter {
    query: Vec<(&'static str, String)>,
}

impl CertificateFilter {
    /// All certificates and host keys.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of hosts that match this pattern.
    pub fn host(mut self, pattern: impl Into<String>) -> Self {
        self.query.push(("hostNamePattern", pattern.into()));
        self
    }

    /// Only host keys, or only certificates: `ssh` or `https`.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.query.push(("certType", kind.into()));
        self
    }

    fn query(&self, call: Call) -> Call {
        self.query
            .iter()
            .fold(call, |call, (name, value)| call.query(name, value))
    }
}

impl RepositoryCertificates {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists certificates and host keys. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `certificates, get`.
    pub async fn list(&self, filter: &CertificateFilter) -> Result<Vec<RepositoryCertificate>> {
        let call = filter.query(Call::get("list certificates", CERTIFICATES, &[]));
        Ok(self.transport.send::<List<_>>(&call).await?.items)
    }

    /// Adds certificates and host keys; other ones of the same hosts are replaced. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for data that is not PEM;
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `certificates, create` and `update`.
    pub async fn create_or_update(
        &self,
        certificates: &[NewCertificate],
    ) -> Result<Vec<RepositoryCertificate>> {
        let items: Vec<&Value> = certificates
            .iter()
            .map(|certificate| &certificate.item)
            .collect();
        let call = Call::new("add certificates", Method::POST, CERTIFICATES, &[])
            .query("upsert", "true")
            .idempotency(Idempotency::Safe)
            .body(&json!({"items": items}))?;
        Ok(self.transport.send::<List<_>>(&call).await?.items)
    }

    /// Removes certificates and host keys; returns those that were removed. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `certificates, delete`.
    pub async fn delete(&self, filter: &CertificateFilter) -> Result<Vec<RepositoryCertificate>> {
        let call = filter.query(Call::new(
            "delete certificates",
            Method::DELETE,
            CERTIFICATES,
            &[],
        ));
        Ok(self.transport.send::<List<_>>(&call).await?.items)
    }
}

/// The GPG keys whose signatures of commits are accepted.
#[derive(Debug, Clone)]
pub struct GpgKeys {
    transport: Arc<Transport>,
}

/// A GPG key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GpgKey {
    /// Identity: 16 hexadecimal digits.
    #[serde(default, rename = "keyID", deserialize_with = "nullable")]
    pub id: String,
    /// Fingerprint.
    #[serde(default, deserialize_with = "nullable")]
    pub fingerprint: String,
    /// Owner.
    #[serde(default, deserialize_with = "nullable")]
    pub owner: String,
    /// Algorithm.
    #[serde(default, rename = "subType", deserialize_with = "nullable")]
    pub algorithm: String,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    created: Option<List<GpgKey>>,
}

impl GpgKeys {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the keys. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `gpgkeys, get`.
    pub async fn list(&self) -> Result<Vec<GpgKey>> {
        let call = Call::get("list GPG keys", KEYS, &[]);
        Ok(self.transport.send::<List<_>>(&call).await?.items)
    }

    /// Reads one key. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `gpgkeys, get`.
    pub async fn key(&self, id: &str) -> Result<GpgKey> {
        let call = Call::get("read GPG key", "/api/v1/gpgkeys/{}", &[id]).target(id);
        self.transport.send(&call).await
    }

    /// Adds armored keys; returns those that are new. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a text that is not a key;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `gpgkeys, create`.
    pub async fn create(&self, armored: &str) -> Result<Vec<GpgKey>> {
        let call = Call::new("add GPG keys", Method::POST, KEYS, &[])
            .idempotency(Idempotency::Safe)
            .body(&json!({"keyData": armored}))?;
        let created = self.transport.send::<Created>(&call).await?.created;
        Ok(created.map(|list| list.items).unwrap_or_default())
    }

    /// Removes a key. Returns `false` when there is none. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `gpgkeys, delete`.
    pub async fn delete(&self, id: &str) -> Result<bool> {
        let call = Call::new("delete GPG key", Method::DELETE, KEYS, &[])
            .query("keyID", id)
            .target(id);
        match self.transport.send::<Value>(&call).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
