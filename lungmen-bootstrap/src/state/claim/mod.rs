//! Claiming a cluster: exactly one bundle, whoever else runs at the same time.
//!
//! # Design
//!
//! A run owns nothing before it has *read its record back*. [`claim`] reads the record; when there is none it generates a
//! bundle, offers it by a create-only write, and reads again. What it reads is the cluster's record from then on, whether
//! this run or another one wrote it: the loser of a race drops its own bundle, which no node has seen. A lost response
//! needs no rule of its own, because the write is always followed by a read.
//!
//! The transitions are pure (`claim/transition.rs`); the functions here only carry commands to a store and responses back. The
//! model checks the same transitions against a store that loses and delays messages.
//!
//! Nothing here changes a record silently: a record of another cluster (name or endpoint differ) is refused with both
//! names, and a differing version contract or schematic is reported as a [`RecordDiff`] while the record keeps its own.
//!
//! Safety does not rest on the lease. With two runs that both believe to hold it, there is still one record, one bundle
//! and one bootstrap decision, because each of them is written once by check-and-set and only acted on after a read.

mod exchange;
mod import;
pub(crate) mod transition;
pub(crate) mod update;

use serde::Serialize;
use talos_client::config::VersionContract;
use talos_client::secrets::SecretsBundle;
use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::state::record::{ClusterRecord, title};
use crate::state::store::SecretStore;
use exchange::exchange;
pub(crate) use exchange::{WriteOutcome, outcome};
pub use import::{Import, import};
use transition::{Claim, Command, Settled};
pub(crate) use update::forget_bootstrap;
pub use update::{choose_bootstrap, record_bootstrapped};

/// What a run wants to be the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// The name of the cluster.
    pub cluster: String,
    /// The https endpoint of its Kubernetes API.
    pub endpoint: Url,
    /// The version contract for a new bundle.
    pub contract: VersionContract,
    /// The ID of the schematic.
    pub schematic: String,
}

impl Wanted {
    /// A cluster by name and endpoint, with contract and schematic for the case that it is new.
    pub fn new(
        cluster: impl Into<String>,
        endpoint: Url,
        contract: VersionContract,
        schematic: impl Into<String>,
    ) -> Self {
        Self {
            cluster: cluster.into(),
            endpoint,
            contract,
            schematic: schematic.into(),
        }
    }

    fn is(&self, record: &ClusterRecord) -> bool {
        self.cluster == record.cluster && self.endpoint == record.endpoint
    }

    fn diffs(&self, record: &ClusterRecord) -> Vec<RecordDiff> {
        let diff = |path, from: String, to: String| RecordDiff { path, from, to };
        let mut diffs = Vec::new();
        if self.contract != record.contract {
            let (from, to) = (record.contract.to_string(), self.contract.to_string());
            diffs.push(diff("contract", from, to));
        }
        if self.schematic != record.schematic {
            let (from, to) = (record.schematic.clone(), self.schematic.clone());
            diffs.push(diff("schematic", from, to));
        }
        diffs
    }
}

/// A field in which the specification differs from the record. The record keeps its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordDiff {
    /// The field: `contract` or `schematic`.
    pub path: &'static str,
    /// The recorded value.
    pub from: String,
    /// The value of the specification.
    pub to: String,
}

/// Who wrote the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// This call: the cluster is new.
    Created,
    /// An earlier or a concurrent run.
    Adopted,
}

/// The result of [`claim`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claimed {
    /// The record as the store has it.
    pub record: ClusterRecord,
    /// Who wrote it.
    pub origin: Origin,
    /// Where the specification differs from it.
    pub diffs: Vec<RecordDiff>,
}

/// Claims the cluster: adopts the record in the store, or creates one with the bundle that `generate` makes.
///
/// `generate` is only called when there is no record. Its bundle is dropped when another run was faster. May be repeated at
/// any time, also after an error and after the process was killed.
///
/// # Errors
/// `NotOurs` when the record belongs to another cluster, naming both; `Conflict` or `Decode` when the document is not a
/// readable record; `Deadline` when the store accepted nothing although it was tried repeatedly; the errors of the store and
/// of `generate`.
pub async fn claim<F>(
    store: &dyn SecretStore,
    wanted: &Wanted,
    generate: impl FnOnce() -> F + Send,
) -> Result<Claimed>
where
    F: Future<Output = Result<SecretsBundle>> + Send,
{
    let mut generate = Some(generate);
    let mut state = Claim::default();
    loop {
        state = match state.command() {
            Command::Generate => {
                let Some(generate) = generate.take() else {
                    return Err(unresolved(store));
                };
                state.generated(record_of(wanted, generate().await?))
            }
            Command::Done => break,
            request => {
                let response = exchange(store, request).await?;
                state.respond(response, |record| wanted.is(record))
            }
        };
    }
    match state.settled() {
        Some(Settled::Created(record)) => Ok(claimed(wanted, record, Origin::Created)),
        Some(Settled::Adopted(record)) => Ok(claimed(wanted, record, Origin::Adopted)),
        Some(Settled::Foreign(record)) => Err(foreign(store, wanted, &record)),
        Some(Settled::Unresolved) | None => Err(unresolved(store)),
    }
}

/// Reads the record without claiming anything; `None` when the cluster is new. May be repeated.
///
/// # Errors
/// As [`claim`].
pub async fn find(store: &dyn SecretStore, wanted: &Wanted) -> Result<Option<Claimed>> {
    match exchange(store, Command::Read).await? {
        transition::Response::Found(_, record) if wanted.is(&record) => {
            Ok(Some(claimed(wanted, record, Origin::Adopted)))
        }
        transition::Response::Found(_, record) => Err(foreign(store, wanted, &record)),
        _ => Ok(None),
    }
}

fn claimed(wanted: &Wanted, record: ClusterRecord, origin: Origin) -> Claimed {
    Claimed {
        diffs: wanted.diffs(&record),
        record,
        origin,
    }
}

fn record_of(wanted: &Wanted, bundle: SecretsBundle) -> ClusterRecord {
    ClusterRecord::new(
        wanted.cluster.as_str(),
        wanted.endpoint.clone(),
        wanted.contract,
        wanted.schematic.as_str(),
        bundle,
    )
}

fn foreign(store: &dyn SecretStore, wanted: &Wanted, found: &ClusterRecord) -> Error {
    Error::new(ErrorKind::NotOurs, "claim the cluster")
        .with_target(store.describe())
        .with_message(format!(
            "the record belongs to cluster {}, not to {}",
            found.title(),
            title(&wanted.cluster, &wanted.endpoint)
        ))
        .with_hint(
            "Choose another store or path for this cluster, or correct name and endpoint in the specification.",
        )
}

fn unresolved(store: &dyn SecretStore) -> Error {
    Error::new(ErrorKind::Deadline, "claim the cluster")
        .with_target(store.describe())
        .with_message("the store did not keep the record although it was written repeatedly")
        .uncertain(true)
}

#[cfg(test)]
mod tests;
