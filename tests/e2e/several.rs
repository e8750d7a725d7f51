//! A cluster of several machines.

use std::sync::Arc;

use lungmen_bootstrap::machine::{Network, Placement, Role};
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{Cluster, Error, ErrorKind, MachineSpec, Outcome, Spec, StepId};
use proxmox_client::id::VmId;
use proxmox_client::mock::{Fault, Route};

use crate::support::{World, outcome};

pub(crate) fn machine(number: u8, role: Role) -> MachineSpec {
    MachineSpec::new(
        format!("tal{number:02}.lungmen.akn.chezmoi.sh"),
        2_411_000 + u32::from(number),
        std::net::Ipv4Addr::new(10, 0, 2, 20 + number).into(),
        Network::new("vmbr1"),
    )
    .role(role)
    .config_patch(lungmen_bootstrap::PatchSource::new(
        "hostname",
        format!("machine:\n  network:\n    hostname: tal{number:02}\n"),
    ))
}

/// A run that ends well.
async fn run(world: &World, spec: &Spec) -> Cluster {
    let bootstrap = world.builder_of(spec.clone()).build().unwrap();
    let result = bootstrap.run().await;
    result.unwrap_or_else(|error| panic!("{}", error.report()))
}

/// The owner's cluster with three control plane machines.
pub(crate) fn three_control_planes() -> Spec {
    let mut spec = crate::support::spec();
    spec.machines = (1..=3)
        .map(|number| machine(number, Role::ControlPlane))
        .collect();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_and_a_worker_become_one_cluster() {
    let world = World::new().await;
    let mut spec = crate::support::spec();
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::ControlPlane),
        machine(3, Role::ControlPlane),
        machine(4, Role::Worker),
    ];

    let cluster = world
        .builder_of(spec.clone())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(cluster.machines.len(), 4);
    assert_eq!(
        outcome(&cluster.steps, StepId::EtcdBootstrap),
        Outcome::Done
    );
    for name in [
        "controlplane-tal01.yaml",
        "controlplane-tal02.yaml",
        "controlplane-tal03.yaml",
        "worker.yaml",
    ] {
        assert!(world.file(name).exists(), "{name}");
    }
    let again = world.builder_of(spec).build().unwrap().run().await.unwrap();
    assert!(again.was_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_has_the_nodes_storages_and_bridges_of_its_specification() {
    let mut spec = crate::support::spec();
    spec.endpoint = "https://10.0.2.100:6443".to_owned();
    spec.placement = Placement::new("pve-07", "fast", "images");
    let network = Network::new("vmbr9");
    let address = std::net::Ipv4Addr::new(10, 0, 2, 21).into();
    spec.machines = vec![MachineSpec::new("tal01.example", 2100, address, network)];
    let world = World::with(Lab::builder().spec(&spec)).await;

    let cluster = world
        .builder_of(spec.clone())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(cluster.endpoint.as_str(), "https://10.0.2.100:6443/");
    spec.placement = Placement::new("pve-08", "fast", "images");
    let error = World::with(Lab::builder())
        .await
        .builder_of(spec)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();
    assert_eq!(error.step(), Some(StepId::Preflight), "{}", error.report());
    assert!(error.report().contains("pve-08"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_join_a_cluster_that_runs_and_a_restored_lab_has_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.json");
    let mut world = World::with(Lab::builder().state(&file)).await;
    let mut spec = crate::support::spec();
    spec.machines = vec![machine(1, Role::ControlPlane)];
    run(&world, &spec).await;

    spec.machines.push(machine(2, Role::ControlPlane));
    spec.machines.push(machine(3, Role::ControlPlane));
    spec.machines.push(machine(4, Role::Worker));
    let grown = run(&world, &spec).await;

    assert_eq!(grown.machines.len(), 4);
    let nodes = |lab: &Lab| {
        let kubernetes = lab.kubernetes().unwrap();
        let names = ["tal01", "tal02", "tal03", "tal04"].into_iter();
        names
            .filter(|name| kubernetes.object("nodes", "", name).is_some())
            .count()
    };
    assert_eq!(nodes(&world.lab), 4);

    // The old lab ends, and writes its state, before the new one starts.
    world.lab = Arc::new(Lab::start().await.unwrap());
    world.lab = Arc::new(Lab::builder().state(&file).start().await.unwrap());
    let restored = run(&world, &spec).await;

    assert!(restored.was_complete(), "{restored:?}");
    assert_eq!(nodes(&world.lab), 4);
}

#[tokio::test]
async fn a_lab_of_an_unsound_specification_says_all_that_is_wrong() {
    let mut spec = crate::support::spec();
    spec.placement = Placement::new("pve 07", "a b", "images");

    let error = Lab::builder().spec(&spec).start().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{report}");
    for path in ["proxmox.node", "proxmox.storage"] {
        assert!(report.contains(path), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_lab_keeps_the_places_of_machines_that_left_the_specification() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.json");
    let mut spec = crate::support::spec();
    let leaving = machine(2, Role::Worker).on_node("pve-09").storage("slow");
    spec.machines = vec![machine(1, Role::ControlPlane), leaving];
    let mut world = World::with(Lab::builder().spec(&spec).state(&file)).await;
    run(&world, &spec).await;

    spec.machines.pop();
    world.lab = Arc::new(Lab::start().await.unwrap());
    for with_spec in [true, false] {
        let builder = Lab::builder().state(&file);
        let builder = if with_spec {
            builder.spec(&spec)
        } else {
            builder
        };
        world.lab = Arc::new(builder.start().await.unwrap());

        let left = world.lab.proxmox().vm(VmId::new(2_411_002).unwrap());

        assert_eq!(left.unwrap().node.as_str(), "pve-09");
        run(&world, &spec).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failures_of_several_machines_are_one_error_and_the_others_go_on() {
    let world = World::new().await;
    let refused = |number: u32| Fault::forbidden(&format!("/vms/{number}"), "VM.Allocate");
    for number in [1, 2] {
        let pve = world.lab.proxmox();
        pve.fail_next(Route::CreateVm, refused(2_411_000 + number));
    }
    let bootstrap = world.builder_of(three_control_planes()).build().unwrap();

    let error = bootstrap.run_until(StepId::Machine).await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{report}");
    let all = std::iter::once(&error).chain(error.others());
    let mut failed: Vec<&str> = all.clone().filter_map(Error::machine).collect();
    failed.sort_unstable();
    failed.dedup();
    assert_eq!(failed.len(), 2, "{report}");
    assert!(failed.iter().all(|name| report.contains(name)), "{report}");
    for failure in all {
        assert_eq!(failure.step(), Some(StepId::Machine), "{report}");
        assert!(failure.server().is_some(), "{report}");
    }
    let created = world.lab.proxmox().vm_ids();
    assert_eq!(created.len(), 1);
    assert!(world.lab.proxmox().vm(created[0]).unwrap().running);
}
