//! `plan()`: what a run has left to do, by asking the servers and changing nothing.

mod cluster;
mod display;
mod machines;
mod planner;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use cluster::Api;
pub(crate) use machines::Node;
pub(crate) use planner::{Sight, planned};

use crate::error::Error;
use crate::run::step::StepId;

/// What a run has left to do. It holds no secrets: values of secret fields are redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Plan {
    /// The name of the cluster.
    pub cluster: String,
    /// The last step that was planned.
    pub until: StepId,
    /// The steps in the order of a run.
    pub steps: Vec<PlannedStep>,
    /// VMs of the cluster that the specification does not have any more. A run leaves them alone.
    pub removed: Vec<RemovedMachine>,
    /// Findings that would not stop a run.
    pub warnings: Vec<String>,
}

/// One step of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PlannedStep {
    /// The step.
    pub step: StepId,
    /// What it does, one entry for each thing that it is about.
    pub items: Vec<PlannedItem>,
}

/// What a run does about one thing: a machine, a file, a server, the cluster itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PlannedItem {
    /// The thing: `tal01`, `secrets.yaml`, `Proxmox VE`.
    pub target: String,
    /// Whether the target is the name of a machine.
    pub is_machine: bool,
    /// What the specification and the patches say about it: the hardware of a VM, the installer of a configuration.
    #[serde(default)]
    pub details: Vec<String>,
    /// What a run does about it.
    #[serde(flatten)]
    pub action: Action,
}

/// What a run does about one thing, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// It is as the specification says.
    Nothing {
        /// The present state in one line.
        summary: String,
    },
    /// It does not exist yet.
    Create {
        /// What is missing.
        reason: String,
    },
    /// It exists and differs.
    Change {
        /// Why it is changed.
        reason: String,
        /// The differences, where they are known one by one.
        changes: Vec<Change>,
    },
    /// It differs, and a run does not change it without a permission or a person.
    NeedsPermission {
        /// Why it is not simply changed.
        reason: String,
        /// What permits the change.
        permission: String,
        /// The differences.
        changes: Vec<Change>,
    },
    /// A run only checks it, or waits for it; it changes nothing.
    Check {
        /// What is checked.
        what: String,
    },
    /// Its state could not be determined. Nothing follows from that.
    Unknown {
        /// Why not.
        cause: String,
    },
    /// A run would fail here.
    Blocked {
        /// Why.
        cause: String,
        /// What to do about it.
        hint: String,
    },
    /// The specification does not enable it.
    Skipped,
}

/// One difference. Secret values are `[redacted]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Change {
    /// The field, in the words of the server that has it.
    pub path: String,
    /// The present value; `None` when there is none.
    pub from: Option<String>,
    /// The value of the specification; `None` when it is removed.
    pub to: Option<String>,
}

/// A VM of the cluster, proven by its SMBIOS UUID, that the specification does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RemovedMachine {
    /// Its name on Proxmox VE.
    pub name: String,
    /// Its VM id.
    pub vm_id: u32,
    /// The Proxmox VE node that it is on.
    pub node: String,
}

/// The whole of a [`Plan`] in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything is as the specification says.
    Nothing,
    /// Something could not be determined, and nothing else is left to do.
    Unknown,
    /// A run changes something.
    Changes,
    /// A run would fail.
    Blocked,
}

impl Plan {
    /// The plan in one word: the gravest of its actions.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.steps.iter().map(PlannedStep::verdict);
        verdicts.max().unwrap_or(Verdict::Nothing)
    }

    /// What is planned about the thing called `target` in `step`.
    #[must_use]
    pub fn action(&self, step: StepId, target: &str) -> Option<&Action> {
        let step = self.steps.iter().find(|planned| planned.step == step)?;
        let item = step.items.iter().find(|item| item.target == target)?;
        Some(&item.action)
    }
}

impl PlannedStep {
    /// The step in one word: the gravest of its actions.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.items.iter().map(|item| item.action.verdict());
        verdicts.max().unwrap_or(Verdict::Nothing)
    }
}

