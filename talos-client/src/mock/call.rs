//! What a mock node was asked.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::route::Route;

/// A call that a mock node has received. It holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Call {
    /// The path of the HTTP/2 request, for example `/machine.MachineService/Bootstrap`.
    pub path: String,
    /// The method; `None` when the mock does not serve it.
    pub route: Option<Route>,
    /// The node that the call was to be forwarded to.
    pub node: Option<String>,
    /// The roles of the client certificate; empty without one.
    pub roles: Vec<String>,
    /// Whether the node was in maintenance mode.
    pub in_maintenance: bool,
}

impl Call {
    /// The last part of the path, for example `Bootstrap`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    received: Mutex<Vec<Call>>,
}

impl Calls {
    pub(super) fn record(&self, call: Call) {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call);
    }

    pub(super) fn received(&self) -> Vec<Call> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
