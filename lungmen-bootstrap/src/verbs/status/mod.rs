//! `status()`: what exists, its versions, its health, what expires, and what differs from the specification.

mod collect;
mod display;
mod expiry;

pub(crate) use collect::status_and_plan;

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::report::ApplicationInfo;
use crate::services::Validity;
use crate::spec::machine::Role;
use crate::verbs::plan::{PlannedStep, RemovedMachine, Verdict};

/// The state of a cluster at one moment. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// The name of the cluster.
    pub cluster: String,
    /// When it was asked.
    pub at: Timestamp,
    /// The cluster record.
    pub record: Seen<RecordStatus>,
    /// The machines of the specification.
    pub machines: Vec<MachineState>,
    /// The Kubernetes API.
    pub kubernetes: Seen<KubernetesStatus>,
    /// The entry in Argo CD.
    pub argocd: Seen<ArgoCdStatus>,
    /// Certificates with their ends, the earliest first.
    pub expiries: Vec<Expiry>,
    /// Whether something differs from the specification.
    pub drift: Verdict,
    /// What a run would do: the steps with something to do, or something unknown.
    pub differences: Vec<PlannedStep>,
    /// VMs of the cluster that the specification does not have any more.
    pub removed: Vec<RemovedMachine>,
    /// Findings that would not stop a run.
    pub warnings: Vec<String>,
}

/// What can be seen of a thing. Unknown is never absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Seen<T> {
    /// It exists.
    Exists(T),
    /// It does not exist, or is not configured.
    Absent {
        /// What is missing.
        reason: String,
    },
    /// It could not be asked.
    Unknown {
        /// Why not.
        cause: String,
    },
}

/// The record of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RecordStatus {
    /// Where it is kept.
    pub store: String,
    /// The id of the cluster.
    pub cluster_id: String,
    /// The Talos release that the configurations are generated for, `v1.10`.
    pub contract: String,
    /// Whether etcd was bootstrapped, by the record.
    pub is_bootstrapped: bool,
}

/// A machine of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MachineState {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its declared address.
    pub address: IpAddr,
    /// The id of its VM.
    pub vm_id: u32,
    /// Its node, as it reports itself over mutual TLS.
    pub node: Seen<NodeState>,
}

/// What a configured Talos node reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct NodeState {
    /// The version of Talos, `v1.10.7`.
    pub talos_version: String,
    /// What it is doing: `running`, `booting` and so on.
    pub stage: String,
    /// Whether nothing is missing.
    pub is_ready: bool,
    /// What is missing, in the words of Talos.
    pub unmet_conditions: Vec<String>,
    /// Whether its etcd is a member; `None` for workers.
    pub etcd: Option<EtcdState>,
}

/// The etcd of a control plane, as it reports itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EtcdState {
    /// A member that votes.
    Member,
    /// A member that does not vote yet.
    Learner,
    /// It answers and does not list itself.
    NotMember,
    /// It could not be asked.
    Unknown {
        /// Why not.
        cause: String,
    },
}

/// The Kubernetes API and the cluster behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct KubernetesStatus {
    /// The version of the API server.
    pub version: String,
    /// The checks in the order of `talosctl health`, each with what it says.
    pub checks: Vec<CheckResult>,
}

/// One check of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CheckResult {
    /// The id of the check.
    pub id: String,
    /// Whether it passed.
    pub passed: bool,
    /// What it says.
    pub text: String,
}

/// The cluster as Argo CD sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ArgoCdStatus {
    /// The address under which the cluster is registered.
    pub server: String,
    /// The state of the connection: `successful`, `failed`, `unknown`.
    pub connection: String,
    /// Why the connection is so.
    pub message: String,
    /// The applications of the cluster.
    pub applications: Vec<ApplicationInfo>,
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Expiry {
    /// What: `admin certificate in talosconfig`.
    pub what: String,
    /// When.
    pub at: Timestamp,
    /// Whole days until then; negative when it has passed.
    pub days: i64,
    /// Whether it is time for another one: in its last 30 days, or in the last third of a shorter life.
    pub soon: bool,
}

impl<T> Seen<T> {
    pub(crate) fn absent(reason: impl Into<String>) -> Self {
        Self::Absent {
            reason: reason.into(),
        }
    }

    pub(crate) fn unknown(cause: impl Into<String>) -> Self {
        Self::Unknown {
            cause: cause.into(),
        }
    }

    fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Exists(thing) => Seen::Exists(thing),
            Self::Absent { reason } => Seen::absent(reason),
            Self::Unknown { cause } => Seen::unknown(cause),
        }
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Exists(thing) => Seen::Exists(change(thing)),
            Self::Absent { reason } => Seen::Absent { reason },
            Self::Unknown { cause } => Seen::Unknown { cause },
        }
    }

    /// The thing, where it exists.
    #[must_use]
    pub fn exists(&self) -> Option<&T> {
        match self {
            Self::Exists(thing) => Some(thing),
            _ => None,
        }
    }
}

impl ClusterStatus {
    /// Whether everything exists, is healthy and as the specification says, and nothing expires soon.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let nodes = self.machines.iter().all(|machine| {
            machine.node.exists().is_some_and(|node| {
                node.is_ready && matches!(node.etcd, None | Some(EtcdState::Member))
            })
        });
        let kubernetes = self
            .kubernetes
            .exists()
            .is_some_and(|status| status.checks.iter().all(|check| check.passed));
        let argocd = match &self.argocd {
            Seen::Exists(status) => status.is_healthy(),
            // A specification without Argo CD has nothing there.
            Seen::Absent { .. } => true,
            Seen::Unknown { .. } => false,
        };
        nodes
            && kubernetes
            && argocd
            && self.drift == Verdict::Nothing
            && self.removed.is_empty()
            && self.expiries.iter().all(|expiry| !expiry.soon)
    }
}

impl ArgoCdStatus {
    fn is_healthy(&self) -> bool {
        let is_good = |application: &ApplicationInfo| {
            application.sync == "Synced" && application.health == "Healthy"
        };
        self.connection != "failed" && self.applications.iter().all(is_good)
    }
}

impl Expiry {
    fn new(what: impl Into<String>, validity: Validity, now: Timestamp) -> Self {
        let left = validity.end.duration_since(now).as_secs();
        Self {
            what: what.into(),
            at: validity.end,
            days: left.div_euclid(86_400),
            soon: validity.is_due(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_once_it_has_passed() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let days = |seconds: i64| {
            let at = |second| Timestamp::from_second(second).unwrap();
            let validity = Validity {
                begin: at(1_000_000 - 365 * 86_400),
                end: at(1_000_000 + seconds),
            };
            let expiry = Expiry::new("certificate", validity, now);
            (expiry.days, expiry.soon)
        };

        assert_eq!(days(31 * 86_400), (31, false));
        assert_eq!(days(30 * 86_400 - 1), (29, true));
        assert_eq!(days(-1), (-1, true));
    }

    #[test]
    fn what_is_seen_says_so_in_json() {
        let unknown: Seen<RecordStatus> = Seen::unknown("sealed");

        let text = serde_json::to_string(&unknown).unwrap();

        assert_eq!(text, r#"{"state":"unknown","cause":"sealed"}"#);
        assert_eq!(
            serde_json::from_str::<Seen<RecordStatus>>(&text).unwrap(),
            unknown
        );
    }
}
