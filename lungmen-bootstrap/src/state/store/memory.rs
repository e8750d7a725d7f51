//! A store in the memory of this process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Document, Entries, Revision, SecretStore, Versioned};
use crate::services::{Error, ErrorKind, Result};

/// Keeps documents in memory. Clones share them, so that two clones of a bootstrap exclude each other; the documents end
/// with the last clone.
#[derive(Clone, Default)]
pub struct MemoryStore {
    documents: Arc<Mutex<BTreeMap<Document, (u64, Entries)>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Document, (u64, Entries)>> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    fn describe(&self) -> String {
        "memory of this process".to_owned()
    }

    async fn preflight(&self) -> Result<()> {
        Ok(())
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        let found = self.lock().get(&document).cloned();
        Ok(found.map(|(number, entries)| Versioned {
            entries,
            revision: Revision::new(number.to_string()),
        }))
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        let mut documents = self.lock();
        if documents.contains_key(&document) {
            return Err(Error::new(ErrorKind::AlreadyExists, "create document")
                .with_target(format!("{document} in {}", self.describe())));
        }
        documents.insert(document, (1, entries.clone()));
        Ok(Revision::new("1"))
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        let mut documents = self.lock();
        match documents.get_mut(&document) {
            Some((number, content)) if number.to_string() == revision.as_str() => {
                *number += 1;
                content.extend(entries.clone());
                Ok(Revision::new(number.to_string()))
            }
            _ => Err(Error::new(ErrorKind::Conflict, "replace document")
                .with_target(format!("{document} in {}", self.describe()))
                .with_message("another revision is the newest")),
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
