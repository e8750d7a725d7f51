//! Failures on demand: what a mock node does instead of answering properly.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::route::Route;
use crate::Code;

/// What goes wrong with a call.
///
/// "Has its effect" means that the state of the mock changes as it would without the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This gRPC status with this text. The call has no effect.
    Status(Code, String),
    /// The usual response, this much later. The call has its effect after the delay.
    Delay(Duration),
    /// No response: the connection stays open and nothing comes. The call has no effect.
    Stall,
    /// The connection closes without a response. The call has no effect.
    Disconnect,
    /// The connection closes without a response. The call has its effect.
    DropResponse,
}

impl Fault {
    /// [`Fault::Status`] with a text.
    pub fn status(code: Code, message: impl Into<String>) -> Self {
        Self::Status(code, message.into())
    }
}

/// The faults of a mock by route: those for one call in order, then the permanent one.
#[derive(Debug, Default)]
pub(super) struct FaultQueue {
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    next: HashMap<Route, VecDeque<Fault>>,
    always: HashMap<Route, Fault>,
}

impl FaultQueue {
    pub(super) fn fail_next(&self, route: Route, fault: Fault) {
        self.lock().next.entry(route).or_default().push_back(fault);
    }

    pub(super) fn fail_always(&self, route: Route, fault: Fault) {
        self.lock().always.insert(route, fault);
    }

    pub(super) fn clear(&self) {
        *self.lock() = Faults::default();
    }

    /// The fault for a call of `route`.
    pub(super) fn take(&self, route: Route) -> Option<Fault> {
        let mut faults = self.lock();
        let next = faults.next.get_mut(&route).and_then(VecDeque::pop_front);
        next.or_else(|| faults.always.get(&route).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_for_one_call_come_in_order_and_before_the_permanent_one() {
        let faults = FaultQueue::default();
        faults.fail_always(Route::Version, Fault::Stall);
        faults.fail_next(Route::Version, Fault::Disconnect);
        faults.fail_next(Route::Version, Fault::DropResponse);

        let taken: Vec<_> = (0..4).filter_map(|_| faults.take(Route::Version)).collect();

        assert_eq!(
            taken,
            [
                Fault::Disconnect,
                Fault::DropResponse,
                Fault::Stall,
                Fault::Stall
            ]
        );
        assert_eq!(faults.take(Route::Bootstrap), None);
        faults.clear();
        assert_eq!(faults.take(Route::Version), None);
    }
}
