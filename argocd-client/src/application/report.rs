//! The readiness of several applications, for programs and for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::status::{HealthStatus, OperationPhase, SyncStatus};

/// One application in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadinessRow {
    /// Name.
    pub name: String,
    /// Namespace of the application object.
    pub namespace: String,
    /// Project.
    pub project: String,
    /// Comparison with the source.
    pub sync: SyncStatus,
    /// Health.
    pub health: HealthStatus,
    /// The running or last operation; unset when there was none.
    pub operation: OperationPhase,
    /// Why it is not ready, in the words of the server; may be empty.
    pub message: String,
    /// Whether all conditions hold.
    pub ready: bool,
    /// Whether the last operation failed and the controller will not repeat it.
    pub failed: bool,
}

impl fmt::Display for ReadinessRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {}, {}",
            self.name,
            or_dash(self.sync.as_str()),
            or_dash(self.health.as_str())
        )?;
        if self.operation != OperationPhase::Unset && self.operation != OperationPhase::Succeeded {
            write!(f, ", operation {}", self.operation)?;
        }
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

/// The applications of a cluster at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadinessReport {
    /// One row for every application, sorted by namespace and name.
    pub rows: Vec<ReadinessRow>,
    /// How many applications must exist.
    pub expected: usize,
    /// Why the report is not newer, when the last probe failed.
    pub last_error: Option<String>,
    /// Whether all are ready, but not the same ones for as long as
    /// [`TargetWait::stable_for`](super::TargetWait::stable_for) asks.
    #[serde(default)]
    pub changing: bool,
}

impl ReadinessReport {
    pub(super) fn new(mut rows: Vec<ReadinessRow>, expected: usize) -> Self {
        rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Self {
            rows,
            expected,
            last_error: None,
            changing: false,
        }
    }

    /// Whether there are enough applications and all of them are ready, for long enough.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.changing && self.rows.len() >= self.expected && self.rows.iter().all(|row| row.ready)
    }

    /// Whether waiting longer is useless: every application that is not ready has a failed operation
    /// that the controller will not repeat.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        let mut pending = self.pending().peekable();
        self.rows.len() >= self.expected
            && pending.peek().is_some()
            && pending.all(|row| row.failed)
    }

    /// The applications that are not ready.
    pub fn pending(&self) -> impl Iterator<Item = &ReadinessRow> {
        self.rows.iter().filter(|row| !row.ready)
    }

    /// One line: how many are ready, and why the first one is not.
    #[must_use]
    pub fn summary(&self) -> String {
        let ready = self.rows.iter().filter(|row| row.ready).count();
        let mut text = format!(
            "{ready} of {} applications ready",
            self.rows.len().max(self.expected)
        );
        if let Some(row) = self.pending().next() {
            text.push_str(&format!("; {row}"));
        } else if self.rows.len() < self.expected {
            text.push_str(&format!("; only {} exist", self.rows.len()));
        } else if self.changing {
            text.push_str("; not the same ones for long enough");
        }
        text
    }
}

/// A table for people: one line per application.
impl fmt::Display for ReadinessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 7] = [
            "NAMESPACE",
            "NAME",
            "PROJECT",
            "SYNC",
            "HEALTH",
            "OPERATION",
            "MESSAGE",
        ];
        let cells = |row: &ReadinessRow| {
            [
                row.namespace.clone(),
                row.name.clone(),
                row.project.clone(),
                or_dash(row.sync.as_str()).to_owned(),
                or_dash(row.health.as_str()).to_owned(),
                or_dash(row.operation.as_str()).to_owned(),
                row.message.replace('\n', " "),
            ]
        };
        let lines: Vec<_> = std::iter::once(HEAD.map(str::to_owned))
            .chain(self.rows.iter().map(cells))
            .collect();
        let widths: Vec<usize> = (0..HEAD.len() - 1)
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let mut text = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                text.push_str(&format!("{cell:width$}  "));
            }
            text.push_str(&line[HEAD.len() - 1]);
            f.write_str(text.trim_end())?;
        }
        Ok(())
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sync: SyncStatus, health: HealthStatus, ready: bool) -> ReadinessRow {
        ReadinessRow {
            name: "cilium".to_owned(),
            namespace: "argocd".to_owned(),
            project: "default".to_owned(),
            sync,
            health,
            operation: OperationPhase::Unset,
            message: String::new(),
            ready,
            failed: false,
        }
    }

    #[test]
    fn a_report_needs_enough_applications_and_prints_a_table() {
        let ready = row(SyncStatus::Synced, HealthStatus::Healthy, true);
        let pending = row(SyncStatus::Unset, HealthStatus::Unset, false);
        let few = ReadinessReport::new(vec![ready.clone()], 2);
        let report = ReadinessReport::new(vec![pending, ready], 1);

        assert!(!few.is_ready());
        assert_eq!(few.summary(), "1 of 2 applications ready; only 1 exist");
        assert!(!report.is_ready());
        assert_eq!(
            report.summary(),
            "1 of 2 applications ready; cilium is -, -"
        );
        assert_eq!(
            report.to_string(),
            "NAMESPACE  NAME    PROJECT  SYNC    HEALTH   OPERATION  MESSAGE\n\
             argocd     cilium  default  -       -        -\n\
             argocd     cilium  default  Synced  Healthy  -"
        );
    }
}
