//! The configuration of a machine as nocloud user data: it installs itself, and nothing keeps the secrets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lungmen_bootstrap::machine::{ConfigDelivery, Network, Role};
use lungmen_bootstrap::mock::{Lab, LabBuilder};
use lungmen_bootstrap::secrecy::SecretString;
use lungmen_bootstrap::snippets::{DirectorySnippets, SnippetStore};
use lungmen_bootstrap::{
    Action, Cluster, ClusterBootstrapBuilder, DestroyOptions, Error, ErrorKind, Event, EventKind,
    MachineSpec, Outcome, PatchSource, Spec, StepId, TalosRelease, Timing, Verdict, async_trait,
    services,
};
use proxmox_client::id::{StorageName, VmId};
use proxmox_client::mock::{Acl, Fault, MockStorage, PveMock, PveMockBuilder, Route as PveRoute};
use talos_client::mock::{MockEvent as NodeEvent, Route};
use tempfile::TempDir;

use crate::several::machine;
use crate::support::{World, outcome, past, side_by_side, spec};

const STORAGE: &str = "shared";
/// The secret of the cluster that every world imports.
const CANARY: &str = "eiO4S6HapfORI/lLO/x6+AgvjyYCInB1Dd0iTrwHhns=";

/// Whether a run is cut short at this event.
type IsMeant = fn(&EventKind) -> bool;

/// A world with the folder of a storage for snippets.
struct Snippets {
    world: World,
    folder: TempDir,
}

impl Snippets {
    async fn new() -> Self {
        Self::with(Lab::builder, storage).await
    }

    async fn with(
        lab: impl FnOnce() -> LabBuilder,
        shared: impl FnOnce(&Path) -> MockStorage,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxmox = proxmox().storage(shared(folder.path()));
        let world = Box::pin(World::with(lab().proxmox(proxmox))).await;
        Self { world, folder }
    }

    fn store(&self) -> DirectorySnippets {
        DirectorySnippets::new(self.folder.path())
    }

    fn builder(&self, spec: &Spec) -> ClusterBootstrapBuilder {
        let builder = self.world.builder_of(spec.clone());
        builder.snippets(STORAGE, self.store())
    }

    async fn run(&self, spec: &Spec) -> Cluster {
        let run = self.builder(spec).build().unwrap().run().await;
        run.unwrap_or_else(|error| panic!("{}", error.report()))
    }

    async fn failure(&self, spec: &Spec) -> Error {
        let run = self.builder(spec).build().unwrap();
        run.run_until(StepId::Machine).await.unwrap_err()
    }

