//! What a run would do, without doing it.

use std::fmt;

use serde::Serialize;

use crate::run::step::StepId;

/// The steps of a run with what each will see to. It is made without any call and holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The name of the cluster.
    pub cluster: String,
    /// The steps in order.
    pub steps: Vec<PlannedStep>,
}

/// One step of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// The step.
    pub step: StepId,
    /// What it achieves, in one line.
    pub title: &'static str,
    /// What exactly, one line each.
    pub details: Vec<String>,
}

impl PlannedStep {
    pub(crate) fn new(step: StepId, details: impl IntoIterator<Item = String>) -> Self {
        Self {
            step,
            title: step.title(),
            details: details.into_iter().collect(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan for cluster {}", self.cluster)?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "\n{:>2}. {} ({})", index + 1, step.title, step.step)?;
            for detail in &step.details {
                writeln!(f, "    {detail}")?;
            }
        }
        Ok(())
    }
}
