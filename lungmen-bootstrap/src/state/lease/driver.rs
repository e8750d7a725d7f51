//! Carries the commands of the lease transitions to a store, and the responses back.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::clock::{Clock, ticks};
use super::document::{decode, encode};
use super::holder::{Alive, Holder};
use super::transition::{Candidacy, Circumstances, Command, Response, Watched};
use super::{Held, HeldBy, Lease, LeaseOptions, OwnTenure};
use crate::error::{Error, ErrorKind, Result};
use crate::services::{Error as StoreError, ErrorKind as StoreErrorKind};
use crate::state::claim::{WriteOutcome, outcome};
use crate::state::store::{Document, Revision, SecretStore};

/// Between two readings of a lease that another run holds.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// What a response said beside its transition.
struct Carried {
    response: Response<Holder, Revision>,
    heartbeat: Option<Timestamp>,
}

pub(super) async fn acquire(
    store: Arc<dyn SecretStore>,
    options: LeaseOptions,
    mut on_wait: impl FnMut(&HeldBy) + Send,
) -> Result<Lease> {
    let me = Holder::new()?;
    let alive = Alive::new(&me.run);
    let (clock, terms) = (Clock::new(), options.terms());
    let started = Instant::now();
    let (mut interval, mut heartbeat) = (FIRST_INTERVAL, None);
    let mut state = Candidacy::default();
    loop {
        state = match state.command(terms) {
            Command::Done => break,
            Command::Wait(until) => {
                if let Candidacy::Waiting(watched) = &state {
                    let by = held_by(watched, heartbeat);
                    on_wait(&by);
                    if !options.may_wait(watched, &by, started.elapsed()) {
                        return Err(held(store.as_ref(), &by, started.elapsed()));
                    }
                }
                let rest = Duration::from_millis(until.saturating_sub(clock.now().least));
                sleep(rest.clamp(Duration::from_millis(1), interval)).await;
                interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
                state.waited()
            }
            command => {
                let carried = exchange(store.as_ref(), command, options.duration).await?;
                heartbeat = carried.heartbeat.or(heartbeat);
                let with = Circumstances {
                    me: &me,
                    terms,
                    now: clock.now(),
                    is_dead: Holder::is_dead,
                };
                state.respond(carried.response, &with)
            }
        };
    }
    let Candidacy::Acquired(tenure) = state else {
        return Err(Error::new(ErrorKind::Deadline, "acquire the lease")
            .with_target(store.describe())
            .with_message("the store did not keep the lease although it was written repeatedly"));
    };
    Ok(Lease {
        held: Arc::new(Held {
            store,
            options,
            clock,
            tenure: Mutex::new(tenure),
            changed: Notify::new(),
        }),
        _alive: alive,
    })
}

fn held_by(watched: &Watched<Holder, Revision>, heartbeat: Option<Timestamp>) -> HeldBy {
    HeldBy {
        holder: watched.state.holder.clone(),
        heartbeat: heartbeat.unwrap_or(watched.state.holder.since),
    }
}

impl LeaseOptions {
    /// Whether to go on waiting for another holder. Without a wait of its own, a run only watches a lease whose last
    /// heartbeat is older than it lasts; the wall clock decides about the wait and never about the take-over.
    fn may_wait(&self, watched: &Watched<Holder, Revision>, by: &HeldBy, waited: Duration) -> bool {
        if let Some(wait) = self.wait {
            return waited < wait;
        }
        let lasts =
            SignedDuration::from_millis(i64::try_from(watched.state.duration).unwrap_or(i64::MAX));
        Timestamp::now().duration_since(by.heartbeat) > lasts
    }
}

fn held(store: &dyn SecretStore, by: &HeldBy, waited: Duration) -> Error {
    let (holder, heartbeat) = (&by.holder, by.heartbeat);
    let waited = match waited.as_secs() {
        0 => String::new(),
        seconds => format!(" after waiting for {seconds} s"),
    };
    Error::new(ErrorKind::Conflict, "acquire the lease")
        .with_target(store.describe())
        .with_message(format!(
            "{holder} works on this cluster{waited}; its last heartbeat was at {heartbeat}"
        ))
        .with_hint("Wait until the other run has ended, or stop it. This run did nothing.")
}

/// Carries the commands of a tenure until nothing is on its way.
///
/// # Errors
/// The first error of the store. The tenure keeps what it was doing, so the call can be repeated.
pub(super) async fn advance(held: &Held) -> Result<()> {
    loop {
        let command = held.tenure().command();
        if command == Command::Done {
            return Ok(());
        }
        let carried = exchange(held.store.as_ref(), command, held.options.duration / 2).await;
        let terms = held.options.terms();
        let mut tenure = held.tenure();
        match carried {
            Ok(carried) => *tenure = respond(&tenure, carried.response, terms),
            // The write was refused before it could take effect, or the read failed. A read decides next time.
            Err(error) => {
                *tenure = respond(&tenure, Response::Lost, terms);
                return Err(error);
            }
        }
    }
}

fn respond(
    tenure: &OwnTenure,
    response: Response<Holder, Revision>,
    terms: super::transition::Terms,
) -> OwnTenure {
    tenure.clone().respond(response, terms)
}

/// One exchange with the store. A store that does not respond in time has lost the response.
async fn exchange(
    store: &dyn SecretStore,
    command: Command<Holder, Revision>,
    limit: Duration,
) -> Result<Carried> {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let written = match command {
        Command::Create(state) => {
            let entries = encode(&state, now);
            within(limit, store.create(Document::Lease, &entries)).await
        }
        Command::Replace(revision, state) => {
            let entries = encode(&state, now);
            within(limit, store.replace(Document::Lease, &entries, &revision)).await
        }
        Command::Read | Command::Wait(_) | Command::Done => {
            return read(store, limit).await;
        }
    };
    let response = match outcome(written)? {
        WriteOutcome::Written(revision) => Response::Written(revision),
        WriteOutcome::Refused => Response::Refused,
        WriteOutcome::Lost => Response::Lost,
    };
    Ok(Carried {
        response,
        heartbeat: None,
    })
}

async fn read(store: &dyn SecretStore, limit: Duration) -> Result<Carried> {
    let Some(found) = within(limit, store.read(Document::Lease)).await? else {
        return Ok(Carried {
            response: Response::Absent,
            heartbeat: None,
        });
    };
    let (state, heartbeat) = decode(&found.entries, &store.describe())?;
    Ok(Carried {
        response: Response::Found(found.revision, state),
        heartbeat: Some(heartbeat),
    })
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = std::result::Result<T, StoreError>>,
) -> std::result::Result<T, StoreError> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(
            StoreError::new(StoreErrorKind::Timeout, "exchange lease").with_message(format!(
                "the store did not respond within {} ms",
                ticks(limit)
            )),
        ),
    }
}
