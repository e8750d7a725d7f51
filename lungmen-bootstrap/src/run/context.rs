//! Everything a step can reach: the desired, the clients, and where to report.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::desired::DesiredCluster;
use crate::run::clients::Clients;
use crate::run::dial::AddressBook;
use crate::run::event::{EventKind, Observer, Observers};
use crate::run::step::StepId;
use crate::run::timing::Timing;
use crate::state::artifacts::Artifacts;
use crate::state::journal::Journal;

/// A cheap clone, tagged with the step that reports through it.
#[derive(Clone)]
pub(crate) struct Context {
    shared: Arc<Shared>,
    step: StepId,
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) desired: DesiredCluster,
    pub(crate) clients: Clients,
    pub(crate) timing: Timing,
    pub(crate) artifacts: Artifacts,
    pub(crate) merge_talosconfig: Option<PathBuf>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) addresses: Arc<dyn AddressBook>,
    pub(crate) observers: Observers,
}

impl Context {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            step: StepId::Spec,
        }
    }

    pub(crate) fn for_step(&self, step: StepId) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            step,
        }
    }

    pub(crate) fn desired(&self) -> &DesiredCluster {
        &self.shared.desired
    }

    pub(crate) fn cluster_name(&self) -> &str {
        self.shared.desired.cluster.as_str()
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.shared.clients
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.shared.timing
    }

    pub(crate) fn artifacts(&self) -> &Artifacts {
        &self.shared.artifacts
    }

    /// The talosconfig that the context of the cluster is merged into, where that is wanted.
    pub(crate) fn merge_talosconfig(&self) -> Option<&Path> {
        self.shared.merge_talosconfig.as_deref()
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        &*self.shared.journal
    }

    /// The socket that stands for `host:port`, where the caller gave one.
    pub(crate) fn dial(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.shared.addresses.dial(host, port)
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        self.shared.observers.emit(self.step, kind);
    }

    /// The same context with one more listener.
    pub(crate) fn observed_by(&self, observer: impl Observer + 'static) -> Self {
        let mut shared = Shared::clone(&self.shared);
        shared.observers.add(observer);
        Self {
            shared: Arc::new(shared),
            step: self.step,
        }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.emit(EventKind::Note { text: text.into() });
    }

    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.emit(EventKind::Warning { text: text.into() });
    }
}
