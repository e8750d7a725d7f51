//! Machines with a Talos release of their own: another version, other extensions, signed images.

use std::time::Instant;

use factory_client::TalosVersion;
use factory_client::mock::{FactoryMock, Route as FactoryRoute};
use lungmen_bootstrap::machine::Role;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{
    Cluster, DestroyOptions, ErrorKind, Event, EventKind, Outcome, Severity, Spec, StepId,
    TalosRelease, Timing,
};
use proxmox_client::id::{VmId, VolumeId};

use crate::resume::drop_after;
use crate::several::machine;
use crate::support::{World, outcome, side_by_side};

const AGENT: &str = "siderolabs/qemu-guest-agent";
const GPU: &str = "siderolabs/i915";

/// A control plane with the release of the cluster, a worker with a graphics card, and one with a later Talos too.
fn pools() -> Spec {
    let mut spec = crate::support::spec();
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::Worker).extensions([AGENT, GPU]),
        machine(3, Role::Worker)
            .extensions([AGENT, GPU])
            .talos_version("1.10.9"),
    ];
    spec
}

/// A world whose factory has the later version as well.
async fn world() -> World {
    let factory = FactoryMock::builder().talos_version(TalosVersion::new(1, 10, 9), [AGENT, GPU]);
    Box::pin(World::with(Lab::builder().factory(factory))).await
}

async fn run(world: &World, spec: Spec) -> Cluster {
    let bootstrap = world.builder_of(spec).build().unwrap();
    let cluster = bootstrap.run().await;
    cluster.unwrap_or_else(|error| panic!("{}", error.report()))
}

fn isos(world: &World) -> Vec<VolumeId> {
    let volumes = world.lab.proxmox().volumes().into_iter();
    let isos = volumes.filter(|volume| volume.content == "iso");
    isos.map(|volume| volume.id).collect()
}

fn failures(events: &[Event]) -> Vec<&Event> {
    let is_failure = |event: &&Event| matches!(event.kind, EventKind::StepFailed { .. });
    events.iter().filter(is_failure).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_machine_boots_installs_and_proves_its_own_release() {
    let world = world().await;

    let cluster = run(&world, pools()).await;

    let versions: Vec<&str> = cluster
        .machines
        .iter()
        .map(|machine| machine.talos_version.as_str())
        .collect();
    assert_eq!(versions, ["v1.10.7", "v1.10.7", "v1.10.9"]);
    let schematic = |index: usize| &cluster.machines[index].schematic_id;
    assert_eq!(schematic(0), &cluster.schematic_id);
    assert_ne!(schematic(0), schematic(1));
    assert_eq!(schematic(1), schematic(2));
    for machine in &cluster.machines {
        let id = &machine.schematic_id;
        let version = &machine.talos_version;
        assert!(machine.installer.ends_with(&format!("{id}:{version}")));
    }
    let factory = world.lab.factory();
    factory.assert_called(FactoryRoute::CreateSchematic, 2);
    assert_eq!(isos(&world).len(), 3);
    assert!(cluster.warnings.is_empty(), "{:#?}", cluster.warnings);

    let again = run(&world, pools()).await;
    assert!(again.was_complete(), "{:#?}", again.steps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_and_an_outline_name_every_schematic_and_every_iso() {
    let world = world().await;
    let bootstrap = world.builder_of(pools()).build().unwrap();

    let plan = bootstrap.plan().await;
    let outline = bootstrap.outline();

    let targets = |step: StepId| {
        let planned = plan.steps.iter().find(|planned| planned.step == step);
        planned.unwrap().items.len()
    };
    assert_eq!((targets(StepId::Schematic), targets(StepId::Image)), (2, 3));
    let lines = |step: StepId| {
        let outlined = outline.steps.iter().find(|outlined| outlined.step == step);
        outlined.unwrap().details.clone()
    };
    assert_eq!(lines(StepId::Image).len(), 3);
    let schematics = lines(StepId::Schematic).join("\n");
    assert!(schematics.contains(GPU), "{schematics}");
    assert_eq!(schematics.matches("ID ").count(), 2, "{schematics}");
    let configuration = lines(StepId::Configuration).join("\n");
    assert!(configuration.contains("Talos v1.10.9, contract v1.10"));
}

/// The ISO of one release is another file: its machines cannot boot, the others become a cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_waits_for_its_own_iso_only() {
    let world = world().await;
    let bootstrap = world.builder_of(pools()).build().unwrap();
    bootstrap.run_until(StepId::Image).await.unwrap();
    let proxmox = world.lab.proxmox();
    let later = isos(&world)
        .into_iter()
        .find(|iso| iso.name().contains("v1.10.9"))
        .unwrap();
    let whole = proxmox.volume(&later).unwrap().body;
    proxmox.add_file(later.clone(), vec![0_u8; whole.len() + 1]);
    let already = world.events().len();

    let error = bootstrap.run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Image), "{report}");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    assert!(report.contains(later.name()), "{report}");
    let etcd = outcome(error.steps(), StepId::EtcdBootstrap);
    assert_eq!(etcd, Outcome::Done, "{report}");
    assert_eq!(failures(&world.events()[already..]).len(), 1);
    let vm = |number: u32| VmId::new(2_411_000 + number).unwrap();
    assert_eq!(proxmox.vm_ids(), [vm(1), vm(2)]);

    proxmox.add_file(later, whole);
    let cluster = bootstrap.run().await;
    cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(proxmox.vm_ids(), [vm(1), vm(2), vm(3)]);
}

