//! What goes on right now: one line for each step, and for each machine that it works on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lungmen_bootstrap::{Event, EventKind, StepId};

use super::text::{duration, short};

/// A step, or what it does on one machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) step: StepId,
    pub(crate) machine: Option<String>,
}

impl Key {
    pub(crate) fn of(event: &Event) -> Self {
        Self {
            step: event.step,
            machine: event.machine.clone(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.machine {
            Some(machine) => f.pad(&format!("{} {}", self.step, short(machine))),
            None => f.pad(self.step.name()),
        }
    }
}

/// What is being done, or waited for and why.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doing {
    Working(String),
    Waiting {
        what: String,
        cause: String,
        deadline: Duration,
    },
}

/// One line of the board.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) key: Key,
    started: jiff::Timestamp,
    doing: Doing,
}

impl Line {
    /// The line without its time: the cause first, because the end of a line may be cut off.
    pub(crate) fn text(&self) -> String {
        match &self.doing {
            Doing::Working(text) => text.clone(),
            Doing::Waiting {
                what,
                cause,
                deadline,
            } => format!(
                "{cause} (waiting for {what}, at most {})",
                duration(*deadline)
            ),
        }
    }

    /// The line with how long it has lasted.
    pub(crate) fn with_time(&self, now: jiff::Timestamp) -> String {
        let elapsed = now.duration_since(self.started).unsigned_abs();
        format!("{} {}: {}", self.key, duration(elapsed), self.text())
    }
}

/// The lines of the steps that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Board {
    lines: Vec<Line>,
    warned: BTreeSet<String>,
}

impl Board {
    /// Takes note of an event. Returns the line that it changed.
    pub(crate) fn note(&mut self, event: &Event) -> Option<&Line> {
        let doing = match &event.kind {
            EventKind::StepStarted => Doing::Working(event.step.title().to_owned()),
            EventKind::Acting { reason } => Doing::Working(reason.clone()),
            EventKind::Waiting {
                waiting_for,
                cause,
                deadline,
                ..
            } => Doing::Waiting {
                what: waiting_for.clone(),
                cause: cause.clone(),
                deadline: *deadline,
            },
            EventKind::Transfer { what, done, total } => {
                Doing::Working(transferred(what, *done, *total))
            }
            EventKind::StepFinished { .. } | EventKind::StepFailed { .. } => {
                self.lines.retain(|line| line.key.step != event.step);
                return None;
            }
            _ => return None,
        };
        let key = Key::of(event);
        let index = match self.lines.iter().position(|line| line.key == key) {
            Some(index) => index,
            None => {
                self.lines.push(Line {
                    key,
                    started: event.at,
                    doing: doing.clone(),
                });
                self.lines.len() - 1
            }
        };
        self.lines[index].doing = doing;
        Some(&self.lines[index])
    }

    /// The lines that say most: a step is left out while lines of its machines tell more.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| {
            let mut others = self.lines.iter();
            line.key.machine.is_some()
                || !others
                    .any(|other| other.key.step == line.key.step && other.key.machine.is_some())
        })
    }

    /// Whether the warning is a new one.
    pub(crate) fn is_news(&mut self, warning: &str) -> bool {
        self.warned.insert(warning.to_owned())
    }
}

fn transferred(what: &str, done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => format!("{} %: {what}", done.saturating_mul(100) / total),
        _ => format!("{} MiB: {what}", done >> 20),
    }
}
