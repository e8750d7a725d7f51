//! The events of a run: typed, serializable, without secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::millis;
use crate::run::step::StepId;

/// How a finished step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The step acted and its effect was verified.
    Done,
    /// The effect was there before; the step did nothing.
    AlreadyDone,
    /// The step only checks, and the check passed.
    Checked,
    /// The specification does not enable the step.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::AlreadyDone => "already done",
            Self::Checked => "checked",
            Self::Skipped => "skipped",
        })
    }
}

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The step it belongs to.
    pub step: StepId,
    /// The machine it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What it was.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// A step begins; it observes before it acts. Steps of machines overlap: each machine goes on as soon as it can.
    StepStarted,
    /// The step found something missing and acts now.
    Acting {
        /// What is missing.
        reason: String,
    },
    /// The step waits for a server.
    Waiting {
        /// What is being waited for.
        waiting_for: String,
        /// The last status or error seen.
        cause: String,
        /// How many probes were made, from 1.
        attempt: u32,
        /// How long the wait has lasted, in milliseconds.
        #[serde(rename = "elapsed_ms", with = "millis")]
        #[schemars(with = "u64")]
        elapsed: Duration,
        /// When the wait ends, in milliseconds from its start.
        #[serde(rename = "deadline_ms", with = "millis")]
        #[schemars(with = "u64")]
        deadline: Duration,
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
    /// Something is about to be deleted; it was proven to belong to the cluster.
    Deleting {
        /// What is deleted.
        what: String,
    },
    /// A part of the step is finished: a check passed, a file was written.
    Note {
        /// What is finished.
        text: String,
    },
    /// A finding that does not stop the run.
    Warning {
        /// What was found and what to do about it.
        text: String,
    },
    /// The step is finished.
    StepFinished {
        /// How it ended.
        outcome: Outcome,
        /// What is there now, in one line.
        summary: String,
        /// How long it took, in milliseconds.
        #[serde(rename = "duration_ms", with = "millis")]
        #[schemars(with = "u64")]
        duration: Duration,
    },
    /// The step failed. When the event names a machine, the others go on to their own end; then the run ends.
    StepFailed {
        /// The error in one line.
        error: String,
    },
}

/// Receives the events of a run. Closures `Fn(&Event)` are observers.
pub trait Observer: Send + Sync {
    /// Receives an event. It is called from the run itself, so it must not block for long.
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

    pub(crate) fn emit(&self, event: &Event) {
        tracing::debug!(
            cluster = %event.cluster,
            step = %event.step,
            machine = event.machine.as_deref(),
            event = ?event.kind,
            "bootstrap event"
        );
        for listener in &self.listeners {
            listener.observe(event);
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
            cluster: "a.b".into(),
            step: StepId::FirstBoot,
            machine: Some("tal01".into()),
            kind: EventKind::StepFinished {
                outcome: Outcome::AlreadyDone,
                summary: "10.0.2.10 answers".into(),
                duration: Duration::from_millis(1500),
            },
        };

        let text = serde_json::to_string(&event).unwrap();

        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        assert_eq!(
            text,
            r#"{"at":"1970-01-01T00:00:00Z","cluster":"a.b","step":"first-boot","machine":"tal01","event":"step-finished","outcome":"already-done","summary":"10.0.2.10 answers","duration_ms":1500}"#
        );
    }
}
