//! Bootstrap is called at most once in the life of a cluster, whatever is known, lost or unreachable.

use std::time::Duration;

use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::{Error, ErrorKind, EventKind, Outcome, Spec, StepId, Timing};
use proxmox_client::id::VmId;
use secrecy::SecretString;
use talos_client::Code;
use talos_client::machine::ResetRequest;
use talos_client::mock::{Call, Fault, MockEvent, Route};

use crate::several::three_control_planes;
use crate::support::{World, outcome};

/// How often a run called Bootstrap; the Lab's own joins do not count.
fn bootstraps(world: &World) -> usize {
    world
        .events()
        .iter()
        .filter(|event| {
            matches!(&event.kind, EventKind::Note { text } if text.starts_with("Bootstrap is called"))
        })
        .count()
}

fn node(world: &World, number: u32) -> talos_client::mock::TalosMock {
    world
        .lab
        .talos(VmId::new(2_411_000 + number).unwrap())
        .unwrap()
}

fn reversed() -> Spec {
    let mut spec = three_control_planes();
    spec.machines.reverse();
    spec
}

/// (a) and (b): somebody bootstrapped one node, its etcd is not healthy yet, and nothing is on record here.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_etcd_data_is_joined_whoever_bootstrapped_it() {
    for (bootstrapped, order) in [(1, reversed()), (2, three_control_planes())] {
        let world = World::new().await;
        let spec = three_control_planes();
        let bootstrap = world.builder_of(spec).build().unwrap();
        bootstrap.run_until(StepId::Apply).await.unwrap();
        drop(bootstrap);
        std::fs::remove_file(world.file("lungmen.journal")).unwrap();
        let client = node(&world, bootstrapped).client();
        while client.machine().bootstrap().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        let bootstrap = world.builder_of(order).build().unwrap();
        bootstrap
            .run_until(StepId::EtcdBootstrap)
            .await
            .unwrap_or_else(|error| panic!("{}", error.report()));

        assert_eq!(bootstraps(&world), 0, "tal0{bootstrapped}");
    }
}

/// What the etcd of a control plane is like when a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Absent,
    Present,
    Unknown,
}

/// What an earlier run left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journal {
    /// Its journal, and the choice of tal01 on record: it was refused when it called Bootstrap.
    Kept,
    /// Nothing: no journal, no choice.
    Lost,
    /// The journal of another cluster.
    Foreign,
    /// Its journal, but the store has no record of the cluster any more.
    RecordGone,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    data: [Data; 3],
    journal: Journal,
    /// The index of the machine that the specification names first.
    first: usize,
}

fn cases() -> Vec<Case> {
    const STATES: [Data; 3] = [Data::Absent, Data::Present, Data::Unknown];
    let mut cases = Vec::new();
    for journal in [
        Journal::Kept,
        Journal::Lost,
        Journal::Foreign,
        Journal::RecordGone,
    ] {
        for first in 0..3 {
            for number in 0..27 {
                let data = [number, number / 3, number / 9].map(|digit| STATES[digit % 3]);
                cases.push(Case {
                    data,
                    journal,
                    first,
                });
            }
        }
    }
    // A step that shares no factor with any of the dimensions, so that a sample has something of each.
    let total = cases.len();
    (0..total).map(|index| cases[index * 65 % total]).collect()
}

/// Only Proxmox VE, the factory and the nodes matter here.
fn small(first: usize) -> Spec {
    let mut spec = three_control_planes();
    spec.openbao = None;
    spec.argocd = None;
    spec.machines.rotate_left(first);
    spec
}

/// Which nodes were told to bootstrap, by how many calls they received.
fn told(world: &World) -> [usize; 3] {
    [1, 2, 3].map(|number| {
        let calls = node(world, number).calls();
        let is_bootstrap = |call: &&Call| call.route == Some(Route::Bootstrap);
        calls.iter().filter(is_bootstrap).count()
    })
}

async fn run(world: &World, first: usize, limit: Duration) -> Result<(), Error> {
    let mut timing = world.lab.timing();
    timing.bootstrap = limit;
    let builder = world.builder_of(small(first)).timing(timing);
    let bootstrap = builder.build().unwrap();
    bootstrap.run_until(StepId::EtcdBootstrap).await.map(drop)
}

