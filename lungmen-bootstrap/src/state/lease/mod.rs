//! The lease: one run works on a cluster at a time.
//!
//! # Design
//!
//! The lease is a second document in the store of the record: holder, fencing token, beat, duration. All of it changes by
//! check-and-set only, so that of several runs exactly one succeeds.
//!
//! * *Acquire*: nobody holds it, it was released, its holder is a process of this host that has ended, or it was not renewed
//!   for its duration and a margin, counted by the clock of the run that waits. Each new holder has a higher fencing token.
//! * *Hold*: [`Lease::keep`] polls the work and the renewals side by side; there is no task in the background, so nothing
//!   outlives it. Before each effect the work asks [`LeaseGuard::check`]. The holder's time is counted from before the last
//!   accepted write was sent and ends a margin early.
//! * *Lose*: when another run took over, the work is dropped at its next await, and `check` fails.
//! * *Release*: a write that marks the lease as released. A dropped [`Lease`] counts as ended for runs on the same host at
//!   once; others wait for the expiry.
//!
//! No clock is compared with the clock of another machine, and a suspended holder sees that its time is over
//! (`lease/clock.rs`). The transitions are pure (`lease/transition.rs`) and are the ones that the model checks.
//!
//! A lease cannot stop a request that is already on its way. What must never happen twice is therefore protected by the
//! record as well: see [`claim`](crate::claim).

mod clock;
mod document;
mod driver;
mod holder;
pub(crate) mod transition;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind, Result};
use crate::state::store::{Revision, SecretStore};
use clock::{Clock, ticks};
pub(crate) use document::LEASE_ENTRY;
use holder::Alive;
pub use holder::Holder;
use transition::{Command, Tenure, Terms};

/// How often the lease is given back: one write may have been overtaken, and another one lost.
const RELEASES: usize = 4;

type OwnTenure = Tenure<Holder, Revision>;

/// How a lease is acquired and kept. The defaults: 30 s, renewed every 8 s, margin 3 s, no wait for another holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "options do nothing before they are passed to Lease::acquire"]
pub struct LeaseOptions {
    duration: Duration,
    margin: Duration,
    renewal: Duration,
    wait: Option<Duration>,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            margin: Duration::from_secs(3),
            renewal: Duration::from_secs(8),
            wait: None,
        }
    }
}

impl LeaseOptions {
    /// Sets how long the lease lasts without a renewal. It is renewed four times in that time, and a tenth of it is the
    /// margin for the drift of two clocks. At least a second.
    pub fn duration(mut self, duration: Duration) -> Self {
        let duration = duration.clamp(Duration::from_secs(1), Duration::from_hours(24));
        self.duration = duration;
        self.margin = duration / 10;
        self.renewal = duration / 4;
        self
    }

    /// Waits up to `deadline` for another holder to end. Without it, [`Lease::acquire`] ends naming the holder.
    pub fn wait(mut self, deadline: Duration) -> Self {
        self.wait = Some(deadline);
        self
    }

    /// How long to wait for another holder at most.
    pub(crate) fn deadline(&self) -> Duration {
        self.wait.unwrap_or(self.duration)
    }

    fn terms(&self) -> Terms {
        Terms {
            duration: ticks(self.duration),
            margin: ticks(self.margin),
        }
    }
}

/// Another run that holds the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldBy {
    /// The other run.
    pub holder: Holder,
    /// Its last renewal, by its own clock.
    pub heartbeat: Timestamp,
}

/// The right to work on a cluster. Dropping it ends it for runs on this host; [`release`](Self::release) ends it for all.
#[derive(Debug)]
#[must_use = "a lease that is dropped is not held"]
pub struct Lease {
    held: Arc<Held>,
    _alive: Alive,
}

/// Asks before each effect whether the lease is still held. A cheap clone.
#[derive(Debug, Clone)]
pub struct LeaseGuard {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    store: Arc<dyn SecretStore>,
    options: LeaseOptions,
    clock: Clock,
    tenure: Mutex<OwnTenure>,
    changed: Notify,
}

