//! What goes on right now: one line for each step, and for each machine that it works on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lungmen_bootstrap::{Event, EventKind, StepId};

use super::text::{duration, folded, short};

/// How many lines of the screen one line of the board may take.
const ROWS: usize = 5;
/// The columns of the sign that something was cut off.
const CUT: usize = 2;

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

    /// Whether what is said of this machine, or of the whole step, is said of the line too.
    fn is_of(&self, machine: Option<&str>) -> bool {
        machine.is_none() || self.machine.as_deref() == machine
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
    /// The line without its time: the cause first, because the end may be cut off.
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

    /// The same on as many lines of the screen as it needs. Only a text that would fill the screen is cut off.
    pub(crate) fn fitted(&self, now: jiff::Timestamp, width: usize) -> String {
        let text = folded(&self.with_time(now), Some(width - CUT));
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.len() <= ROWS {
            return text;
        }
        lines.truncate(ROWS);
        format!("{} …", lines.join("\n"))
    }
}

/// The lines of the steps that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Board {
    lines: Vec<Line>,
    warned: BTreeSet<String>,
    machines: BTreeSet<String>,
}

impl Board {
    /// Takes note of an event. Returns the line that it changed.
    pub(crate) fn note(&mut self, event: &Event) -> Option<&Line> {
        self.machines.extend(event.machine.clone());
        let doing = match &event.kind {
            EventKind::StepStarted => Doing::Working(event.step.title().to_owned()),
            EventKind::Acting { reason } => Doing::Working(self.shortened(reason)),
            EventKind::Waiting {
                waiting_for,
                cause,
                deadline,
                ..
            } => Doing::Waiting {
                what: self.shortened(waiting_for),
                cause: self.shortened(cause),
                deadline: *deadline,
            },
            EventKind::Transfer { what, done, total } => {
                Doing::Working(transferred(&self.shortened(what), *done, *total))
            }
            EventKind::StepFinished { .. } | EventKind::StepFailed { .. } => {
                self.remove(|line| line.step == event.step && line.is_of(event.machine.as_deref()));
                return None;
            }
            _ => return None,
        };
        let key = Key::of(event);
        if let Some(machine) = event.machine.as_deref() {
            // The machine has passed the steps before, which others may still be in.
            self.remove(|line| line.step < event.step && line.machine.as_deref() == Some(machine));
        }
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

    /// A text with the names of machines up to their first dots.
    pub(crate) fn shortened(&self, text: &str) -> String {
        // A name that ends like another one is replaced before it.
        let mut names: Vec<&String> = self.machines.iter().collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let names = names.into_iter();
        names.fold(text.to_owned(), |text, name| {
            text.replace(name, short(name))
        })
    }

    /// What an event says beside the line of its machine, which names the machine already.
    pub(crate) fn remark(&self, event: &Event, text: &str) -> String {
        let text = self.shortened(text);
        let name = event
            .machine
            .as_deref()
            .map(|name| format!("{}: ", short(name)));
        let rest = name.and_then(|name| text.strip_prefix(&name).map(str::to_owned));
        rest.unwrap_or(text)
    }

    /// Whether something is still said of the step or the machine.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.lines.iter().any(|line| line.key == *key)
    }

    fn remove(&mut self, is_over: impl Fn(&Key) -> bool) {
        self.lines.retain(|line| !is_over(&line.key));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MACHINE: &str = "control-plane-01.production.eu-west.example.org";
    /// The causes that are longest in practice.
    const CAUSES: [&str; 3] = [
        "connection refused: connect to https://control-plane-01.production.eu-west.example.org:6443: tcp connect error",
        "not ready: nodes control-plane-01.production.eu-west.example.org, worker-01.production.eu-west.example.org",
        "etcd is Preparing; the node waits for a member to join, or for Bootstrap",
    ];

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    fn waiting(cause: &str) -> Event {
        serde_json::from_value(json!({
            "at": at(0), "cluster": "c", "step": "etcd-bootstrap", "machine": MACHINE, "event": "waiting",
            "waiting_for": format!("{MACHINE} to boot"), "cause": cause, "attempt": 7, "elapsed_ms": 1000,
            "deadline_ms": 600_000,
        }))
        .unwrap()
    }

    fn fitted(cause: &str, width: usize) -> String {
        let mut board = Board::default();
        board.note(&waiting(cause));
        board.lines[0].fitted(at(3599), width)
    }

    /// The words of a text, whatever lines they are on.
    fn joined(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_narrow_screen_shows_the_whole_line_with_the_cause_first_and_names_shortened() {
        for width in [60, 80] {
            for cause in CAUSES {
                let text = fitted(cause, width);

                for line in text.lines() {
                    let columns = textwrap::core::display_width(line);
                    assert!(columns <= width, "{columns} columns: {line}");
                }
                let cause = cause.replace(MACHINE, "control-plane-01");
                assert_eq!(
                    joined(&text),
                    format!(
                        "etcd-bootstrap control-plane-01 59 min: {cause} (waiting for control-plane-01 to boot, at most 10 min)"
                    ),
                    "{width}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_would_fill_the_screen_is_cut_off_and_says_so() {
        let text = fitted(&"error ".repeat(500), 60);

        assert_eq!(text.lines().count(), ROWS);
        assert!(text.ends_with(" …"), "{text}");
        assert!(text.starts_with("etcd-bootstrap control-plane-01 59 min: error"));
        for line in text.lines() {
            assert!(textwrap::core::display_width(line) <= 60, "{line}");
        }
    }
}
