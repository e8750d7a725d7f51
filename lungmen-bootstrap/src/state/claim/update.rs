//! Changing the record by check-and-set: pure transitions, and the two changes that a run makes.

use super::exchange::exchange;
use super::transition::{Command, Response};
use crate::error::{Error, ErrorKind, Result};
use crate::state::record::{BootstrapDecision, Change, ClusterRecord, RunControl, Stale};
use crate::state::store::SecretStore;

/// How often a change is tried again that met another writer or a lost response.
const ATTEMPTS: u8 = 8;

/// The state of a change. It ends when a *read* shows that nothing is left to write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Update<R, V> {
    Reading { attempt: u8 },
    Writing { revision: V, record: R, attempt: u8 },
    Done(Updated<R>),
}

/// The end of a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Updated<R> {
    /// The record as it was read, with the change in it.
    Holds(R),
    /// A newer run has written the record.
    Stale(Stale),
    /// There is no record.
    Missing,
    /// Too many attempts.
    Unresolved,
}

impl<R, V> Default for Update<R, V> {
    fn default() -> Self {
        Self::Reading { attempt: 1 }
    }
}

impl<R: Clone, V: Clone> Update<R, V> {
    pub(crate) fn command(&self) -> Command<R, V> {
        match self {
            Self::Reading { .. } => Command::Read,
            Self::Writing {
                revision, record, ..
            } => Command::Replace(revision.clone(), record.clone()),
            Self::Done(_) => Command::Done,
        }
    }

    /// `change` says what is missing in a record.
    pub(crate) fn respond(
        self,
        response: Response<R, V>,
        change: impl Fn(&R) -> std::result::Result<Change<R>, Stale>,
    ) -> Self {
        match (self, response) {
            (Self::Reading { attempt }, Response::Found(revision, record)) => {
                match change(&record) {
                    Ok(Change::Keep) => Self::Done(Updated::Holds(record)),
                    Ok(Change::Write(_)) if attempt > ATTEMPTS => Self::Done(Updated::Unresolved),
                    Ok(Change::Write(record)) => Self::Writing {
                        revision,
                        record,
                        attempt,
                    },
                    Err(stale) => Self::Done(Updated::Stale(stale)),
                }
            }
            (Self::Reading { .. }, Response::Absent) => Self::Done(Updated::Missing),
            // Whatever the response to the write was: only what is read back counts.
            (Self::Writing { attempt, .. }, _) => Self::Reading {
                attempt: attempt + 1,
            },
            (state, _) => state,
        }
    }
}

/// Records which machine is bootstrapped, before Bootstrap is called: `machine`, unless a choice is recorded already. Gives
/// back the record as the store has it; the caller acts on *its* decision. May be repeated.
///
/// # Errors
/// `Conflict` when a run with a newer fencing token than `token` has written the record; `NotFound` without a record; the
/// errors of the store.
pub async fn choose_bootstrap(
    store: &dyn SecretStore,
    machine: &str,
    token: u64,
) -> Result<(ClusterRecord, BootstrapDecision)> {
    let machine = machine.to_owned();
    let record = update(store, "record the bootstrap decision", |control| {
        control.choose(&machine, token)
    })
    .await?;
    match record.control.bootstrap.clone() {
        Some(decision) => Ok((record, decision)),
        None => Err(
            Error::new(ErrorKind::Conflict, "record the bootstrap decision")
                .with_target(store.describe())
                .with_message("the decision was not recorded"),
        ),
    }
}

/// Records that etcd data was seen on `machine`, so that the cluster is never bootstrapped again. The id of the etcd
/// cluster may follow in a later call. May be repeated.
///
/// # Errors
/// As [`choose_bootstrap`].
pub async fn record_bootstrapped(
    store: &dyn SecretStore,
    machine: &str,
    etcd_cluster_id: Option<&str>,
    token: u64,
) -> Result<ClusterRecord> {
    let machine = machine.to_owned();
    update(store, "record the bootstrap", |control| {
        control.bootstrapped(&machine, etcd_cluster_id, token)
    })
    .await
}

/// Records that the cluster has no etcd any more, because its machines were deleted on purpose. May be repeated.
///
/// # Errors
/// As [`choose_bootstrap`].
pub(crate) async fn forget_bootstrap(store: &dyn SecretStore, token: u64) -> Result<ClusterRecord> {
    update(store, "record the end of the cluster", |control| {
        control.forgotten(token)
    })
    .await
}

async fn update(
    store: &dyn SecretStore,
    operation: &'static str,
    change: impl Fn(&RunControl) -> std::result::Result<Change<RunControl>, Stale>,
) -> Result<ClusterRecord> {
    let change = |record: &ClusterRecord| {
        Ok(match change(&record.control)? {
            Change::Keep => Change::Keep,
            Change::Write(control) => Change::Write(ClusterRecord {
                control,
                ..record.clone()
            }),
        })
    };
    let fail = |kind, message: String| {
        Error::new(kind, operation)
            .with_target(store.describe())
            .with_message(message)
    };
    let mut state = Update::default();
    loop {
        state = match state {
            Update::Done(Updated::Holds(record)) => return Ok(record),
            Update::Done(Updated::Stale(stale)) => {
                return Err(fail(
                    ErrorKind::Conflict,
                    format!(
                        "another run took over the cluster (fencing token {}); this run stops",
                        stale.newest
                    ),
                ));
            }
            Update::Done(Updated::Missing) => {
                return Err(fail(
                    ErrorKind::NotFound,
                    "there is no cluster record".to_owned(),
                ));
            }
            Update::Done(Updated::Unresolved) => {
                return Err(fail(
                    ErrorKind::Conflict,
                    format!("the record changed {ATTEMPTS} times meanwhile"),
                )
                .uncertain(true));
            }
            state => {
                let response = exchange(store, state.command()).await?;
                state.respond(response, change)
            }
        };
    }
}
