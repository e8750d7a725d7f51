//! A journal that lives as long as the process.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Journal, Record};
use crate::error::Result;

/// Keeps records in memory: for embedding in a program with a store of its own, and for tests.
///
/// Clones share their records.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    records: Arc<Mutex<Vec<Record>>>,
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn records(&self) -> Result<Vec<Record>> {
        Ok(self
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    async fn append(&self, record: Record) -> Result<()> {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record);
        Ok(())
    }
}
