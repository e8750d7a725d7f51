//! Everything a step can reach: the desired cluster, the clients, and where to report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proxmox_client::id::StorageName;
use talos_client::PublicKeyFingerprint;

use crate::desired::DesiredCluster;
use crate::error::{Error, ErrorKind, Result};
use crate::kubernetes;
use crate::run::clients::Clients;
use crate::run::dial::AddressBook;
use crate::run::event::{Event, EventKind, Observer, Observers};
use crate::run::limits::Limits;
use crate::run::resolve::AddressResolver;
use crate::run::step::StepId;
use crate::run::timing::Timing;
use crate::state::artifacts::Artifacts;
use crate::state::claim::{Import, Wanted};
use crate::state::guard::BootstrapPermission;
use crate::state::journal::Journal;
use crate::state::lease::{LeaseGuard, LeaseOptions};
use crate::state::record::ClusterRecord;
use crate::state::snippets::SnippetStore;
use crate::state::store::SecretStore;

/// A cheap clone, tagged with the step and the machine that report through it.
#[derive(Clone)]
pub(crate) struct Context {
    shared: Arc<Shared>,
    desired: Arc<DesiredCluster>,
    lease: Option<LeaseGuard>,
    record: Option<Arc<ClusterRecord>>,
    step: StepId,
    machine: Option<String>,
    /// In a slice of a run, how long a wait for what servers do by themselves may last.
    slice: Option<Duration>,
}

/// What the builder was given.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clients: Clients,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) artifacts: Artifacts,
    pub(crate) options: RunOptions,
    pub(crate) store: Arc<dyn SecretStore>,
    pub(crate) snippets: Snippets,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) addresses: Arc<dyn AddressBook>,
    pub(crate) resolvers: Vec<Arc<dyn AddressResolver>>,
    pub(crate) observers: Observers,
}

/// The folders of storages for snippets, by the name of the storage.
pub(crate) type Snippets = BTreeMap<String, Arc<dyn SnippetStore>>;

/// What a run may do beyond the specification.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    /// Merge the context of the cluster into this talosconfig.
    pub(crate) merge_talosconfig: Option<PathBuf>,
    /// A changed configuration may reboot a node.
    pub(crate) allow_reboots: bool,
    /// The only fingerprints that a machine in maintenance mode may present, by the name of the machine.
    pub(crate) maintenance_fingerprints: BTreeMap<String, Vec<PublicKeyFingerprint>>,
    /// How the lease is acquired and kept.
    pub(crate) lease: LeaseOptions,
    /// Use this bundle for a cluster that has no record yet.
    pub(crate) import: Option<Import>,
    pub(crate) bootstrap: BootstrapPermission,
    /// How the Kubernetes API is reached, instead of a kubeconfig from the nodes.
    pub(crate) kubernetes: Option<KubernetesAccess>,
}

/// A given access to the Kubernetes API.
#[derive(Debug, Clone)]
pub(crate) enum KubernetesAccess {
    Client(kubernetes::Client),
    Kubeconfig(Box<kubernetes::Kubeconfig>),
}

impl Context {
    pub(crate) fn new(shared: Shared, desired: DesiredCluster) -> Self {
        Self {
            shared: Arc::new(shared),
            desired: Arc::new(desired),
            lease: None,
            record: None,
            step: StepId::Spec,
            machine: None,
            slice: None,
        }
    }

    pub(crate) fn for_step(&self, step: StepId) -> Self {
        Self {
            step,
            machine: None,
            ..self.clone()
        }
    }

    /// The same context for what is done on one machine.
    pub(crate) fn for_machine(&self, name: &str) -> Self {
        Self {
            machine: Some(name.to_owned()),
            ..self.clone()
        }
    }

    /// The same context while the lease is held.
    pub(crate) fn with_lease(&self, guard: LeaseGuard) -> Self {
        Self {
            lease: Some(guard),
            ..self.clone()
        }
    }

    /// The same context for the recorded cluster.
    ///
    /// # Errors
    /// `InvalidSpec` when a machine cannot carry the UUID of the cluster, which a valid specification excludes.
    pub(crate) fn with_record(&self, record: ClusterRecord) -> Result<Self> {
        Ok(Self {
            desired: Arc::new(self.desired.with_identity(&record.cluster_id)?),
            record: Some(Arc::new(record)),
            ..self.clone()
        })
    }

    /// The same context with one more observer.
    pub(crate) fn observed_by(&self, observer: impl Observer + 'static) -> Self {
        let mut shared = Shared::clone(&self.shared);
        shared.observers.add(observer);
        Self {
            shared: Arc::new(shared),
            ..self.clone()
        }
    }