/// A worker gets its certificate from a control plane: without one it is not waited for until the deadline of its installation.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_control_plane_no_worker_is_waited_for() {
    let world = world().await;
    let install = Timing::default().install;
    let builder = world.builder_of(pools()).timing(Timing::default());
    let bootstrap = builder.build().unwrap();
    bootstrap.run_until(StepId::Image).await.unwrap();
    // That of the control plane, which is the first machine.
    let iso: VolumeId = bootstrap.outline().steps[4].details[0].parse().unwrap();
    let proxmox = world.lab.proxmox();
    let whole = proxmox.volume(&iso).unwrap().body;
    proxmox.add_file(iso, vec![0_u8; whole.len() + 1]);
    let started = Instant::now();

    let error = bootstrap.run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Image), "{report}");
    assert!(error.others().is_empty(), "{report}");
    assert!(started.elapsed() < install / 10, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_several_releases_that_is_dropped_is_finished_by_the_next() {
    let total = {
        let world = world().await;
        run(&world, pools()).await;
        world.events().len()
    };
    side_by_side((1..total).step_by(total / 10), |stop_at| async move {
        let world = world().await;
        drop_after(world.builder_of(pools()), stop_at).await;

        let cluster = run(&world, pools()).await;

        let case = format!("dropped at event {stop_at} of {total}");
        assert_eq!(cluster.machines.len(), 3, "{case}");
        assert_eq!(isos(&world).len(), 3, "{case}");
        assert_eq!(world.lab.proxmox().vm_ids().len(), 3, "{case}");
        assert!(run(&world, pools()).await.was_complete(), "{case}");
    })
    .await;
}

/// Kubernetes and the configuration are those of the cluster's release, which a later Talos knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_a_later_minor_release_follows_the_contract_of_the_cluster() {
    let world = World::new().await;
    let mut spec = crate::support::spec();
    spec.release = TalosRelease::new("1.11.6").extensions([AGENT]);
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::Worker).talos_version("1.12.11"),
    ];

    let cluster = run(&world, spec.clone()).await;

    assert_eq!(cluster.machines[1].talos_version, "v1.12.11");
    let config = world.read("worker.yaml");
    assert!(!config.contains("kind: HostnameConfig"), "{config}");
    assert!(run(&world, spec).await.was_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_release_of_a_living_machine_is_refused_with_the_command_that_upgrades() {
    let world = world().await;
    run(&world, pools()).await;
    let mut later = pools();
    later.machines[1] = machine(2, Role::Worker)
        .extensions([AGENT, GPU])
        .talos_version("1.10.9");

    let bootstrap = world.builder_of(later).build().unwrap();
    let error = bootstrap.run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    assert!(error.machine().unwrap().starts_with("tal02."), "{report}");
    assert!(
        report.contains("talosctl upgrade --nodes 10.0.2.22"),
        "{report}"
    );
    assert!(report.contains(":v1.10.9"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_images_can_be_those_of_some_machines() {
    let world = World::new().await;
    let mut spec = crate::support::spec();
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::Worker).without_secure_boot(),
    ];

    let cluster = run(&world, spec).await;

    let is_signed = |index: usize| cluster.machines[index].installer.contains("secureboot");
    assert_eq!((is_signed(0), is_signed(1)), (true, false));
    let isos = isos(&world);
    let signed = isos.iter().filter(|iso| iso.name().contains("secureboot"));
    assert_eq!((signed.count(), isos.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_removes_the_isos_of_all_releases() {
    let world = world().await;
    run(&world, pools()).await;
    let bootstrap = world.builder_of(pools()).build().unwrap();

    let options = DestroyOptions::confirmed(pools().name).despite_applications();
    bootstrap.destroy(&options).await.unwrap();

    assert_eq!(isos(&world), []);
}

/// The fields with errors of a specification with this change.
fn refused(change: impl Fn(&mut Spec)) -> Vec<String> {
    let mut spec = pools();
    change(&mut spec);
    let error = spec.bootstrap().outline().unwrap_err();
    let diagnostics = error.diagnostics().iter();
    diagnostics
        .filter(|found| found.severity == Severity::Error)
        .map(|found| found.path.clone())
        .collect()
}

#[test]
fn a_release_that_does_not_fit_the_cluster_is_refused_under_the_field_of_its_machine() {
    let worker = || machine(2, Role::Worker);

    for (own, path) in [
        (worker().talos_version("1.9"), "machines[1].talos.version"),
        (worker().talos_version("1.9.5"), "machines[1].talos.version"),
        (
            worker().extensions(["siderolabs/no-such-extension"]),
            "machines[1].talos.extensions",
        ),
        (
            worker().pinned_schematic("ab".repeat(32)),
            "machines[1].talos.schematic",
        ),
    ] {
        assert_eq!(refused(|spec| spec.machines[1] = own.clone()), [path]);
    }
}

#[test]
fn a_machine_cannot_run_an_earlier_minor_release_than_its_cluster() {
    let refused = refused(|spec| {
        spec.release = TalosRelease::new("1.11.6").extensions([AGENT]);
        spec.machines[1] = machine(2, Role::Worker).talos_version("1.10.7");
        spec.machines[2] = machine(3, Role::Worker).talos_version("1.12.11");
    });

    assert_eq!(refused, ["machines[1].talos.version"]);
}

#[test]
fn the_pin_of_the_cluster_is_not_compared_with_the_extensions_of_a_machine() {
    let mut spec = pools();
    let outline = spec.clone().bootstrap().outline().unwrap();
    let schematic = &outline.steps[3].details[1];
    let pinned = schematic.strip_prefix("ID ").unwrap().to_owned();
    spec.release = spec.release.pinned_schematic(pinned);

    assert!(spec.bootstrap().outline().is_ok());
}
