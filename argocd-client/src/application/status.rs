//! Sync, health and operations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hydration::Hydration;
use crate::wire::{nullable, open_enum};

open_enum! {
    /// Whether the cluster holds what the source says.
    SyncStatus {
        /// It does.
        Synced = "Synced",
        /// It differs.
        OutOfSync = "OutOfSync",
        /// The comparison failed; a condition says why.
        Unknown = "Unknown",
    }
}

open_enum! {
    /// Health of the deployed resources, from best to worst.
    HealthStatus {
        /// All resources are healthy.
        Healthy = "Healthy",
        /// Paused on purpose.
        Suspended = "Suspended",
        /// Not there yet.
        Progressing = "Progressing",
        /// Nothing is deployed yet.
        Missing = "Missing",
        /// Something failed.
        Degraded = "Degraded",
        /// The assessment failed.
        Unknown = "Unknown",
    }
}

open_enum! {
    /// How far an operation is.
    OperationPhase {
        /// It runs.
        Running = "Running",
        /// It is being stopped.
        Terminating = "Terminating",
        /// It ended: the cluster rejected resources or hooks failed.
        Failed = "Failed",
        /// It ended: it could not be carried out.
        Error = "Error",
        /// It ended with success.
        Succeeded = "Succeeded",
    }
}

impl OperationPhase {
    /// Whether the operation has ended without success.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// What the controller last found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApplicationStatus {
    /// Comparison with the source.
    #[serde(default, deserialize_with = "nullable")]
    pub sync: SyncState,
    /// Health of the whole.
    #[serde(default, deserialize_with = "nullable")]
    pub health: Health,
    /// The running or last operation.
    #[serde(default)]
    pub operation_state: Option<OperationState>,
    /// Problems; those whose type ends in `Error` stop the application.
    #[serde(default, deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// The managed resources. Lists leave their health out from Argo CD 3.0 on.
    #[serde(default, deserialize_with = "nullable")]
    pub resources: Vec<ResourceStatus>,
    /// Complete synchronisations, oldest first.
    #[serde(default, deserialize_with = "nullable")]
    pub history: Vec<Deployment>,
    /// When the status was last computed.
    #[serde(default)]
    pub reconciled_at: Option<Timestamp>,
    /// What the source hydrator did.
    #[serde(default, deserialize_with = "nullable")]
    pub source_hydrator: Hydration,
}

/// A complete synchronisation of the past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Deployment {
    /// Its number, for [`Applications::rollback`](super::Applications::rollback).
    #[serde(default, deserialize_with = "nullable")]
    pub id: i64,
    /// The revision that was deployed.
    #[serde(default, deserialize_with = "nullable")]
    pub revision: String,
    /// When it ended.
    #[serde(default)]
    pub deployed_at: Option<Timestamp>,
    /// When it started.
    #[serde(default)]
    pub deploy_started_at: Option<Timestamp>,
    /// Where it came from.
    #[serde(default, deserialize_with = "nullable")]
    pub source: super::ApplicationSource,
}

/// Comparison with the source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncState {
    /// The result.
    #[serde(default)]
    pub status: SyncStatus,
    /// The revision that was compared with.
    #[serde(default, deserialize_with = "nullable")]
    pub revision: String,
}

/// Health of an application or of one resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// The health.
    #[serde(default)]
    pub status: HealthStatus,
    /// Why, when the server says so.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
}

/// The running or last operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OperationState {
    /// How far it is.
    #[serde(default)]
    pub phase: OperationPhase,
    /// What the controller says about it.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// What became of each resource.
    #[serde(default, deserialize_with = "nullable")]
    pub sync_result: SyncResult,
    #[serde(default, deserialize_with = "nullable")]
    operation: RequestedOperation,
}

/// The result of a synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncResult {
    /// The revision that was synchronised.
    #[serde(default, deserialize_with = "nullable")]
    pub revision: String,
    /// One entry for every resource.
    #[serde(default, deserialize_with = "nullable")]
    pub resources: Vec<ResourceResult>,
}

/// What a synchronisation did to one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceResult {
    /// API group; empty for the core group.
    #[serde(default, deserialize_with = "nullable")]
    pub group: String,
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace; empty for cluster-wide resources.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// The text of the cluster.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail`.
    #[serde(default, deserialize_with = "nullable")]
    pub sync_phase: String,
    /// How far it is; set for hooks and for resources.
    #[serde(default, deserialize_with = "nullable")]
    pub hook_phase: String,
}

impl OperationState {
    /// Whether it only tried.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.operation.sync.dry_run
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct RequestedOperation {
    #[serde(default, deserialize_with = "nullable")]
    sync: RequestedSync,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestedSync {
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

/// A problem or warning of an application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Condition {
    /// For example `ComparisonError` or `OrphanedResourceWarning`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// The text.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
}

impl Condition {
    /// Whether it is a problem rather than a warning.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind.ends_with("Error")
    }
}

/// One managed resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceStatus {
    /// API group; empty for the core group.
    #[serde(default, deserialize_with = "nullable")]
    pub group: String,
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace; empty for cluster-wide resources.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Comparison with the source.
    #[serde(default)]
    pub status: SyncStatus,
    /// Health; absent in lists from Argo CD 3.0 on, and for kinds without a notion of it.
    #[serde(default)]
    pub health: Option<Health>,
}

impl std::fmt::Display for ResourceStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_application_has_no_status_yet() {
        let status: ApplicationStatus = serde_json::from_str(
            r#"{"sync":{"status":"","comparedTo":{"source":{"repoURL":""},"destination":{}}},"health":{},"summary":{},"sourceHydrator":{}}"#,
        )
        .unwrap();

        assert_eq!(status.sync.status, SyncStatus::Unset);
        assert_eq!(status.health.status, HealthStatus::Unset);
        assert!(status.operation_state.is_none());
    }

    #[test]
    fn a_dry_run_is_recognised() {
        let state: OperationState = serde_json::from_str(
            r#"{"operation":{"sync":{"dryRun":true},"initiatedBy":{},"retry":{}},"phase":"Succeeded","startedAt":"2025-08-20T10:01:10Z","finishedAt":"2025-08-20T10:01:20Z"}"#,
        )
        .unwrap();

        assert!(state.is_dry_run());
        assert_eq!(state.phase, OperationPhase::Succeeded);
    }
}
