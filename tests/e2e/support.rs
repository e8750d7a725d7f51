//! A lab with an output directory, in sentences.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::mock::{Lab, LabBuilder};
use lungmen_bootstrap::{
    Cluster, ClusterBootstrap, ClusterBootstrapBuilder, Error, Event, Outcome, PartialRun, Spec,
    StepId, StepReport,
};
use proxmox_client::id::VmId;
use proxmox_client::mock::MockEvent as HardwareEvent;
use secrecy::SecretString;
use talos_client::mock::MockEvent as NodeEvent;
use tempfile::TempDir;

/// Id of the only machine of the owner's cluster.
pub(crate) const VM: u32 = 2_411_000;

/// The file with the owner's cluster.
pub(crate) fn spec_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lungmen.yaml")
}

/// The owner's cluster.
pub(crate) fn spec() -> Spec {
    Spec::load(spec_file()).unwrap()
}

pub(crate) fn vm() -> VmId {
    VmId::new(VM).unwrap()
}

/// The secrets of an existing cluster.
pub(crate) fn existing_secrets() -> Import {
    let text = include_str!("../data/talos/secrets.yaml");
    Import::SecretsYaml(SecretString::from(text))
}

/// A lab, a folder, and everything that happened.
pub(crate) struct World {
    pub(crate) lab: Arc<Lab>,
    pub(crate) output: TempDir,
    import: Option<Import>,
    events: Arc<Mutex<Vec<Event>>>,
    hardware: Mutex<BoxStream<'static, HardwareEvent>>,
}

impl World {
    /// Every cluster of this world imports the same secrets, because the search for an RSA key takes longer than
    /// the whole chain.
    pub(crate) async fn new() -> Self {
        Self::with(Lab::builder()).await
    }

    /// A world in which a new cluster makes its own secrets.
    pub(crate) async fn with_new_secrets() -> Self {
        Self {
            import: None,
            ..Self::new().await
        }
    }

    pub(crate) async fn with(builder: LabBuilder) -> Self {
        // On the heap: every test that makes a world would have a large future otherwise.
        let lab = Box::pin(builder.start()).await;
        let lab = Arc::new(lab.unwrap());
        Self {
            hardware: Mutex::new(lab.proxmox().events().boxed()),
            lab,
            output: tempfile::tempdir().unwrap(),
            import: Some(existing_secrets()),
            events: Arc::default(),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.output.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    pub(crate) fn builder(&self) -> ClusterBootstrapBuilder {
        self.builder_of(spec())
    }

    /// A builder for a run of its own process: its journal is opened anew.
    pub(crate) fn builder_of(&self, spec: Spec) -> ClusterBootstrapBuilder {
        let events = Arc::clone(&self.events);
        let builder = self
            .lab
            .bootstrap(spec)
            .output(self.output.path())
            .journal(FileJournal::open(self.file("lungmen.journal")).unwrap())
            .observer(move |event: &Event| events.lock().unwrap().push(event.clone()));
        match &self.import {
            Some(import) => builder.import_secrets(import.clone()),
            None => builder,
        }
    }

    pub(crate) fn bootstrap(&self) -> ClusterBootstrap {
        self.builder().build().unwrap()
    }

    pub(crate) async fn run(&self) -> Result<Cluster, Error> {
        self.bootstrap().run().await
    }

    pub(crate) async fn run_until(&self, last: StepId) -> Result<PartialRun, Error> {
        self.bootstrap().run_until(last).await
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

/// What a step did.
pub(crate) fn outcome(steps: &[StepReport], step: StepId) -> Outcome {
    steps
        .iter()
        .find(|report| report.step == step)
        .unwrap_or_else(|| panic!("{step} is not in the report"))
        .outcome
}

/// The steps that only read or wait, and the one that the owner's cluster does not enable.
const NOT_ACTING: [StepId; 6] = [
    StepId::Spec,
    StepId::Preflight,
    StepId::FirstBoot,
    StepId::Verify,
    StepId::MergeTalosconfig,
    StepId::Applications,
];

/// The steps that act.
pub(crate) fn acting_steps() -> impl Iterator<Item = StepId> {
    StepId::ALL
        .into_iter()
        .filter(|step| !NOT_ACTING.contains(step))
}

/// Every object of the cluster was made exactly once. Effects are counted, not requests: a request whose sender was killed
/// may have reached a server that never read the whole of it. May be asked once for each world.
#[track_caller]
pub(crate) fn assert_made_once(world: &World, case: &str) {
    let hardware = past(&mut *world.hardware.lock().unwrap());
    let is_created = |event: &&HardwareEvent| matches!(event, HardwareEvent::VmCreated { .. });
    let created = hardware.iter().filter(is_created).count();
    assert_eq!(created, 1, "{case}: VMs created: {hardware:?}");

    let node = past(&mut world.lab.talos(vm()).unwrap().events());
    let is_applied = |event: &&NodeEvent| matches!(event, NodeEvent::ConfigApplied { .. });
    let applied = node.iter().filter(is_applied).count();
    assert_eq!(applied, 1, "{case}: configurations applied");
    let is_bootstrapped = |event: &&NodeEvent| matches!(event, NodeEvent::Bootstrapped);
    let bootstrapped = node.iter().filter(is_bootstrapped).count();
    assert_eq!(bootstrapped, 1, "{case}: bootstraps of etcd");

    assert_eq!(world.lab.argocd().clusters().len(), 1, "{case}: clusters");
}

/// What a stream of events has until now.
pub(crate) fn past<T>(events: &mut (impl futures_util::Stream<Item = T> + Unpin)) -> Vec<T> {
    std::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
}

/// Works on several worlds at a time, because most of a run is waiting.
pub(crate) async fn side_by_side<T, W: Future<Output = ()>>(
    cases: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> W,
) {
    futures_util::stream::iter(cases.into_iter().map(work))
        .buffer_unordered(4)
        .collect::<()>()
        .await;
}
