//! Where the cluster record is kept, and the one mechanism that all stores share: check-and-set.
//!
//! # Design
//!
//! A [`SecretStore`] keeps at most two small documents for one cluster: the [record](Document::Record), which holds the
//! secrets bundle, and the [lease](Document::Lease), which says who works on the cluster. A store offers three operations
//! on them, each of them atomic at the server:
//!
//! | operation | effect | error when somebody was faster |
//! |---|---|---|
//! | [`read`](SecretStore::read) | none | – |
//! | [`create`](SecretStore::create) | writes the first revision | `AlreadyExists` |
//! | [`replace`](SecretStore::replace) | writes a new revision in place of a named one | `Conflict` |
//!
//! Everything else (who wins a race, whose lease is over, which node is bootstrapped) is decided from these three by pure
//! functions in [`claim`](crate::claim) and [`lease`](crate::lease), so that it is the same for every store and can be
//! checked exhaustively.
//!
//! *Unknown is never absent.* `read` gives `None` only when the store is certain that the document was never written. A
//! deleted, damaged or unreadable document is an error.
//!
//! *A lost response is not a failure.* When an error [may have taken
//! effect](crate::services::Error::may_have_taken_effect), the caller reads the document and compares.
//!
//! | store | record | atomic by |
//! |---|---|---|
//! | [`MemoryStore`] | shared by all clones of the handle | a mutex |
//! | [`DirectoryStore`] | `cluster-record.json` in a folder, 0600 in 0700 | a lock file, create-without-replacing and rename |
//! | `AgeFileStore` (feature `age`) | the same, encrypted with a passphrase or a key | the same |
//! | [`OpenBaoStore`] | keys of a KV v2 secret | `cas=0`, `cas=version` |
//! | [`KubernetesStore`] | a Secret and a Lease object | POST, PUT with `resourceVersion` |

#[cfg(feature = "age")]
mod age_file;
mod directory;
#[cfg(test)]
pub(crate) mod flaky;
mod folder;
mod kubernetes;
mod memory;
mod openbao;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::services::Result;
pub use crate::services::Validity;

#[cfg(feature = "age")]
#[cfg_attr(docsrs, doc(cfg(feature = "age")))]
pub use age_file::AgeFileStore;
pub use directory::DirectoryStore;
pub use kubernetes::KubernetesStore;
pub use memory::MemoryStore;
pub use openbao::OpenBaoStore;

/// The content of a document: texts by name. `Debug` shows the names only.
pub type Entries = BTreeMap<String, SecretString>;

/// One of the documents that a store keeps for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Document {
    /// The cluster record with the secrets bundle.
    Record,
    /// The lease: who works on the cluster. It holds no secret.
    Lease,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Record => "cluster record",
            Self::Lease => "lease",
        })
    }
}

/// Identifies one written state of a document: a version number, a resource version, a digest. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// Wraps the identifier that the server uses.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self(identifier.into())
    }

    /// The identifier that the server uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A document as it was read.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Its content, with entries that others may have added.
    pub entries: Entries,
    /// What [`SecretStore::replace`] has to name.
    pub revision: Revision,
}

/// One past revision of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastRevision {
    /// The revision.
    pub revision: Revision,
    /// When it was written, RFC 3339.
    pub written: String,
    /// Whether its content can still be read.
    pub readable: bool,
}

impl PastRevision {
    /// A past revision that can still be read.
    #[must_use]
    pub fn new(revision: Revision, written: impl Into<String>) -> Self {
        Self {
            revision,
            written: written.into(),
            readable: true,
        }
    }

    /// The same revision, whose content was deleted.
    #[must_use]
    pub fn deleted(self) -> Self {
        Self {
            readable: false,
            ..self
        }
    }
}

/// Keeps the documents of one cluster. See the [module documentation](self) for what each operation promises.
#[async_trait]
pub trait SecretStore: fmt::Debug + Send + Sync {
    /// The store in the words of an error text: `OpenBao secret/talos/lungmen.akn`. Never a secret.
    fn describe(&self) -> String;

    /// The address of the server behind the store, without credentials; `None` when there is no server.
    fn server(&self) -> Option<String> {
        None
    }

    /// Checks without writing that the other operations can work. May be repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden` naming what is missing, `Sealed`, `NoSuchMount`, `Configuration` for a place that cannot be used,
    /// `Connect`, `Io`.
    async fn preflight(&self) -> Result<()>;

    /// Until when the token that was given for the store is accepted; `None` without one, or when it has no end. May be
    /// repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Unauthenticated`, `Connect`.
    async fn token_validity(&self) -> Result<Option<Validity>> {
        Ok(None)
    }

    /// Reads the newest revision; `None` when the document was never written. May be repeated.
    ///
    /// # Errors
    ///
    /// `Deleted` when it was written and then deleted, `Decode` when it cannot be read, `Forbidden`, `Connect`, `Io`.
    async fn read(&self, document: Document) -> Result<Option<Versioned>>;

    /// Writes the first revision; never replaces anything. After an error that may have taken effect, read and compare.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the document was ever written, `Forbidden`, `TooLarge`, `Connect`, `Io`.
    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision>;

    /// Writes a new revision in place of `revision`. Entries of others stay where the store can have them. After an
    /// error that may have taken effect, read and compare.
    ///
    /// # Errors
    ///
    /// `Conflict` when `revision` is not the newest, `Forbidden`, `TooLarge`, `Connect`, `Io`.
    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision>;

    /// Past revisions from the oldest, where the store keeps them; `None` where it does not.
    ///
    /// # Errors
    ///
    /// As [`SecretStore::read`].
    async fn history(&self, _document: Document) -> Result<Option<Vec<PastRevision>>> {
        Ok(None)
    }
}
