//! Faults to inject, and the calls that were made.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// What a faked server does instead of answering properly.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Answers with this status and this text as its body.
    Status(u16, String),
    /// Answers properly, but only after this time.
    Delay(Duration),
    /// Closes the connection without an answer.
    Disconnect,
    /// Answers 200 with something that is not JSON.
    Garbage,
}

/// A request as a faked server saw it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The method, for example `PATCH`.
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// The query without its `?`; empty when there is none.
    pub query: String,
    /// The body; secret values are masked.
    pub body: Option<Value>,
}

/// Faults waiting for a request of their route.
#[derive(Debug)]
pub(in crate::mock) struct FaultQueue<R> {
    faults: Mutex<Faults<R>>,
}

#[derive(Debug)]
struct Faults<R> {
    next: Vec<(R, Fault)>,
    always: Vec<(R, Fault)>,
}

impl<R> Default for FaultQueue<R> {
    fn default() -> Self {
        Self {
            faults: Mutex::new(Faults {
                next: Vec::new(),
                always: Vec::new(),
            }),
        }
    }
}

impl<R: PartialEq> FaultQueue<R> {
    pub(in crate::mock) fn next(&self, route: R, fault: Fault) {
        lock(&self.faults).next.push((route, fault));
    }

    pub(in crate::mock) fn always(&self, route: R, fault: Fault) {
        lock(&self.faults).always.push((route, fault));
    }

    pub(in crate::mock) fn clear(&self) {
        let mut faults = lock(&self.faults);
        faults.next.clear();
        faults.always.clear();
    }

    /// The fault for a request of `route`: the oldest single one, else a standing one.
    pub(in crate::mock) fn take(&self, route: &R) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        if let Some(at) = faults.next.iter().position(|(of, _)| of == route) {
            return Some(faults.next.remove(at).1);
        }
        let standing = faults.always.iter().find(|(of, _)| of == route);
        standing.map(|(_, fault)| fault.clone())
    }
}

/// Every call with its route.
#[derive(Debug)]
pub(in crate::mock) struct CallLog<R> {
    calls: Mutex<Vec<(R, Call)>>,
}

impl<R> Default for CallLog<R> {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
        }
    }
}

impl<R: PartialEq + Copy> CallLog<R> {
    pub(in crate::mock) fn record(&self, route: R, call: Call) {
        lock(&self.calls).push((route, call));
    }

    pub(in crate::mock) fn all(&self) -> Vec<Call> {
        lock(&self.calls)
            .iter()
            .map(|(_, call)| call.clone())
            .collect()
    }

    /// # Panics
    ///
    /// When `route` was not called exactly `times` times.
    #[track_caller]
    pub(in crate::mock) fn assert(&self, route: R, times: usize) {
        let calls = lock(&self.calls);
        let found = calls.iter().filter(|(of, _)| *of == route).count();
        let lines: Vec<String> = calls
            .iter()
            .map(|(_, call)| format!("  {} {}?{}", call.method, call.path, call.query))
            .collect();
        assert!(
            found == times,
            "expected {times} calls, saw {found}; all calls:\n{}",
            lines.join("\n")
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_faults_come_in_order_and_before_standing_ones() {
        let faults = FaultQueue::default();
        faults.always(1, Fault::Garbage);
        faults.next(1, Fault::Disconnect);
        faults.next(2, Fault::Disconnect);

        assert!(matches!(faults.take(&1), Some(Fault::Disconnect)));
        assert!(matches!(faults.take(&1), Some(Fault::Garbage)));
        assert!(matches!(faults.take(&1), Some(Fault::Garbage)));
        faults.clear();
        assert!(faults.take(&2).is_none());
    }
}
