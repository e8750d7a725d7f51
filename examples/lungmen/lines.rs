//! The lines of `--json`: each is an object with the field `event`.

use lungmen_bootstrap::{
    Cluster, ClusterStatus, Destroyed, Diagnosis, Event, PartialRun, Plan, Renewed,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failed;
use crate::support::Written;

/// Anything with the field `event` before its own.
#[derive(Debug, Serialize)]
pub(crate) struct Tagged<'a, T> {
    pub(crate) event: &'a str,
    #[serde(flatten)]
    pub(crate) result: &'a T,
}

/// One line. The first line of a simulation is `simulated`; the events of a run follow; the result is the last line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the types are what the schema is made from")]
#[allow(clippy::large_enum_variant, reason = "no value of it is ever made")]
pub(crate) enum Line {
    Event(Event),
    Message(Message),
    Answer(Answer),
}

/// What the program says about itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Message {
    /// Every server is a mock in this process.
    Simulated {
        /// The same for people.
        text: String,
    },
    /// A signal ended the program.
    Interrupted {
        /// Its name, `SIGINT`.
        signal: String,
        /// The same for people, with how to go on.
        text: String,
    },
    /// A piece of the log of a node.
    Log {
        /// Whole lines, as the node sent them.
        text: String,
    },
    /// The command failed.
    Failed(Box<Failed>),
}

/// What a command gave.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(dead_code, reason = "the types are what the schema is made from")]
#[allow(clippy::large_enum_variant, reason = "no value of it is ever made")]
pub(crate) enum Answer {
    /// Of `run` and `scale`: the cluster is complete.
    Complete(Cluster),
    /// Of `run --until`.
    Reached(PartialRun),
    /// Of `plan`.
    Plan(Plan),
    /// Of `doctor`.
    Diagnosis(Diagnosis),
    /// Of `status`.
    Status(ClusterStatus),
    /// Of `destroy`.
    Destroyed(Destroyed),
    /// Of `scale`: what was removed; a run follows.
    Scaled(Destroyed),
    /// Of `renew`.
    Renewed(Renewed),
    /// Of `support`.
    Support(Written),
}

/// The JSON Schema (draft 2020-12) of a line.
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(Line).to_value()
}
