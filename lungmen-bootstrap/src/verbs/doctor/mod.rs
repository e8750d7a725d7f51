//! `doctor()`: every check of every server at once, and nothing changed.

mod argocd;
mod check;
mod display;
mod examination;
mod factory;
mod hardware;
mod network;
mod nodes;
mod privileges;
mod proxmox;
mod store;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Server};
use crate::spec::diagnostic::Severity;

pub use check::{Check, UnknownCheck};

/// What the doctor found. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The name of the cluster.
    pub cluster: String,
    /// The servers that answered.
    pub servers: Vec<ServerAnswer>,
    /// Everything that was found, the gravest first.
    pub findings: Vec<Finding>,
}

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ServerAnswer {
    /// Which one.
    pub server: Server,
    /// Its address without credentials; `None` for a store without a server.
    pub address: Option<String>,
    /// What it is: `Proxmox VE 9.1.2`.
    pub is: String,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Finding {
    /// The check that found it.
    pub id: Check,
    /// `error`: a run would fail. `warning`: it may fail, or does something that is probably not intended. `note`: a check
    /// that could not be made, or something to know.
    pub severity: Severity,
    /// The server that it is about; `None` for the specification and the network.
    pub server: Option<Server>,
    /// The machine that it is about, where it is about one.
    pub machine: Option<String>,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: String,
    /// Commands that do it, where they are known exactly.
    pub commands: Vec<String>,
}

impl Diagnosis {
    /// The gravest severity; `None` when nothing was found.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).min()
    }

    /// The findings of one check.
    pub fn of(&self, check: Check) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.id == check)
    }
}

impl Finding {
    fn new(id: Check, severity: Severity, found: impl Into<String>) -> Self {
        Self {
            id,
            severity,
            server: None,
            machine: None,
            found: found.into(),
            fix: String::new(),
            commands: Vec::new(),
        }
    }

    fn error(id: Check, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Error, found)
    }

    fn warning(id: Check, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, found)
    }

    fn note(id: Check, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Note, found)
    }

    /// What the error of a call to a server says about it.
    fn of_call(server: Server, error: impl Into<Error>) -> Self {
        let error = error.into();
        Self::error(check_of(error.kind()), error.cause_line())
            .at(server)
            .fix(error.hint())
    }

    fn at(mut self, server: Server) -> Self {
        self.server = Some(server);
        self
    }

    fn machine(mut self, name: &str) -> Self {
        self.machine = Some(name.to_owned());
        self
    }

    fn fix(mut self, text: impl Into<String>) -> Self {
        self.fix = text.into();
        self
    }

    fn commands(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.commands = commands.into_iter().collect();
        self
    }
}

/// The check that a failed call belongs to.
fn check_of(kind: ErrorKind) -> Check {
    match kind {
        ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Interrupted | ErrorKind::Deadline => {
            Check::Reachable
        }
        ErrorKind::Certificate => Check::Certificate,
        ErrorKind::Unauthenticated => Check::Credentials,
        ErrorKind::Forbidden => Check::Rights,
        ErrorKind::Unsupported => Check::Version,
        ErrorKind::NotReady | ErrorKind::Busy | ErrorKind::Server => Check::Ready,
        _ => Check::Answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_is_read_back_as_it_was_written_with_ids_as_names() {
        let finding = Finding::error(Check::VmId, "VM 5 is another one")
            .at(Server::ProxmoxVe)
            .machine("tal01")
            .fix("choose another id")
            .commands(["qm config 5".to_owned()]);
        let diagnosis = Diagnosis {
            cluster: "c".into(),
            servers: Vec::new(),
            findings: vec![Finding::note(Check::Clock, "unknown"), finding],
        };

        let text = serde_json::to_string(&diagnosis).unwrap();

        assert!(text.contains(r#""id":"vm-id","severity":"error","server":"proxmox-ve""#));
        assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), diagnosis);
        assert_eq!(diagnosis.severity(), Some(Severity::Error));
    }

    #[test]
    fn every_check_is_found_by_its_id() {
        for check in Check::ALL {
            assert_eq!(check.id().parse(), Ok(*check));
        }
    }
}
