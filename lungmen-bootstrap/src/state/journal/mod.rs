//! What survives a crash: references to results, never secrets.
//!
//! A run observes before it acts, and what must not be lost is in the cluster record. The journal is a hint: it says which
//! attempts were started and what they referred to. Losing it loses no safety.

mod file;
mod memory;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use file::FileJournal;
pub use memory::MemoryJournal;

use crate::error::Result;

/// How far a step had come when the record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecordState {
    /// The step was about to act. It may or may not have had an effect.
    #[serde(alias = "begun")]
    Started,
    /// The effect was verified.
    Done,
}

/// One record: a step, how far it came, and references to its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The name of the step.
    pub step: String,
    /// How far the step had come.
    #[serde(alias = "progress")]
    pub state: RecordState,
    /// References: VM ids, volume ids, addresses, fingerprints. Never key material.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
}

impl Record {
    pub(crate) fn new(cluster: &str, step: crate::StepId, state: RecordState) -> Self {
        Self {
            at: Timestamp::now(),
            cluster: cluster.to_owned(),
            step: step.name().to_owned(),
            state,
            references: BTreeMap::new(),
        }
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.references.insert(key.to_owned(), value.into());
        self
    }
}

/// Keeps the records of a run.
#[async_trait]
pub trait Journal: Send + Sync {
    /// All records in the order in which they were written.
    ///
    /// # Errors
    /// `Io` when the journal cannot be read.
    async fn records(&self) -> Result<Vec<Record>>;

    /// Adds a record and returns once it is durable.
    ///
    /// # Errors
    /// `Io` when it cannot be written; the run then stops before it acts.
    async fn append(&self, record: Record) -> Result<()>;

    /// What was wrong with the stored records; reported as warnings of the run.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