impl Held {
    fn tenure(&self) -> MutexGuard<'_, OwnTenure> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_released(&self) -> Error {
        Error::new(ErrorKind::Conflict, "release the lease")
            .with_target(self.store.describe())
            .with_message("the store did not keep the release although it was written repeatedly")
    }

    fn lost(&self) -> Error {
        let tenure = self.tenure();
        let message = match tenure.successor() {
            Some(other) => format!("{} took over the lease", other.holder),
            None => "the lease ended".to_owned(),
        };
        Error::new(ErrorKind::Conflict, "hold the lease")
            .with_target(self.store.describe())
            .with_message(format!(
                "{message}; this run stopped before its next effect"
            ))
            .with_hint("Run again when the other run has ended: finished steps are recognised.")
    }
}

impl Lease {
    /// Acquires the lease in `store`. `on_wait` is called each time another run is seen to hold it.
    ///
    /// Without [`LeaseOptions::wait`] the call ends at once when another run is alive. When its last renewal is older than
    /// its lease, the call watches it for one duration and takes over when nothing happens. May be repeated.
    ///
    /// # Errors
    /// `Conflict` naming the holder; `Decode` when the lease in the store cannot be read; the errors of the store.
    pub async fn acquire(
        store: Arc<dyn SecretStore>,
        options: LeaseOptions,
        on_wait: impl FnMut(&HeldBy) + Send,
    ) -> Result<Self> {
        driver::acquire(store, options, on_wait).await
    }

    /// The guard to ask before each effect.
    #[must_use]
    pub fn guard(&self) -> LeaseGuard {
        LeaseGuard {
            held: Arc::clone(&self.held),
        }
    }

    /// This run, as other runs see it.
    #[must_use]
    pub fn holder(&self) -> Holder {
        self.held.tenure().state.holder.clone()
    }

    /// Runs `work` and renews the lease meanwhile, until the work ends or the lease is lost.
    ///
    /// # Errors
    /// `Conflict` when another run took over; the work is dropped then. Else what `work` returns.
    pub async fn keep<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            lost = renew_until_lost(&self.held) => Err(lost),
            result = work => result,
        }
    }

    /// Gives the lease back, so that other runs need not wait for its expiry.
    ///
    /// A renewal that was cut short with the work may still arrive at the store, before the release or after it was refused;
    /// the release is repeated then.
    ///
    /// # Errors
    /// The errors of the store, and `Conflict` when it has not kept the release; the lease then expires by itself.
    pub async fn release(self) -> Result<()> {
        let held = &self.held;
        let mut ended = Ok(());
        for _ in 0..RELEASES {
            {
                let mut tenure = held.tenure();
                *tenure = tenure.clone().release(held.clock.now());
            }
            held.changed.notify_waiters();
            ended = driver::advance(held).await;
            if held.tenure().is_over() {
                return ended;
            }
        }
        ended.and_then(|()| Err(held.not_released()))
    }
}

impl LeaseGuard {
    /// Returns when an effect may begin. Waits for the next renewal when the last one is too old.
    ///
    /// # Errors
    /// `Conflict` when another run took over, the lease was released, or it could not be renewed in time.
    pub async fn check(&self) -> Result<()> {
        let held = &self.held;
        let renewed = async {
            loop {
                let changed = held.changed.notified();
                {
                    let tenure = held.tenure();
                    if tenure.is_valid(held.clock.now()) {
                        return true;
                    }
                    if tenure.is_over() {
                        return false;
                    }
                }
                changed.await;
            }
        };
        match timeout(held.options.duration, renewed).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(held.lost()),
            Err(_) => Err(Error::new(ErrorKind::Conflict, "hold the lease")
                .with_target(held.store.describe())
                .with_message("the lease could not be renewed in time; this run stopped before its next effect")),
        }
    }

    /// Whether an effect may begin now, without waiting.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.held.tenure().is_valid(self.held.clock.now())
    }

    /// The fencing token of this run: higher than that of every earlier one.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.held.tenure().state.token
    }
}

/// Renews again and again; returns only when the lease is lost.
async fn renew_until_lost(held: &Held) -> Error {
    // After a failure the store is asked more often, because the lease runs out meanwhile.
    let hurry = held.options.renewal / 8;
    loop {
        let valid = held.tenure().is_valid(held.clock.now());
        sleep(if valid { held.options.renewal } else { hurry }).await;
        loop {
            {
                let mut tenure = held.tenure();
                if tenure.command() == Command::Done {
                    *tenure = tenure.clone().renew(held.clock.now());
                }
            }
            let advanced = driver::advance(held).await;
            held.changed.notify_waiters();
            if held.tenure().is_over() {
                return held.lost();
            }
            match advanced {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(error = %error, "the lease was not renewed");
                    sleep(hurry).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
