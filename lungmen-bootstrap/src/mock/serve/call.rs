//! The requests that a mock server received.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// A request that a mock server received.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The method, for example `PATCH`.
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// The query without its `?`; empty when there is none.
    pub query: String,
    /// The body, with secret values masked.
    pub body: Option<Value>,
}

/// Every request with its route.
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

    /// The route of each call, in order.
    pub(in crate::mock) fn routes(&self) -> Vec<R> {
        lock(&self.calls).iter().map(|(route, _)| *route).collect()
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
