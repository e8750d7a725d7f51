//! What a mock node was asked.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
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

/// The messages of calls as they arrived, when the mock keeps them.
#[derive(Debug, Default)]
pub(super) struct Requests {
    received: Mutex<Vec<(Route, Body)>>,
}

/// The body of one request, which grows while it arrives.
#[derive(Debug, Clone, Default)]
pub(super) struct Body(Arc<Mutex<Vec<u8>>>);

impl Body {
    pub(super) fn push(&self, data: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(data);
    }

    /// The messages that have arrived completely, without the five bytes before each.
    fn messages(&self) -> Vec<Bytes> {
        let mut rest = Bytes::from(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        );
        let mut messages = Vec::new();
        while rest.len() >= 5 {
            rest.advance(1);
            let length = usize::try_from(rest.get_u32()).unwrap_or(usize::MAX);
            if rest.len() < length {
                break;
            }
            messages.push(rest.split_to(length));
        }
        messages
    }
}

impl Requests {
    pub(super) fn begin(&self, route: Route) -> Body {
        let body = Body::default();
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((route, body.clone()));
        body
    }

    /// The messages of each call of `route`.
    pub(super) fn of(&self, route: Route) -> Vec<Vec<Bytes>> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let bodies = received.iter().filter(|(of, _)| *of == route);
        bodies.map(|(_, body)| body.messages()).collect()
    }
}
