//! Resources about the life of the machine.

use std::fmt;

use super::resource::resource_spec;
use crate::api::pb::definitions::{runtime as pb, time, v1alpha1};
use serde::{Deserialize, Serialize};

/// What the machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Not known.
    Unknown,
    /// Starting up; a node that waits for its cluster to be bootstrapped stays here.
    Booting,
    /// Writing itself to the disk.
    Installing,
    /// Waiting for a configuration.
    Maintenance,
    /// Up.
    Running,
    /// Going down to come back.
    Rebooting,
    /// Going down.
    ShuttingDown,
    /// Being wiped.
    Resetting,
    /// Being upgraded.
    Upgrading,
}

impl Stage {
    /// Resource and event use the same numbers.
    pub(crate) fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Booting,
            2 => Self::Installing,
            3 => Self::Maintenance,
            4 => Self::Running,
            5 => Self::Rebooting,
            6 => Self::ShuttingDown,
            7 => Self::Resetting,
            8 => Self::Upgrading,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Booting => "booting",
            Self::Installing => "installing",
            Self::Maintenance => "maintenance",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::ShuttingDown => "shutting down",
            Self::Resetting => "resetting",
            Self::Upgrading => "upgrading",
        })
    }
}

/// Something a machine is not ready without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnmetCondition {
    /// `time`, `network`, `services`, `staticPods` or `nodeReady`.
    pub name: String,
    /// What is missing, for example `etcd not running`.
    pub reason: String,
}

impl UnmetCondition {
    pub(crate) fn new(name: String, reason: String) -> Self {
        Self { name, reason }
    }
}

impl fmt::Display for UnmetCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// Stage and readiness of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MachineStatus {
    /// What it is doing.
    pub stage: Stage,
    /// Whether nothing is missing. Judged only while booting and running, and `true` in every other stage.
    ///
    /// It includes a ready Kubernetes node: without a network plugin it never becomes true.
    pub is_ready: bool,
    /// What is missing.
    pub unmet_conditions: Vec<UnmetCondition>,
}

impl fmt::Display for MachineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {}", self.stage)?;
        for condition in &self.unmet_conditions {
            write!(f, "; {condition}")?;
        }
        Ok(())
    }
}

impl From<pb::MachineStatusSpec> for MachineStatus {
    fn from(spec: pb::MachineStatusSpec) -> Self {
        let status = spec.status.unwrap_or_default();
        Self {
            stage: Stage::from_wire(spec.stage),
            is_ready: status.ready,
            unmet_conditions: status
                .unmet_conditions
                .into_iter()
                .map(|condition| UnmetCondition::new(condition.name, condition.reason))
                .collect(),
        }
    }
}

resource_spec!(
    MachineStatus,
    "MachineStatuses.runtime.talos.dev",
    "runtime",
    pb::MachineStatusSpec,
    id "machine"
);

/// The release that runs; readable in maintenance mode of every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionStatus {
    /// For example `v1.10.7`.
    pub version: String,
}

impl From<pb::VersionSpec> for VersionStatus {
    fn from(spec: pb::VersionSpec) -> Self {
        Self {
            version: spec.version,
        }
    }
}

resource_spec!(
    VersionStatus,
    "Versions.runtime.talos.dev",
    "runtime",
    pb::VersionSpec,
    id "version"
);

/// A problem that Talos has found with its own set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeDiagnostic {
    /// What is wrong.
    pub message: String,
    /// More about it.
    pub details: Vec<String>,
}

impl From<pb::DiagnosticSpec> for NodeDiagnostic {
    fn from(spec: pb::DiagnosticSpec) -> Self {
        Self {
            message: spec.message,
            details: spec.details,
        }
    }
}

resource_spec!(
    NodeDiagnostic,
    "Diagnostics.runtime.talos.dev",
    "runtime",
    pb::DiagnosticSpec
);

/// Synchronization of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimeStatus {
    /// Whether the clock is right, as far as the node knows.
    pub is_synced: bool,
    /// How often the clock has jumped.
    pub epoch: i64,
    /// Whether synchronization is switched off.
    pub is_disabled: bool,
}

impl From<time::StatusSpec> for TimeStatus {
    fn from(spec: time::StatusSpec) -> Self {
        Self {
            is_synced: spec.synced,
            epoch: spec.epoch,
            is_disabled: spec.sync_disabled,
        }
    }
}

resource_spec!(
    TimeStatus,
    "TimeStatuses.v1alpha1.talos.dev",
    "runtime",
    time::StatusSpec,
    id "node"
);

/// Health of a service. The resource exists only while the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunningService {
    /// Whether its last check passed.
    pub is_healthy: bool,
    /// Whether it has no check, or none has run.
    pub is_unknown: bool,
}

impl From<v1alpha1::ServiceSpec> for RunningService {
    fn from(spec: v1alpha1::ServiceSpec) -> Self {
        Self {
            is_healthy: spec.healthy,
            is_unknown: spec.unknown,
        }
    }
}

resource_spec!(
    RunningService,
    "Services.v1alpha1.talos.dev",
    "runtime",
    v1alpha1::ServiceSpec
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_one_line() {
        let status = MachineStatus::from(pb::MachineStatusSpec {
            stage: 1,
            status: Some(pb::MachineStatusStatus {
                ready: false,
                unmet_conditions: vec![pb::UnmetCondition {
                    name: "services".to_owned(),
                    reason: "etcd not running".to_owned(),
                }],
            }),
        });

        assert_eq!(
            status.to_string(),
            "stage booting; services: etcd not running"
        );
    }
}
