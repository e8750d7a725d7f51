//! Failures on demand.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use super::route::Route;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An answer with this status and plain text, as a proxy or the router gives it.
    Status(u16, String),
    /// A refusal of Argo CD: a gRPC code and its text.
    Refuse(i64, String),
    /// 503 with `Retry-After`, in seconds.
    Overloaded(u64),
    /// The answer comes later than usual.
    Delay(Duration),
    /// The connection is closed before anything happens.
    Disconnect,
    /// The request takes effect, and then the connection is closed without an answer.
    LoseAnswer,
    /// The answer breaks off in the middle of its body.
    CutBody,
    /// A successful answer that is not JSON of the right shape.
    Garbage,
}

/// Faults by route: queued ones first, then the standing one.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: HashMap<Route, VecDeque<Fault>>,
    standing: HashMap<Route, Fault>,
}

impl Faults {
    pub(super) fn queue(&mut self, route: Route, fault: Fault) {
        self.queued.entry(route).or_default().push_back(fault);
    }

    pub(super) fn stand(&mut self, route: Route, fault: Fault) {
        self.standing.insert(route, fault);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn take(&mut self, route: Route) -> Option<Fault> {
        let queued = self.queued.get_mut(&route).and_then(VecDeque::pop_front);
        queued.or_else(|| self.standing.get(&route).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_faults_come_once_and_before_the_standing_one() {
        let mut faults = Faults::default();
        faults.stand(Route::ClusterList, Fault::Disconnect);
        faults.queue(Route::ClusterList, Fault::Garbage);

        assert_eq!(faults.take(Route::ClusterList), Some(Fault::Garbage));
        assert_eq!(faults.take(Route::ClusterList), Some(Fault::Disconnect));
        assert_eq!(faults.take(Route::ClusterList), Some(Fault::Disconnect));
        assert_eq!(faults.take(Route::Version), None);
    }
}