async fn leave_behind(world: &World, journal: Journal) {
    let bootstrap = world.builder_of(small(0)).build().unwrap();
    bootstrap.run_until(StepId::Apply).await.unwrap();
    drop(bootstrap);
    let file = world.file("lungmen.journal");
    match journal {
        Journal::Kept => {
            let refused = || Fault::status(Code::PermissionDenied, "not authorized");
            for number in 1..=3 {
                node(world, number).fail_always(Route::Bootstrap, refused());
            }
            let error = run(world, 0, Duration::from_secs(20)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{}", error.report());
            for number in 1..=3 {
                node(world, number).clear_faults();
            }
        }
        Journal::Lost => std::fs::remove_file(file).unwrap(),
        Journal::Foreign => {
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(file, text.replace("lungmen.akn", "other.akn")).unwrap();
        }
        Journal::RecordGone => lose_record(world),
    }
}

fn lose_record(world: &World) {
    std::fs::remove_file(world.file("cluster-record.json")).unwrap();
}

/// Somebody else bootstrapped the nodes that have data, and those whose state is unknown say nothing about etcd.
async fn plant(world: &World, data: [Data; 3]) {
    for (number, data) in (1..).zip(data) {
        let node = node(world, number);
        match data {
            Data::Absent => {}
            Data::Present => loop {
                match node.client().machine().bootstrap().await {
                    Ok(()) => break,
                    Err(error) if error.kind() == talos_client::ErrorKind::AlreadyExists => break,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            },
            Data::Unknown => {
                let silent = Fault::status(Code::Unavailable, "connection refused");
                node.fail_always(Route::ServiceList, silent);
            }
        }
    }
}

async fn try_case(case: Case) {
    let world = World::new().await;
    leave_behind(&world, case.journal).await;
    plant(&world, case.data).await;
    let before = told(&world);

    // Only a wait for a silent node lasts until the deadline.
    let limit = match case.data.contains(&Data::Unknown) {
        true => Duration::from_millis(400),
        false => Duration::from_secs(20),
    };
    let ended = run(&world, case.first, limit).await;

    let called = |since: [usize; 3]| -> Vec<usize> {
        let now = told(&world);
        (0..3).filter(|index| now[*index] > since[*index]).collect()
    };
    if case.data == [Data::Absent; 3] {
        let chosen = match case.journal {
            Journal::Kept => 0,
            _ => case.first,
        };
        assert_eq!(called(before), [chosen], "{case:?}");
    } else {
        assert_eq!(called(before), [0; 0], "{case:?}: {ended:?}");
    }
    if case.data.contains(&Data::Unknown) {
        assert!(ended.is_err(), "{case:?}: etcd of a silent node is unknown");
    }
    for number in 1..=3 {
        node(&world, number).clear_faults();
    }
    let again = run(&world, case.first, Duration::from_secs(20)).await;
    let is_present = case.data.contains(&Data::Present);
    assert_eq!(called(before).len(), usize::from(!is_present), "{case:?}");
    match again {
        Ok(()) => {}
        // Two nodes that somebody bootstrapped at the same time are two clusters, which is said.
        Err(error) if error.report().contains("more than one etcd cluster") => {
            let present = case.data.iter().filter(|data| **data == Data::Present);
            assert!(present.count() > 1, "{case:?}: {}", error.report());
        }
        Err(error) => panic!("{case:?}: {}", error.report()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_etcd_states_bootstraps_at_most_one_node() {
    crate::support::side_by_side(crate::sample::sample(cases(), 8), try_case).await;
}

/// The record is gone from the store while the nodes live, with and without the files that were made from it.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_record_a_living_cluster_is_never_bootstrapped() {
    let world = World::new().await;
    let run = |is_imported: bool| {
        let builder = match is_imported {
            true => world.builder_of(small(0)),
            false => {
                let bootstrap = world.lab.bootstrap(small(0));
                bootstrap.output(world.output.path())
            }
        };
        let bootstrap = builder.build().unwrap();
        async move { bootstrap.run_until(StepId::EtcdBootstrap).await }
    };
    run(true).await.unwrap();
    let before = told(&world);
    lose_record(&world);
    let files = || {
        let all = std::fs::read_dir(world.output.path()).unwrap();
        let mut all: Vec<_> = all.map(|file| file.unwrap().path()).collect();
        all.sort();
        let contents = all
            .into_iter()
            .map(|path| (std::fs::read(&path).ok(), path));
        contents
            .filter(|(_, path)| path.extension().is_some_and(|end| end == "yaml"))
            .collect::<Vec<_>>()
    };
    let made = files();

    let with_files = run(false).await.unwrap_err();
    assert_eq!(files(), made, "the files of the lost record were changed");
    std::fs::remove_dir_all(world.output.path()).unwrap();
    let without = run(false).await.unwrap_err();

    for error in [with_files, without] {
        let report = error.report();
        assert_eq!(error.kind(), ErrorKind::SecretsLost, "{report}");
        assert!(
            !world.file("secrets.yaml").exists() || report.contains("secrets.yaml"),
            "{report}"
        );
    }
    assert!(!world.file("cluster-record.json").exists());
    assert_eq!(told(&world), before);
}

/// The way back that the error names.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_record_the_imported_bundle_has_the_cluster_with_its_machines_again() {
    for is_config in [false, true] {
        let world = World::with_new_secrets().await;
        let mut spec = three_control_planes();
        spec.openbao = None;
        let first = world.builder_of(spec.clone()).build().unwrap();
        let before = first.run().await.unwrap();
        drop(first);
        let name = if is_config {
            "controlplane-tal02.yaml"
        } else {
            "secrets.yaml"
        };
        let text = SecretString::from(world.read(name));
        std::fs::remove_dir_all(world.output.path()).unwrap();
        std::fs::create_dir(world.output.path()).unwrap();
        spec.machines.reverse();
        let import = if is_config {
            Import::ControlPlaneConfig(text)
        } else {
            Import::SecretsYaml(text)
        };

        let again = world.builder_of(spec).import_secrets(import);
        let after = again.build().unwrap().run().await;

        let after = after.unwrap_or_else(|error| panic!("{name}: {}", error.report()));
        assert_eq!(bootstraps(&world), 1, "{name}");
        assert_eq!(world.lab.proxmox().vm_ids().len(), 3, "{name}");
        assert_eq!(after.machines.len(), before.machines.len(), "{name}");
        let applied = outcome(&after.steps, StepId::Apply);
        assert_eq!(applied, Outcome::AlreadyDone, "{name}");
    }
}

/// (c): the record says that the cluster was bootstrapped; one node is new and the others cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_bootstrapped_while_other_nodes_are_unknown() {
    let world = World::new().await;
    let spec = three_control_planes();
    let bootstrap = world.builder_of(spec.clone()).build().unwrap();
    bootstrap.run_until(StepId::EtcdBootstrap).await.unwrap();
    drop(bootstrap);
    assert_eq!(bootstraps(&world), 1);
    // The first node loses its data and waits for a configuration again; the others boot and say nothing about etcd.
    let first = node(&world, 1);
    let wiped = ResetRequest::to_maintenance().reboot();
    first.client().machine().reset(&wiped).await.unwrap();
    first
        .wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    for number in [2, 3] {
        let fault = Fault::status(Code::Unavailable, "connection refused");
        node(&world, number).fail_always(Route::ServiceList, fault);
    }
    let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(4));

    let error = world
        .builder_of(spec)
        .timing(timing)
        .build()
        .unwrap()
        .run_until(StepId::EtcdBootstrap)
        .await
        .unwrap_err();

    assert_eq!(
        error.step(),
        Some(StepId::EtcdBootstrap),
        "{}",
        error.report()
    );
    assert_eq!(bootstraps(&world), 1);

    for number in [2, 3] {
        node(&world, number).clear_faults();
    }
    let again = world.builder_of(three_control_planes()).build().unwrap();
    let joined = again.run_until(StepId::EtcdBootstrap).await;
    joined.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(bootstraps(&world), 1, "the new node joins");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_are_bootstrapped_exactly_once() {
    let world = World::new().await;
    let run = || world.builder_of(three_control_planes()).build().unwrap();

    run().run_until(StepId::EtcdBootstrap).await.unwrap();
    std::fs::remove_file(world.file("lungmen.journal")).unwrap();
    run().run_until(StepId::EtcdBootstrap).await.unwrap();

    assert_eq!(bootstraps(&world), 1);
}
