//! A store in an OpenBao KV version 2 engine.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Document, Entries, PastRevision, Revision, SecretStore, Versioned};
use crate::services::openbao::{Client, Kv};
use crate::services::{Error, ErrorKind, Result, Validity};

/// Keeps the record in the keys `cluster.json` and `secrets.yaml` of one KV v2 secret, and the lease in a secret beside
/// it (`….lease`). Other keys of the secret stay untouched.
///
/// The token needs `create`, `read` and `update` on `{mount}/data/{path}` and `{mount}/data/{path}.lease`. Each renewal of
/// the lease makes a version; the engine keeps the newest ten.
#[derive(Debug, Clone)]
pub struct OpenBaoStore {
    kv: Kv,
    path: String,
}

impl OpenBaoStore {
    /// A store for one cluster: the secret `path` below `mount`. Nothing is sent.
    pub fn new(client: &Client, mount: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            kv: client.kv(mount),
            path: path.into(),
        }
    }

    fn path(&self, document: Document) -> String {
        match document {
            Document::Record => self.path.clone(),
            Document::Lease => format!("{}.lease", self.path),
        }
    }
}

#[async_trait]
impl SecretStore for OpenBaoStore {
    fn describe(&self) -> String {
        format!("OpenBao {}/{}", self.kv.mount(), self.path)
    }

    fn server(&self) -> Option<String> {
        Some(self.kv.client().address().to_string())
    }

    async fn preflight(&self) -> Result<()> {
        for document in [Document::Record, Document::Lease] {
            let path = self.path(document);
            self.kv.preflight(&path).await?;
            may_update(&self.kv, &path).await?;
        }
        Ok(())
    }

    async fn token_validity(&self) -> Result<Option<Validity>> {
        if self.kv.client().logs_in() {
            return Ok(None);
        }
        let info = self.kv.client().token_info().await?;
        let Some(left) = info.time_to_live else {
            return Ok(None);
        };
        let passed = info.lifetime.unwrap_or_default().saturating_sub(left);
        let now = Timestamp::now();
        let times = now.checked_sub(passed).ok().zip(now.checked_add(left).ok());
        Ok(times.map(|(begin, end)| Validity { begin, end }))
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        match self.kv.read(&self.path(document)).await {
            Ok(secret) => Ok(Some(Versioned {
                entries: secret.data,
                revision: Revision::new(secret.version.version.to_string()),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        let written = self.kv.create(&self.path(document), entries).await?;
        Ok(Revision::new(written.version.to_string()))
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        let path = self.path(document);
        let version: u64 = revision.as_str().parse().map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "replace document")
                .with_target(&path)
                .with_message(format!("{revision} is not a version number"))
        })?;
        // A new version holds exactly the keys it was written with, so the keys of others are carried over. The
        // check-and-set makes certain that they are those of this version.
        let mut all = match self.kv.read_version(&path, version).await {
            Ok(found) => found.data,
            Err(error) if error.is_not_found() => {
                return Err(error.with_kind(ErrorKind::Conflict));
            }
            Err(error) => return Err(error),
        };
        all.extend(entries.clone());
        let written = self.kv.update(&path, &all, version).await?;
        Ok(Revision::new(written.version.to_string()))
    }

    async fn history(&self, document: Document) -> Result<Option<Vec<PastRevision>>> {
        match self.kv.metadata(&self.path(document)).await {
            Ok(metadata) => Ok(Some(
                metadata
                    .versions
                    .into_iter()
                    .map(|(number, state)| {
                        let revision = Revision::new(number.to_string());
                        let past = PastRevision::new(revision, state.created_time);
                        match state.destroyed || !state.deletion_time.is_empty() {
                            true => past.deleted(),
                            false => past,
                        }
                    })
                    .collect(),
            )),
            Err(error) if error.is_not_found() => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }
}

/// Whether the token may write a second version: the lease is renewed, and the record gains the bootstrap decision.
async fn may_update(kv: &Kv, path: &str) -> Result<()> {
    let plain = format!("{}/data/{path}", kv.mount());
    let granted = kv.client().capabilities(&[&plain]).await?;
    let granted = granted.get(&plain).map(Vec::as_slice).unwrap_or_default();
    if granted
        .iter()
        .any(|name| name == "update" || name == "root")
    {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "check store")
        .with_target(&plain)
        .with_message(format!(
            "the token may not update {plain}; grant the capabilities create, read and update"
        )))
}