    /// The same context with no wait longer than `limit`.
    pub(crate) fn with_deadlines_up_to(&self, limit: Duration) -> Self {
        let mut shared = Shared::clone(&self.shared);
        shared.timing = shared.timing.bounded_by(limit);
        Self {
            shared: Arc::new(shared),
            ..self.clone()
        }
    }

    /// The same context in a slice of a run: no wait for what servers do by themselves is longer than `limit`.
    pub(crate) fn in_slice(&self, limit: Duration) -> Self {
        let mut shared = Shared::clone(&self.shared);
        let timing = &mut shared.timing;
        for deadline in [
            &mut timing.image_build,
            &mut timing.task,
            &mut timing.install,
            &mut timing.bootstrap,
            &mut timing.kubernetes,
            &mut timing.token,
        ] {
            *deadline = (*deadline).min(limit);
        }
        Self {
            shared: Arc::new(shared),
            slice: Some(limit),
            ..self.clone()
        }
    }

    pub(crate) fn is_slice(&self) -> bool {
        self.slice.is_some()
    }

    /// The deadline, or less in a slice of a run: for a wait that the next slice can go on with.
    pub(crate) fn within_slice(&self, deadline: Duration) -> Duration {
        self.slice.map_or(deadline, |limit| limit.min(deadline))
    }

    pub(crate) fn desired(&self) -> &DesiredCluster {
        &self.desired
    }

    pub(crate) fn cluster_name(&self) -> &str {
        self.desired.cluster.as_str()
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.shared.clients
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.shared.timing
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(crate) fn artifacts(&self) -> &Artifacts {
        &self.shared.artifacts
    }

    pub(crate) fn options(&self) -> &RunOptions {
        &self.shared.options
    }

    /// Where the cluster record and the lease are kept.
    pub(crate) fn store(&self) -> &Arc<dyn SecretStore> {
        &self.shared.store
    }

    /// The folder of a storage for snippets.
    ///
    /// # Errors
    /// `Configuration` when none was given. The builder refuses that for the storages of the specification.
    pub(crate) fn snippets(&self, storage: &StorageName) -> Result<&dyn SnippetStore> {
        let found = self.shared.snippets.get(storage.as_str());
        found.map(AsRef::as_ref).ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "find the folder of the snippets")
                .with_target(storage.to_string())
                .with_message("no folder is given for the storage")
        })
    }

    /// The given folders of storages for snippets.
    pub(crate) fn all_snippets(&self) -> impl Iterator<Item = (&str, &dyn SnippetStore)> {
        let all = self.shared.snippets.iter();
        all.map(|(storage, store)| (storage.as_str(), store.as_ref()))
    }

    /// What the record must say for it to be the record of this cluster.
    pub(crate) fn wanted(&self) -> Wanted {
        let desired = &self.desired;
        Wanted::new(
            desired.cluster.as_str(),
            desired.endpoint.clone(),
            desired.contract(),
            desired.release.schematic_id.as_str(),
        )
    }

    /// The record of the cluster.
    ///
    /// # Errors
    /// `NotFound` before the claim.
    pub(crate) fn record(&self) -> Result<&ClusterRecord> {
        self.record.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read the cluster record")
                .with_message("the cluster is not claimed yet")
        })
    }

    /// Returns when an effect may begin.
    ///
    /// # Errors
    /// `Conflict` when the lease is lost.
    pub(crate) async fn before_effect(&self) -> Result<()> {
        match &self.lease {
            Some(guard) => guard.check().await,
            None => Ok(()),
        }
    }

    /// The fencing token of the lease; 0 without one, which no store accepts for a change.
    pub(crate) fn fencing_token(&self) -> u64 {
        self.lease.as_ref().map_or(0, LeaseGuard::token)
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        &*self.shared.journal
    }

    /// The socket that stands for `host:port`, where the caller gave one.
    pub(crate) fn dial(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.shared.addresses.dial(host, port)
    }

    pub(crate) fn resolvers(&self) -> &[Arc<dyn AddressResolver>] {
        &self.shared.resolvers
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        self.shared.observers.emit(&Event {
            at: Timestamp::now(),
            cluster: self.cluster_name().to_owned(),
            step: self.step,
            machine: self.machine.clone(),
            kind,
        });
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.emit(EventKind::Note { text: text.into() });
    }

    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.emit(EventKind::Warning { text: text.into() });
    }
}
