//! The source hydrator: manifests that Argo CD writes to a branch before it deploys them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::{nullable, open_enum};

open_enum! {
    /// How far a hydration is.
    HydrationPhase {
        /// Manifests are being written.
        Hydrating = "Hydrating",
        /// It failed; the message says why.
        Failed = "Failed",
        /// They are written.
        Hydrated = "Hydrated",
    }
}

/// What the source hydrator did for an application; empty where it has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Hydration {
    /// The running or last hydration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_operation: Option<HydrationOperation>,
    /// The last one that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_operation: Option<HydrationOperation>,
}

/// One hydration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HydrationOperation {
    /// How far it is; unset for the last successful one.
    #[serde(default)]
    pub phase: HydrationPhase,
    /// The controller's message.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// When it started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// The commit that the manifests were made from.
    #[serde(default, rename = "drySHA", deserialize_with = "nullable")]
    pub dry_sha: String,
    /// The commit with the manifests.
    #[serde(default, rename = "hydratedSHA", deserialize_with = "nullable")]
    pub hydrated_sha: String,
    /// The settings it ran with, in the words of the server.
    #[serde(default)]
    pub source_hydrator: Value,
}

impl Hydration {
    /// Whether the last hydration is done: its phase, and it is the one that succeeded (`--hydrated` of
    /// `argocd app wait`, 3.5.1).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let (Some(current), Some(done)) =
            (&self.current_operation, &self.last_successful_operation)
        else {
            return false;
        };
        current.phase == HydrationPhase::Hydrated
            && current.dry_sha == done.dry_sha
            && current.source_hydrator == done.source_hydrator
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hydration_is_finished_when_the_last_one_is_the_one_that_succeeded() {
        let hydration = |current: Value, done: Value| -> Hydration {
            let json = json!({"currentOperation": current, "lastSuccessfulOperation": done});
            serde_json::from_value(json).unwrap()
        };
        let settings = json!({"drySource": {"path": "apps"}});
        let operation = |phase: &str, sha: &str| json!({"phase": phase, "drySHA": sha, "sourceHydrator": settings});

        assert!(hydration(operation("Hydrated", "a"), operation("", "a")).is_finished());
        assert!(!hydration(operation("Hydrated", "b"), operation("", "a")).is_finished());
        assert!(!hydration(operation("Hydrating", "a"), operation("", "a")).is_finished());
        assert!(!hydration(operation("Hydrated", "a"), Value::Null).is_finished());
        assert!(!Hydration::default().is_finished());
    }
}
