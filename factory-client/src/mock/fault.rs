//! Injected faults.

use std::collections::VecDeque;
use std::time::Duration;

use super::Route;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status with this text, instead of the real answer.
    Status(u16, String),
    /// 503 that asks to wait this many seconds.
    RetryAfter(u64),
    /// The real answer, later.
    Delay(Duration),
    /// The connection is closed without an answer.
    Disconnect,
    /// 200 with bytes that mean nothing.
    Garbage,
    /// The real answer, cut off after this many bytes of its body.
    Truncate(u64),
    /// The real answer, of which nothing comes any more after this many bytes of its body.
    Stall(u64),
    /// The real answer with the byte at this offset of its body changed.
    Corrupt(u64),
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    once: VecDeque<(Route, Fault)>,
    always: Vec<(Route, Fault)>,
}

impl Faults {
    pub(super) fn push(&mut self, route: Route, fault: Fault) {
        self.once.push_back((route, fault));
    }

    pub(super) fn set(&mut self, route: Route, fault: Fault) {
        self.always.retain(|(other, _)| *other != route);
        self.always.push((route, fault));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault for this request: the oldest single one, else the standing one.
    pub(super) fn take(&mut self, route: Route) -> Option<Fault> {
        if let Some(at) = self.once.iter().position(|(other, _)| *other == route) {
            return self.once.remove(at).map(|(_, fault)| fault);
        }
        let standing = self.always.iter().find(|(other, _)| *other == route);
        standing.map(|(_, fault)| fault.clone())
    }
}
