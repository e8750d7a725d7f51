//! What a mock node was asked, and what it is told to answer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Code;

/// The methods that the mock serves, by their last name; each is unique.
pub(super) const METHODS: [&str; 24] = [
    "ApplyConfiguration",
    "Bootstrap",
    "Disks",
    "Dmesg",
    "EtcdMemberList",
    "EtcdStatus",
    "Events",
    "Get",
    "HealthCheck",
    "Hostname",
    "ImageList",
    "Kubeconfig",
    "List",
    "Logs",
    "Memory",
    "Read",
    "Reboot",
    "Reset",
    "ServiceList",
    "Shutdown",
    "SystemStat",
    "Time",
    "Version",
    "Watch",
];

/// A call that a mock node has received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Its path, for example `/machine.MachineService/Bootstrap`.
    pub path: String,
    /// The node it was to be passed on to.
    pub node: Option<String>,
    /// The roles of the client certificate; empty without one.
    pub roles: Vec<String>,
    /// Whether the node was in maintenance mode.
    pub in_maintenance: bool,
}

impl Call {
    /// Its last name, for example `Bootstrap`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What happens to a call instead of an answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Status(Code, String),
    Delay(Duration),
    Disconnect,
    LoseAnswer,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    received: Mutex<Vec<Call>>,
    next: Mutex<VecDeque<(&'static str, Fault)>>,
    always: Mutex<Vec<(&'static str, Fault)>>,
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

    pub(super) fn fail_next(&self, method: &'static str, fault: Fault) {
        self.next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back((method, fault));
    }

    pub(super) fn fail_always(&self, method: &'static str, fault: Fault) {
        self.always
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((method, fault));
    }

    pub(super) fn clear_faults(&self) {
        self.next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.always
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The fault for a call: one-shot ones first, in the order they were set.
    pub(super) fn fault(&self, method: &str) -> Option<Fault> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = next.iter().position(|(of, _)| *of == method) {
            return next.remove(index).map(|(_, fault)| fault);
        }
        let always = self.always.lock().unwrap_or_else(PoisonError::into_inner);
        always
            .iter()
            .find(|(of, _)| *of == method)
            .map(|(_, fault)| fault.clone())
    }
}

/// The mock's own name of a method.
///
/// # Panics
/// When the mock does not serve it: the test would wait for something that cannot happen.
#[track_caller]
#[allow(clippy::panic, reason = "a misspelt method is a mistake in the test")]
pub(super) fn method(name: &str) -> &'static str {
    METHODS
        .into_iter()
        .find(|method| *method == name)
        .unwrap_or_else(|| panic!("the mock serves no method {name:?}, only {METHODS:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shot_faults_come_first_and_once() {
        let calls = Calls::default();
        calls.fail_always("Version", Fault::Disconnect);
        calls.fail_next("Version", Fault::Status(Code::Unavailable, String::new()));

        assert!(matches!(calls.fault("Version"), Some(Fault::Status(..))));
        assert!(matches!(calls.fault("Version"), Some(Fault::Disconnect)));
        assert!(matches!(calls.fault("Version"), Some(Fault::Disconnect)));
        assert!(calls.fault("Bootstrap").is_none());
    }
}
