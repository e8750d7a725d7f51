//! The result of a run: what each step did, and the finished cluster.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::ErrorKind;
use crate::run::event::Outcome;
use crate::run::step::StepId;
use crate::spec::cluster_name::ClusterName;
use crate::spec::machine::Role;
use crate::state::artifacts::ArtifactFile;

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StepReport {
    /// The step.
    pub step: StepId,
    /// How it ended.
    pub outcome: Outcome,
    /// The present state in one line.
    pub summary: String,
    /// How long it took.
    #[serde(rename = "duration_ms", with = "crate::run::millis")]
    #[schemars(with = "u64")]
    pub duration: Duration,
}

/// How a run ended: what a program answers to a shell or a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// Everything was there; nothing was changed.
    AlreadyDone,
    /// The cluster is complete, and the run changed something.
    Changed,
    /// The run ended where only a person allows to go on.
    NeedsPermission,
    /// The run failed.
    Failed,
}

impl RunOutcome {
    /// An exit code that tells the outcomes apart, as `plan` of the example does: 0 nothing changed, 1 failed, 2 changed, 3 a
    /// permission is missing.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::AlreadyDone => 0,
            Self::Failed => 1,
            Self::Changed => 2,
            Self::NeedsPermission => 3,
        }
    }
}

/// Of the steps of a run that ended well.
impl From<&[StepReport]> for RunOutcome {
    fn from(steps: &[StepReport]) -> Self {
        match steps.iter().any(|report| report.outcome == Outcome::Done) {
            true => Self::Changed,
            false => Self::AlreadyDone,
        }
    }
}

/// Of a run: `RunOutcome::from(&bootstrap.run().await)`.
impl From<&crate::error::Result<Cluster>> for RunOutcome {
    fn from(run: &crate::error::Result<Cluster>) -> Self {
        match run {
            Ok(cluster) => cluster.outcome(),
            Err(error) if error.kind() == ErrorKind::PermissionRequired => Self::NeedsPermission,
            Err(_) => Self::Failed,
        }
    }
}

/// The state of a step, observed without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StepState {
    /// The step.
    pub step: StepId,
    /// Its state.
    #[serde(flatten)]
    pub status: StepStatus,
}

/// Whether the effect of a step is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepStatus {
    /// The effect is there.
    Done {
        /// The present state in one line.
        summary: String,
    },
    /// The effect is missing or incomplete; a run acts.
    Absent {
        /// What is missing.
        reason: String,
    },
    /// It could not be determined; a run would not act.
    Unknown {
        /// Why not.
        cause: String,
    },
    /// The specification does not enable the step.
    Skipped,
    /// An earlier step is not done, so this one cannot be observed.
    NotReached,
}

/// How far [`ClusterBootstrap::advance`](crate::ClusterBootstrap::advance) came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "progress", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Advance {
    /// Every step is done.
    Complete(Box<Cluster>),
    /// The time for waiting is used up; servers are still working.
    Pending {
        /// The step that waits.
        step: StepId,
        /// The machine that it waits for, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<String>,
        /// What is being waited for.
        waiting_for: String,
        /// The last status or error seen.
        cause: String,
        /// When it pays to call again, in milliseconds: the sooner, the shorter the step may take. Calling earlier is safe.
        #[serde(rename = "retry_after_ms", with = "crate::run::millis")]
        #[schemars(with = "u64")]
        retry_after: Duration,
    },
}

/// The result of a run that ended after a requested step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PartialRun {
    /// The last step that is finished.
    pub reached: StepId,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// The files that exist, with their modes.
    pub files: Vec<ArtifactFile>,
    /// Findings that did not stop the run.
    pub warnings: Vec<String>,
}

/// A machine of the finished cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MachineInfo {
    /// Its name on Proxmox VE.
    pub name: String,
    /// Its VM id.
    pub vm_id: u32,
    /// What it does.
    pub role: Role,
    /// Where it is reached.
    pub address: IpAddr,
    /// The Talos version that it runs.
    pub talos_version: String,
    /// The ID of the schematic of its images.
    pub schematic_id: String,
    /// The installer image of its configuration.
    pub installer: String,
}

/// An application of the cluster in Argo CD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ApplicationInfo {
    /// Its name.
    pub name: String,
    /// Its sync status, `Synced`.
    pub sync: String,
    /// Its health, `Healthy`.
    pub health: String,
}

/// A cluster at the end of a complete run. It holds no secrets: those are in `files` and in OpenBao.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// The endpoint of its Kubernetes API.
    pub endpoint: Url,
    /// The Talos version of the cluster. A machine may run another one.
    pub talos_version: String,
    /// The Kubernetes version that the API server reported.
    pub kubernetes_version: String,
    /// The ID of the cluster's image schematic. A machine may have another one.
    pub schematic_id: String,
    /// The ISO volumes that machines were booted from, separated by commas.
    pub iso: String,
    /// The installer image of the cluster. A machine may have another one.
    pub installer: String,
    /// The machines, control plane first, in the order of the specification.
    pub machines: Vec<MachineInfo>,
    /// The folder of the files; `None` when no file is written.
    pub output: Option<PathBuf>,
    /// The files with their modes.
    pub files: Vec<ArtifactFile>,
    /// Where the secrets are in OpenBao.
    pub secrets: Option<String>,
    /// The name of the cluster in Argo CD.
    pub argocd_cluster: Option<String>,
    /// The applications of the cluster.
    pub applications: Vec<ApplicationInfo>,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// Findings that did not stop the run.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// Whether no step had anything to do.
    #[must_use]
    pub fn was_complete(&self) -> bool {
        self.outcome() == RunOutcome::AlreadyDone
    }

    /// Whether the run changed something.
    #[must_use]
    pub fn outcome(&self) -> RunOutcome {
        RunOutcome::from(self.steps.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn outcomes_of_runs_have_exit_codes_of_their_own() {
        let report = |outcome| StepReport {
            step: StepId::Image,
            outcome,
            summary: String::new(),
            duration: Duration::ZERO,
        };
        let of = |outcomes: &[Outcome]| {
            let steps: Vec<StepReport> = outcomes.iter().map(|outcome| report(*outcome)).collect();
            RunOutcome::from(steps.as_slice())
        };
        let failed = |kind| RunOutcome::from(&Err(Error::new(kind, "apply")));

        let outcomes = [
            of(&[Outcome::Checked, Outcome::AlreadyDone, Outcome::Skipped]),
            failed(ErrorKind::Deadline),
            of(&[Outcome::AlreadyDone, Outcome::Done]),
            failed(ErrorKind::PermissionRequired),
        ];

        assert_eq!(outcomes.map(RunOutcome::exit_code), [0, 1, 2, 3]);
    }
}
