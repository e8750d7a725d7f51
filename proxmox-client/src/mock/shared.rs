//! What everything of a mock shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::Call;
use super::fault::{Fault, FaultQueue};
use super::route::Route;
use super::state::State;
use crate::tls::TlsTrust;

/// What the connections, the tasks and the handle of a mock share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    server: Arc<Server>,
}

#[derive(Debug)]
struct Server {
    state: Mutex<State>,
    faults: FaultQueue<Route>,
    calls: Mutex<Vec<Call>>,
    /// Which certificates the node accepts when it downloads a URL.
    download_trust: TlsTrust,
}

impl Shared {
    pub(super) fn new(state: State, download_trust: TlsTrust) -> Self {
        Self {
            server: Arc::new(Server {
                state: Mutex::new(state),
                faults: FaultQueue::default(),
                calls: Mutex::default(),
                download_trust,
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.server
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.server
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, call: Call) {
        self.calls().push(call);
    }

    pub(super) fn faults(&self) -> &FaultQueue<Route> {
        &self.server.faults
    }

    pub(super) fn download_trust(&self) -> &TlsTrust {
        &self.server.download_trust
    }

    pub(super) fn take_fault(&self, route: Route) -> Option<Fault> {
        self.server.faults.take(route)
    }
}
