//! What a run tells while it works: typed, serializable, without secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::run::step::StepId;

/// How a finished step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The step acted and its effect was verified.
    Done,
    /// The effect was there before; the step did nothing.
    AlreadyDone,
    /// The step only looks, and what it looked at is sound.
    Checked,
    /// The specification asks for no such thing.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::AlreadyDone => "already done",
            Self::Checked => "checked",
            Self::Skipped => "not wanted",
        })
    }
}

/// Something that happened during a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// The step it belongs to.
    pub step: StepId,
    /// What it was.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// A step begins; it observes before it acts.
    StepStarted,
    /// The step found something missing and acts now.
    Acting {
        /// What is missing.
        reason: String,
    },
    /// The step waits for something outside.
    Waiting {
        /// What is being waited for.
        waiting_for: String,
        /// Why it is not there yet: the last cause seen.
        cause: String,
        /// How often it has been looked at, from 1.
        attempt: u32,
    },
    /// A long transfer or task advanced.
    Transfer {
        /// What advances.
        what: String,
        /// How far, in `unit`s.
        done: u64,
        /// Out of how much, when it is known.
        total: Option<u64>,
    },
    /// A part of the step is finished: a check passed, a file was written.
    Note {
        /// What is finished.
        text: String,
    },
    /// Something the user should know, though the run goes on.
    Warning {
        /// What it is and what to do about it.
        text: String,
    },
    /// The step is finished.
    StepFinished {
        /// How it ended.
        outcome: Outcome,
        /// What is there now, in one line.
        summary: String,
        /// How long it took, in milliseconds.
        #[serde(rename = "duration_ms", serialize_with = "as_millis")]
        duration: Duration,
    },
    /// The step failed; the run ends.
    StepFailed {
        /// The error in one line.
        error: String,
    },
}

pub(crate) fn as_millis<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Is told what happens during a run. Closures `Fn(&Event)` are observers.
pub trait Observer: Send + Sync {
    /// Takes note of an event. It is called from the run itself, so it must not block for long.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// Hands every event to all listeners, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    listeners: Vec<Arc<dyn Observer>>,
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("listeners", &self.listeners.len())
            .finish()
    }
}

impl Observers {
    pub(crate) fn add(&mut self, listener: impl Observer + 'static) {
        self.listeners.push(Arc::new(listener));
    }

    pub(crate) fn emit(&self, step: StepId, kind: EventKind) {
        let event = Event {
            at: Timestamp::now(),
            step,
            kind,
        };
        tracing::debug!(step = %event.step, event = ?event.kind, "bootstrap event");
        for listener in &self.listeners {
            listener.observe(&event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_serializes_flat() {
        let event = Event {
            at: Timestamp::UNIX_EPOCH,
            step: StepId::FirstBoot,
            kind: EventKind::StepFinished {
                outcome: Outcome::AlreadyDone,
                summary: "10.0.2.10 answers".into(),
                duration: Duration::from_millis(1500),
            },
        };

        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"at":"1970-01-01T00:00:00Z","step":"first-boot","event":"step-finished","outcome":"already-done","summary":"10.0.2.10 answers","duration_ms":1500}"#
        );
    }
}
