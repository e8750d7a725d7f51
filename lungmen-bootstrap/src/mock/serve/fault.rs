//! Failures on demand: what a mock server does instead of answering properly.
//!
//! Mirrored: the same text stands in every mock of the workspace that speaks HTTP, and a policy test compares the copies.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong with a request.
///
/// "Has its effect" means that the mock's state changes as it would without the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status with this text, where the real server has it. The request has no effect.
    Status(u16, String),
    /// 503 with this `Retry-After`, in whole seconds. The request has no effect.
    RetryAfter(Duration),
    /// The usual response, this much later. The request has its effect at once.
    Delay(Duration),
    /// No response: the connection stays open and nothing comes. The request has no effect.
    Stall,
    /// The response starts as usual, and nothing more comes after this many bytes of its body. The request has its effect.
    StallBody(u64),
    /// The connection closes without a response. The request has no effect.
    Disconnect,
    /// The connection closes without a response. The request has its effect.
    DropResponse,
    /// The connection closes after this many bytes of the usual body. The request has its effect.
    TruncateBody(u64),
    /// The usual response with one byte of its body changed, at this offset. The request has its effect.
    CorruptBody(u64),
    /// 200 with a body that is not of the expected form. The request has no effect.
    Garbage,
}

/// The faults of a mock by route: those for one request in order, then the permanent one.
#[derive(Debug)]
pub(crate) struct FaultQueue<R> {
    faults: Mutex<Faults<R>>,
}

#[derive(Debug)]
struct Faults<R> {
    next: HashMap<R, VecDeque<Fault>>,
    always: HashMap<R, Fault>,
}

impl<R: Copy + Eq + Hash> FaultQueue<R> {
    /// Makes the next request to `route` fail with `fault`; calls are queued in order.
    pub(crate) fn fail_next(&self, route: R, fault: Fault) {
        self.lock().next.entry(route).or_default().push_back(fault);
    }

    /// Makes every request to `route` fail with `fault`, once the queued faults are used up.
    pub(crate) fn fail_always(&self, route: R, fault: Fault) {
        self.lock().always.insert(route, fault);
    }

    /// Removes all faults.
    pub(crate) fn clear(&self) {
        *self.lock() = Faults::default();
    }

    /// The fault for a request to `route`.
    pub(crate) fn take(&self, route: R) -> Option<Fault> {
        let mut faults = self.lock();
        let next = faults.next.get_mut(&route).and_then(VecDeque::pop_front);
        next.or_else(|| faults.always.get(&route).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Faults<R>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Default for FaultQueue<R> {
    fn default() -> Self {
        Self {
            faults: Mutex::default(),
        }
    }
}

impl<R> Default for Faults<R> {
    fn default() -> Self {
        Self {
            next: HashMap::new(),
            always: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod fault_tests {
    use super::*;

    #[test]
    fn faults_for_one_request_come_in_order_and_before_the_permanent_one() {
        let faults = FaultQueue::default();
        faults.fail_always(1, Fault::Garbage);
        faults.fail_next(1, Fault::Disconnect);
        faults.fail_next(1, Fault::Stall);
        faults.fail_next(2, Fault::DropResponse);

        let taken: Vec<_> = (0..4).map(|_| faults.take(1)).collect();

        assert_eq!(
            taken,
            [
                Some(Fault::Disconnect),
                Some(Fault::Stall),
                Some(Fault::Garbage),
                Some(Fault::Garbage)
            ]
        );
        faults.clear();
        assert_eq!(faults.take(1), None);
        assert_eq!(faults.take(2), None);
    }
}
