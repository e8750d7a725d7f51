//! A store for tests that loses responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{Document, Entries, MemoryStore, Revision, SecretStore, Versioned};
use crate::services::{Error, ErrorKind, Result};

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// It never arrives, and no error is returned.
    LostRequest,
    /// It takes effect, and the response is lost.
    LostResponse,
    /// It takes effect after the next read, and the response is lost.
    Late,
    /// It is refused with certainty.
    Forbidden,
}

type Delayed = (Document, Entries, Option<Revision>);

/// A memory store with troubles for its writes, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlakyStore {
    pub(crate) inner: MemoryStore,
    troubles: Arc<Mutex<VecDeque<Trouble>>>,
    delayed: Arc<Mutex<Vec<Delayed>>>,
}

impl FlakyStore {
    pub(crate) fn new(troubles: impl IntoIterator<Item = Trouble>) -> Self {
        let store = Self::default();
        store.fail_next(troubles);
        store
    }

    pub(crate) fn fail_next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    async fn write(
        &self,
        document: Document,
        entries: &Entries,
        revision: Option<&Revision>,
    ) -> Result<Revision> {
        let trouble = self.troubles.lock().unwrap().pop_front();
        let lost = || Err(Error::new(ErrorKind::Timeout, "write").with_message("no response"));
        match trouble.unwrap_or(Trouble::None) {
            Trouble::None => self.arrive(document, entries, revision).await,
            Trouble::LostRequest => lost(),
            Trouble::LostResponse => {
                let _ = self.arrive(document, entries, revision).await;
                lost()
            }
            Trouble::Late => {
                let write = (document, entries.clone(), revision.cloned());
                self.delayed.lock().unwrap().push(write);
                lost()
            }
            Trouble::Forbidden => Err(Error::new(ErrorKind::Forbidden, "write")),
        }
    }

    async fn arrive(
        &self,
        document: Document,
        entries: &Entries,
        revision: Option<&Revision>,
    ) -> Result<Revision> {
        match revision {
            None => self.inner.create(document, entries).await,
            Some(revision) => self.inner.replace(document, entries, revision).await,
        }
    }
}

#[async_trait]
impl SecretStore for FlakyStore {
    fn describe(&self) -> String {
        "the flaky store".to_owned()
    }

    async fn preflight(&self) -> Result<()> {
        Ok(())
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        let found = self.inner.read(document).await;
        let delayed = std::mem::take(&mut *self.delayed.lock().unwrap());
        for (document, entries, revision) in delayed {
            let _ = self.arrive(document, &entries, revision.as_ref()).await;
        }
        found
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        self.write(document, entries, None).await
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        self.write(document, entries, Some(revision)).await
    }
}