impl Action {
    /// The reason, the cause or the present state: what there is to say about it in one line.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Nothing { summary } => summary,
            Self::Create { reason }
            | Self::Change { reason, .. }
            | Self::NeedsPermission { reason, .. } => reason,
            Self::Check { what } => what,
            Self::Unknown { cause } | Self::Blocked { cause, .. } => cause,
            Self::Skipped => "not configured",
        }
    }

    /// Whether the node gave evidence of its identity and version before its configuration was compared.
    pub(crate) fn proves_the_node(&self) -> bool {
        matches!(
            self,
            Self::Nothing { .. } | Self::Change { .. } | Self::NeedsPermission { .. }
        )
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Nothing { .. } | Self::Check { .. } | Self::Skipped => Verdict::Nothing,
            Self::Unknown { .. } => Verdict::Unknown,
            Self::Create { .. } | Self::Change { .. } | Self::NeedsPermission { .. } => {
                Verdict::Changes
            }
            Self::Blocked { .. } => Verdict::Blocked,
        }
    }

    /// What follows from an error of an observation: a server that is away decides nothing, everything else would stop a run.
    fn of_error(error: &Error) -> Self {
        let cause = error.cause_line();
        if error.is_retryable() {
            Self::Unknown { cause }
        } else {
            Self::Blocked {
                cause,
                hint: error.hint().to_owned(),
            }
        }
    }

    fn nothing(summary: impl Into<String>) -> Self {
        Self::Nothing {
            summary: summary.into(),
        }
    }

    fn create(reason: impl Into<String>) -> Self {
        Self::Create {
            reason: reason.into(),
        }
    }

    fn change(reason: impl Into<String>) -> Self {
        Self::Change {
            reason: reason.into(),
            changes: Vec::new(),
        }
    }

    fn unknown(cause: impl Into<String>) -> Self {
        Self::Unknown {
            cause: cause.into(),
        }
    }

    fn check(what: impl Into<String>) -> Self {
        Self::Check { what: what.into() }
    }
}

impl From<&proxmox_client::vm::Diff> for Change {
    fn from(diff: &proxmox_client::vm::Diff) -> Self {
        Self {
            path: diff.path.clone(),
            from: diff.from.clone(),
            to: Some(diff.to.clone()),
        }
    }
}

impl From<&talos_client::config::Diff> for Change {
    fn from(diff: &talos_client::config::Diff) -> Self {
        let path = format!("{} {}", diff.document, diff.path);
        Self {
            path: path.trim().to_owned(),
            from: diff.from.clone(),
            to: diff.to.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn plan(actions: Vec<Action>) -> Plan {
        let items = actions.into_iter().map(|action| PlannedItem {
            target: "a".into(),
            is_machine: false,
            details: Vec::new(),
            action,
        });
        Plan {
            cluster: "c".into(),
            until: StepId::Applications,
            steps: vec![PlannedStep {
                step: StepId::Claim,
                items: items.collect(),
            }],
            removed: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_verdict_is_that_of_the_gravest_action() {
        let nothing = || Action::nothing("is there");
        let blocked = Action::of_error(&Error::new(ErrorKind::NotOurs, "check the VM"));
        let away = || Action::of_error(&Error::new(ErrorKind::Connect, "read"));

        assert_eq!(plan(vec![nothing()]).verdict(), Verdict::Nothing);
        assert_eq!(plan(vec![away(), nothing()]).verdict(), Verdict::Unknown);
        assert_eq!(
            plan(vec![Action::create("missing"), away()]).verdict(),
            Verdict::Changes
        );
        assert_eq!(
            plan(vec![blocked, Action::create("missing")]).verdict(),
            Verdict::Blocked
        );
    }

    #[test]
    fn a_plan_is_read_back_as_it_was_written() {
        let changes = vec![Change {
            path: "cores".into(),
            from: Some("2".into()),
            to: None,
        }];
        let reason = String::from("differs");
        let plan = plan(vec![Action::Change { reason, changes }, Action::Skipped]);

        let text = serde_json::to_string(&plan).unwrap();

        assert!(text.contains(r#""target":"a","is_machine":false,"details":[],"action":"change""#));
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
