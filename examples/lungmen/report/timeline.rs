//! From events to rows: when each step and machine did what, and waited for what.

use std::time::Duration;

use jiff::Timestamp;
use lungmen_bootstrap::{Event, EventKind, Outcome};

use crate::progress::board::Key;

/// What a stretch of time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Action,
    Wait,
    Transfer,
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// What was done, or waited for.
    pub(super) what: String,
    /// Of a wait: why it had not ended, the last time.
    pub(super) cause: String,
    /// Of a wait: how many times it was looked.
    pub(super) attempts: u32,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finished(Outcome),
    Failed,
    /// It had not ended when the run was interrupted.
    Open,
}

/// A step, or one machine in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) end: End,
    pub(super) pieces: Vec<Piece>,
}

impl Row {
    pub(super) fn duration(&self) -> Duration {
        self.to.duration_since(self.from).unsigned_abs()
    }
}

/// The rows in the order of their steps, each step before its machines.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) rows: Vec<Row>,
}

impl Timeline {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut timeline = Self::default();
        for event in events {
            timeline.note(event);
        }
        timeline.rows.sort_by(|a, b| a.key.cmp(&b.key));
        timeline
    }

    pub(super) fn start(&self) -> Option<Timestamp> {
        self.rows.iter().map(|row| row.from).min()
    }

    pub(super) fn end(&self) -> Option<Timestamp> {
        self.rows.iter().map(|row| row.to).max()
    }

    fn note(&mut self, event: &Event) {
        let row = self.row(event);
        row.to = row.to.max(event.at);
        match &event.kind {
            EventKind::Acting { reason } => row.piece(Kind::Action, event.at, reason),
            EventKind::Deleting { what } => {
                row.piece(Kind::Action, event.at, &format!("delete {what}"));
            }
            EventKind::Transfer { what, .. } => row.extend(Kind::Transfer, event.at, what),
            EventKind::Waiting {
                waiting_for,
                cause,
                attempt,
                elapsed,
                ..
            } => {
                let from = event.at.checked_sub(*elapsed).unwrap_or(event.at);
                row.extend(Kind::Wait, from, waiting_for);
                if let Some(piece) = row.pieces.last_mut() {
                    piece.to = event.at;
                    piece.cause.clone_from(cause);
                    piece.attempts = *attempt;
                }
            }
            EventKind::StepFinished { outcome, .. } => {
                self.finish(event, End::Finished(*outcome));
            }
            EventKind::StepFailed { .. } => self.finish(event, End::Failed),
            _ => {}
        }
    }

    fn row(&mut self, event: &Event) -> &mut Row {
        let key = Key::of(event);
        let index = match self.rows.iter().position(|row| row.key == key) {
            Some(index) => index,
            None => {
                self.rows.push(Row {
                    key,
                    from: event.at,
                    to: event.at,
                    end: End::Open,
                    pieces: Vec::new(),
                });
                self.rows.len() - 1
            }
        };
        &mut self.rows[index]
    }

    /// A step ends for all of its machines, or fails for one of them while the others go on.
    fn finish(&mut self, event: &Event, end: End) {
        let machine = event.machine.as_deref();
        let ends = |key: &Key| {
            let is_other =
                machine.is_some() && key.machine.as_deref().is_some_and(|it| Some(it) != machine);
            key.step == event.step && !is_other
        };
        for row in self.rows.iter_mut().filter(|row| ends(&row.key)) {
            row.end = end;
            if row.key.machine.is_none() {
                row.to = event.at;
            }
            // What the step did went on until it was finished.
            if let Some(piece) = row.pieces.last_mut().filter(|it| it.kind == Kind::Action) {
                piece.to = row.to;
            }
        }
    }
}

impl Row {
    /// A new stretch; an action before it lasted until now.
    fn piece(&mut self, kind: Kind, from: Timestamp, what: &str) {
        if let Some(last) = self.pieces.last_mut().filter(|it| it.kind == Kind::Action) {
            last.to = last.to.max(from);
        }
        self.pieces.push(Piece {
            kind,
            from,
            to: from,
            what: what.to_owned(),
            cause: String::new(),
            attempts: 0,
        });
    }

    /// The same stretch goes on, or a new one begins.
    fn extend(&mut self, kind: Kind, from: Timestamp, what: &str) {
        match self.pieces.last_mut() {
            Some(last) if last.kind == kind && last.what == what => last.to = last.to.max(from),
            _ => self.piece(kind, from, what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// An event as the lines of a run have it.
    fn event(second: i64, machine: Option<&str>, kind: serde_json::Value) -> Event {
        let mut event = json!({
            "at": at(second), "cluster": "c", "step": "apply", "machine": machine,
        });
        let fields = kind.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(event).unwrap()
    }

    fn waiting(second: i64, what: &str, attempt: u32, elapsed: u64) -> Event {
        event(
            second,
            Some("a.b"),
            json!({
                "event": "waiting", "waiting_for": what, "cause": format!("cause {attempt}"),
                "attempt": attempt, "elapsed_ms": elapsed * 1000, "deadline_ms": 60_000,
            }),
        )
    }

    #[test]
    fn waits_of_a_machine_are_stretches_with_their_last_cause() {
        let timeline = Timeline::of(&[
            event(0, None, json!({ "event": "step-started" })),
            event(
                1,
                Some("a.b"),
                json!({ "event": "acting", "reason": "not applied" }),
            ),
            waiting(3, "the node", 1, 1),
            waiting(9, "the node", 4, 7),
            waiting(12, "the API", 1, 2),
            event(
                14,
                None,
                json!({ "event": "step-finished", "outcome": "done", "summary": "", "duration_ms": 14_000 }),
            ),
        ]);

        let [step, machine] = timeline.rows.as_slice() else {
            panic!("{timeline:#?}");
        };
        assert_eq!((step.from, step.to), (at(0), at(14)));
        assert_eq!(machine.end, End::Finished(Outcome::Done));
        let pieces: Vec<_> = machine
            .pieces
            .iter()
            .map(|it| (it.kind, it.from, it.to, it.attempts))
            .collect();
        assert_eq!(
            pieces,
            [
                (Kind::Action, at(1), at(2), 0),
                (Kind::Wait, at(2), at(9), 4),
                (Kind::Wait, at(10), at(12), 1),
            ]
        );
        assert_eq!(machine.pieces[1].cause, "cause 4");
    }
}