    /// Runs until an event is meant, and drops the run there.
    async fn drop_at(&self, spec: &Spec, is_meant: IsMeant) {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let stop = Mutex::new(Some(stop));
        let builder = self.builder(spec).observer(move |event: &Event| {
            if is_meant(&event.kind)
                && let Some(stop) = stop.lock().unwrap().take()
            {
                let _ = stop.send(());
            }
        });
        let bootstrap = builder.build().unwrap();
        tokio::select! {
            biased;
            _ = stopped => {}
            ended = bootstrap.run() => panic!("the run ended: {ended:?}"),
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the run hangs"),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Neither the storage nor a VM or its drive has a configuration.
    #[track_caller]
    fn assert_clean(&self, case: &str) {
        assert_eq!(self.files(), Vec::<PathBuf>::new(), "{case}");
        let proxmox = self.world.lab.proxmox();
        for id in proxmox.vm_ids() {
            let vm = proxmox.vm(id).unwrap();
            assert_eq!(vm.config.option("cicustom"), None, "{case}: VM {id}");
            assert!(vm.user_data.is_none(), "{case}: VM {id}");
            assert!(vm.meta_data.is_none(), "{case}: VM {id}");
        }
    }

    /// How often the node of a machine was given a configuration over the network.
    fn applied(&self, number: u8) -> usize {
        let node = self.world.lab.talos(id(number)).unwrap();
        let calls = node.calls();
        let applied = calls
            .iter()
            .filter(|call| call.route == Some(Route::ApplyConfiguration));
        applied.count()
    }
}

fn storage(folder: &Path) -> MockStorage {
    let name = StorageName::new(STORAGE).unwrap();
    let storage = MockStorage::directory(name, &["snippets"]).shared();
    storage.snippets_in(folder)
}

fn proxmox() -> PveMockBuilder {
    let name = |text| StorageName::new(text).unwrap();
    PveMock::builder()
        .storage(MockStorage::directory(name("local"), &["iso"]))
        .storage(MockStorage::lvm_thin(name("nvme-lvm")))
        .bridge("vmbr1")
}

fn network() -> Network {
    Network::new("vmbr1")
}

fn id(number: u8) -> VmId {
    VmId::new(2_411_000 + u32::from(number)).unwrap()
}

fn with_user_data(number: u8, role: Role) -> MachineSpec {
    machine(number, role).config_delivery(ConfigDelivery::UserData)
}

fn cluster(machines: impl IntoIterator<Item = MachineSpec>) -> Spec {
    let mut spec = spec();
    spec.placement = spec.placement.snippet_storage(STORAGE);
    spec.machines = machines.into_iter().collect();
    spec
}

/// One control plane and one worker, both with user data.
fn two() -> Spec {
    cluster([
        with_user_data(1, Role::ControlPlane),
        with_user_data(2, Role::Worker),
    ])
}

fn is_note(kind: &EventKind, text: &str) -> bool {
    matches!(kind, EventKind::Note { text: note } if note.contains(text))
}

fn is_withdrawing(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Acting { reason } if reason.contains("still user data"))
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_with_user_data_install_themselves_beside_others() {
    let snippets = Snippets::new().await;
    let spec = cluster([
        with_user_data(1, Role::ControlPlane),
        with_user_data(2, Role::ControlPlane),
        machine(3, Role::ControlPlane),
        with_user_data(4, Role::Worker),
        machine(5, Role::Worker),
    ]);

    let cluster = snippets.run(&spec).await;

    let applied: Vec<usize> = (1..=5).map(|number| snippets.applied(number)).collect();
    assert_eq!(applied, [0, 0, 1, 0, 1]);
    assert_eq!(outcome(&cluster.steps, StepId::Apply), Outcome::Done);
    assert!(cluster.warnings.is_empty(), "{:?}", cluster.warnings);
    snippets.assert_clean("complete");
    let events = format!("{:?}", snippets.world.events());
    assert!(!events.contains(CANARY));
    assert!(!snippets.world.read("lungmen.journal").contains(CANARY));

    let again = snippets.run(&spec).await;

    assert!(again.was_complete(), "{:?}", again.steps);
}

/// Checks at each removal of a file that nothing needs it any more.
#[derive(Debug)]
struct Watched {
    inner: DirectorySnippets,
    lab: Arc<Lab>,
    removals: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// What contradicts a removal now.
    fn objection(&self) -> Option<&'static str> {
        let mut events = self.lab.talos(id(1)).unwrap().events();
        let is_installed = past(&mut events)
            .iter()
            .any(|event| matches!(event, NodeEvent::Installed { .. }));
        let vm = self.lab.proxmox().vm(id(1)).unwrap();
        match (is_installed, vm.user_data, vm.config.option("cicustom")) {
            (false, ..) => Some("the node is not installed"),
            (_, Some(_), _) => Some("the drive has the configuration"),
            (_, _, Some(_)) => Some("the VM names the file"),
            _ => None,
        }
    }
}

#[async_trait]
impl SnippetStore for Watched {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn preflight(&self) -> services::Result<()> {
        self.inner.preflight().await
    }

    async fn read(&self, name: &str) -> services::Result<Option<SecretString>> {
        self.inner.read(name).await
    }

    async fn create(&self, name: &str, content: &SecretString) -> services::Result<()> {
        self.inner.create(name, content).await
    }

    async fn replace(&self, name: &str, content: &SecretString) -> services::Result<()> {
        self.inner.replace(name, content).await
    }

    async fn remove(&self, name: &str) -> services::Result<()> {
        let objection = self.objection().unwrap_or("none");
        self.removals.lock().unwrap().push(objection.to_owned());
        self.inner.remove(name).await
    }

    async fn is_absent(&self, name: &str) -> services::Result<bool> {
        self.inner.is_absent(name).await
    }
}

/// Talos v1.13 answers with the identity of the cluster from the beginning of the installation on.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_while_it_installs_itself_keeps_its_user_data_until_it_has() {
    let snippets = Snippets::new().await;
    let address = std::net::Ipv4Addr::new(10, 0, 2, 21).into();
    let machine = MachineSpec::new("a1.example", 2_411_001, address, network());
    let mut spec = cluster([machine.config_delivery(ConfigDelivery::UserData)]);
    spec.release = TalosRelease::new("1.13.9").extensions(["siderolabs/qemu-guest-agent"]);
    spec.patches = Vec::new();
    let removals = Arc::default();
    let store = Watched {
        inner: snippets.store(),
        lab: Arc::clone(&snippets.world.lab),
        removals: Arc::clone(&removals),
    };
    let builder = snippets.world.builder_of(spec).snippets(STORAGE, store);

