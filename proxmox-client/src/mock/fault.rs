//! Failures on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::route::Route;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status with this text, in the status line and the body as the real server has it; the
    /// call has no effect.
    Status(u16, String),
    /// The answer comes later than this; the call has its effect at once.
    Delay(Duration),
    /// The connection closes without an answer; the call has no effect.
    Disconnect,
    /// The call has its effect, and then the connection closes without an answer.
    DisconnectAfter,
    /// An answer that is no envelope; the call has no effect.
    Garbage,
}

impl Fault {
    /// The refusal of a busy VM, which passes.
    #[must_use]
    pub fn locked(vmid: u32) -> Self {
        let text =
            format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
        Self::Status(500, text)
    }

    /// The refusal for a missing privilege.
    #[must_use]
    pub fn forbidden(path: &str, privilege: &str) -> Self {
        Self::Status(
            403,
            format!("Permission check failed ({path}, {privilege})"),
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct FaultQueue {
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    once: HashMap<Route, VecDeque<Fault>>,
    always: HashMap<Route, Fault>,
}

impl FaultQueue {
    pub(super) fn once(&self, route: Route, fault: Fault) {
        let mut queues = self.lock();
        queues.once.entry(route).or_default().push_back(fault);
    }

    pub(super) fn always(&self, route: Route, fault: Fault) {
        self.lock().always.insert(route, fault);
    }

    pub(super) fn clear(&self, route: Route) {
        let mut queues = self.lock();
        queues.once.remove(&route);
        queues.always.remove(&route);
    }

    /// One-shot faults come before the standing one.
    pub(super) fn take(&self, route: Route) -> Option<Fault> {
        let mut queues = self.lock();
        let once = queues.once.get_mut(&route).and_then(VecDeque::pop_front);
        once.or_else(|| queues.always.get(&route).cloned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