    let run = builder.build().unwrap().run().await;

    let cluster = run.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(*removals.lock().unwrap(), ["none", "none"]);
    assert_eq!(snippets.applied(1), 0);
    let warnings = cluster.warnings.join("\n");
    assert!(!warnings.contains("maintenance mode"), "{warnings}");
    snippets.assert_clean("complete");
    // The name comes from the meta data, as it does from the drive of every later boot.
    let kubernetes = snippets.world.lab.kubernetes().unwrap();
    let nodes = kubernetes.client().nodes().await.unwrap();
    assert_eq!(nodes[0].name, "a1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cut_short_is_continued_and_leaves_nothing_behind() {
    let cases: [(&str, IsMeant); 4] = [
        ("the files are written", |kind| {
            is_note(kind, "is on storage shared as user data")
        }),
        ("the VM is started", |kind| is_note(kind, "is started")),
        ("before the removal", is_withdrawing),
        ("after the removal", |kind| {
            is_note(kind, "its user data are removed")
        }),
    ];
    side_by_side(cases, |(case, is_meant)| async move {
        let snippets = Snippets::new().await;
        let spec = two();

        snippets.drop_at(&spec, is_meant).await;
        let cluster = snippets.run(&spec).await;

        assert_eq!(snippets.applied(1) + snippets.applied(2), 0, "{case}");
        assert!(
            cluster.warnings.is_empty(),
            "{case}: {:?}",
            cluster.warnings
        );
        snippets.assert_clean(case);
        assert!(snippets.run(&spec).await.was_complete(), "{case}");
    })
    .await;
}

/// Fails at one call, and notes what it was asked for.
#[derive(Debug)]
struct Failing {
    inner: DirectorySnippets,
    at: &'static str,
    names: Arc<Mutex<Vec<String>>>,
}

impl Failing {
    fn check(&self, call: &'static str, name: &str) -> services::Result<()> {
        self.names.lock().unwrap().push(name.to_owned());
        match call == self.at {
            true => Err(services::Error::new(services::ErrorKind::Io, "test")
                .with_message("the folder is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl SnippetStore for Failing {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn preflight(&self) -> services::Result<()> {
        self.inner.preflight().await
    }

    async fn read(&self, name: &str) -> services::Result<Option<SecretString>> {
        self.inner.read(name).await
    }

    async fn create(&self, name: &str, content: &SecretString) -> services::Result<()> {
        self.check("create", name)?;
        self.inner.create(name, content).await
    }

    async fn replace(&self, name: &str, content: &SecretString) -> services::Result<()> {
        self.check("replace", name)?;
        self.inner.replace(name, content).await
    }

    async fn remove(&self, name: &str) -> services::Result<()> {
        self.check("remove", name)?;
        self.inner.remove(name).await
    }

    async fn is_absent(&self, name: &str) -> services::Result<bool> {
        self.inner.is_absent(name).await
    }
}

/// Runs with a folder that fails at a call. Returns the error and the names of the files.
async fn failing(snippets: &Snippets, spec: &Spec, at: &'static str) -> (Error, Vec<String>) {
    let names = Arc::default();
    let store = Failing {
        inner: snippets.store(),
        at,
        names: Arc::clone(&names),
    };
    let builder = snippets.world.builder_of(spec.clone());
    let bootstrap = builder.snippets(STORAGE, store).build().unwrap();
    let error = bootstrap.run().await.unwrap_err();
    let names = names.lock().unwrap().clone();
    (error, names)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_is_shown_by_the_plan_and_done_by_the_next_run() {
    let snippets = Snippets::new().await;
    let spec = two();

    let (error, _) = failing(&snippets, &spec, "remove").await;

    assert_eq!(error.step(), Some(StepId::Apply), "{}", error.report());
    assert!(!snippets.files().is_empty());
    let plan = snippets.builder(&spec).build().unwrap().plan().await;
    let action = plan.action(StepId::Apply, spec.machines[0].name());
    assert!(
        matches!(action, Some(Action::Change { reason, .. }) if reason.contains("still user data")),
        "{plan}"
    );
    let states = snippets.builder(&spec).build().unwrap().observe().await;
    let seen = states.iter().find(|state| state.step == StepId::Apply);
    let seen = format!("{seen:?}");
    assert!(seen.contains("still user data"), "{seen}");
    snippets.run(&spec).await;
    snippets.assert_clean("next run");
    let plan = snippets.builder(&spec).build().unwrap().plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");
}

/// The option is gone, and the drive has the configuration still.
#[tokio::test(flavor = "multi_thread")]
async fn a_drive_that_is_not_written_again_is_written_by_the_next_run() {
    let snippets = Snippets::new().await;
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);
    let proxmox = snippets.world.lab.proxmox();
    let refused = Fault::Status(500, "the storage is away".to_owned());
    proxmox.fail_always(PveRoute::RegenerateCloudInit, refused);

    let run = snippets.builder(&spec).build().unwrap().run().await;

    let error = run.unwrap_err();
    assert_eq!(error.step(), Some(StepId::Apply), "{}", error.report());
    let vm = proxmox.vm(id(1)).unwrap();
    assert_eq!(vm.config.option("cicustom"), None);
    assert!(vm.user_data.is_some());
    assert!(!snippets.files().is_empty());
    proxmox.clear_faults();
    snippets.run(&spec).await;
    snippets.assert_clean("next run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_file_of_the_name_is_refused_and_stays() {
    let snippets = Snippets::new().await;
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);
    let (_, names) = failing(&snippets, &spec, "create").await;
    let foreign = snippets.folder.path().join(&names[0]);
    std::fs::write(&foreign, "#cloud-config\n").unwrap();

    let error = snippets.failure(&spec).await;

    assert_eq!(error.kind(), ErrorKind::NotOurs, "{}", error.report());
    assert!(!snippets.world.lab.proxmox().vm(id(1)).unwrap().running);
    assert_eq!(
        std::fs::read_to_string(&foreign).unwrap(),
        "#cloud-config\n"
    );

    std::fs::remove_file(&foreign).unwrap();
    snippets.run(&spec).await;
    snippets.assert_clean("next run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_without_snippets_is_refused_before_anything_is_made() {
    let iso_only =
        |_: &Path| MockStorage::directory(StorageName::new(STORAGE).unwrap(), &["iso"]).shared();
    let snippets = Snippets::with(Lab::builder, iso_only).await;

    let error = snippets.failure(&two()).await;

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Preflight), "{report}");
    assert!(report.contains("content of type snippets"), "{report}");
    assert!(report.contains("snippetStorage"), "{report}");
    assert!(snippets.world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_away_is_refused_before_anything_is_made() {
    let snippets = Snippets::new().await;
    let away = DirectorySnippets::new(snippets.folder.path().join("away"));
    let builder = snippets.world.builder_of(two()).snippets(STORAGE, away);

    let error = builder.build().unwrap().run().await.unwrap_err();

    assert_eq!(error.step(), Some(StepId::Preflight), "{}", error.report());
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(snippets.world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_that_of_the_storage_gets_no_secret_to_keep() {
    let snippets = Snippets::new().await;
    let other = tempfile::tempdir().unwrap();
    let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(2));
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);
    let builder = snippets.world.builder_of(spec).timing(timing);
    let builder = builder.snippets(STORAGE, DirectorySnippets::new(other.path()));

    let error = builder.build().unwrap().run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    assert_eq!(error.step(), Some(StepId::Machine), "{report}");
    assert!(report.contains("does not list"), "{report}");
    assert!(!snippets.world.lab.proxmox().vm(id(1)).unwrap().running);
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}

/// An earlier run wrote into the folder that the node reads, and this one is given another.
#[tokio::test(flavor = "multi_thread")]
async fn what_proxmox_lists_is_left_whatever_the_given_folder_has() {
    let snippets = Snippets::new().await;
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);
    let is_written = |kind: &EventKind| is_note(kind, "is on storage shared as user data");
    snippets.drop_at(&spec, is_written).await;
    let other = tempfile::tempdir().unwrap();
    let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(3));
    let builder = snippets.world.builder_of(spec.clone()).timing(timing);
    let builder = builder.snippets(STORAGE, DirectorySnippets::new(other.path()));

    let error = builder.build().unwrap().run().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline, "{}", error.report());
    assert!(error.hint().contains("secrets"), "{}", error.report());
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    snippets.run(&spec).await;
    snippets.assert_clean("next run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_rights_are_named_before_anything_is_made() {
    for privilege in ["Datastore.Allocate", "VM.Config.Cloudinit"] {
        let folder = tempfile::tempdir().unwrap();
        let acl = Acl::administrator().without(privilege);
        let proxmox =
            proxmox()
                .storage(storage(folder.path()))
                .token("lungmen@pve!ci", "secret", acl);
        let world = Box::pin(World::with(Lab::builder().proxmox(proxmox))).await;
        let snippets = Snippets { world, folder };

        let error = snippets.failure(&two()).await;

        assert_eq!(error.kind(), ErrorKind::Forbidden, "{}", error.report());
        assert!(error.report().contains(privilege), "{}", error.report());
        assert!(snippets.world.lab.proxmox().vm_ids().is_empty());
    }
}

#[test]
fn a_storage_and_its_folder_must_be_named() {
    let mut spec = two();
    let without_folder = spec.clone().bootstrap().build().unwrap_err();
    spec.placement.snippet_storage = None;
    let without_storage = spec.bootstrap().outline().unwrap_err();

    assert!(
        without_storage
            .report()
            .contains("machines[0].configDelivery"),
        "{}",
        without_storage.report()
    );
    assert_eq!(without_folder.kind(), ErrorKind::InvalidSpec);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_too_large_is_refused_before_its_vm_exists() {
    let snippets = Snippets::new().await;
    let large = format!(
        "machine:\n  files:\n    - path: /var/a\n      permissions: 0o600\n      op: create\n      content: {}\n",
        "x".repeat(1 << 20)
    );
    let machine = with_user_data(1, Role::ControlPlane);
    let spec = cluster([machine.config_patch(PatchSource::new("large", large))]);

    let error = snippets.failure(&spec).await;

    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
    assert!(error.report().contains("1048576"), "{}", error.report());
    assert!(snippets.world.lab.proxmox().vm_ids().is_empty());
}

/// The same machine as it was before, or becomes, without user data.
fn over_the_network() -> Spec {
    cluster([machine(1, Role::ControlPlane)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_without_its_user_data_is_configured_over_the_network() {
    let snippets = Snippets::new().await;
    let before = snippets.builder(&over_the_network()).build().unwrap();
    before.run_until(StepId::FirstBoot).await.unwrap();
    drop(before);
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);

    let cluster = snippets.run(&spec).await;

    assert_eq!(snippets.applied(1), 1);
    let warnings = cluster.warnings.join("\n");
    assert!(
        warnings.contains("was started without user data"),
        "{warnings}"
    );
    snippets.assert_clean("complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_data_that_the_specification_does_not_want_any_more_are_removed() {
    let snippets = Snippets::new().await;
    let spec = cluster([with_user_data(1, Role::ControlPlane)]);
    snippets.drop_at(&spec, is_withdrawing).await;
    assert!(!snippets.files().is_empty());

    let cluster = snippets.run(&over_the_network()).await;

    assert_eq!(outcome(&cluster.steps, StepId::Apply), Outcome::Done);
    snippets.assert_clean("complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teardown_removes_what_a_run_has_left() {
    let snippets = Snippets::new().await;
    let spec = two();
    snippets.drop_at(&spec, is_withdrawing).await;
    let foreign = snippets.folder.path().join("hook.pl");
    std::fs::write(&foreign, "a hook script").unwrap();
    let files = snippets.files().len() - 1;
    assert!(files >= 2);

    let bootstrap = snippets.builder(&spec).build().unwrap();
    let options = DestroyOptions::confirmed("lungmen.akn").despite_applications();
    let destroyed = bootstrap.destroy(&options).await.unwrap();

    let removed = destroyed.removed.iter();
    let removed = removed.filter(|removal| removal.what.contains("on storage shared"));
    assert_eq!(removed.count(), files);
    assert_eq!(snippets.files(), [foreign]);
    assert!(snippets.world.lab.proxmox().vm_ids().is_empty());
}

/// No control plane will ever sign the certificate of the worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_waited_for_when_no_control_plane_comes_up() {
    let snippets = Snippets::new().await;
    let spec = cluster([
        with_user_data(1, Role::ControlPlane).cores(500),
        with_user_data(2, Role::Worker),
    ]);
    let began = std::time::Instant::now();

    let run = snippets.builder(&spec).build().unwrap().run().await;

    let error = run.unwrap_err();
    let report = error.report();
    assert!(report.contains("vcpus allowed"), "{report}");
    // A wait would last for the time of a boot and an installation, 20 s each.
    assert!(began.elapsed() < Duration::from_secs(15), "{report}");
    snippets.run(&two()).await;
    snippets.assert_clean("next run");
}

/// A run that ends before the configurations are applied brings no control plane up, which does not mean that none comes up.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_until_the_first_boot_finds_workers_with_user_data_too() {
    let snippets = Snippets::new().await;
    let bootstrap = snippets.builder(&two()).build().unwrap();

    let run = bootstrap.run_until(StepId::FirstBoot).await;

    let run = run.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(outcome(&run.steps, StepId::FirstBoot), Outcome::Checked);
}
