//! Bootstrap is called at most once in the life of a cluster, whatever is known, lost or unreachable.

use std::time::Duration;

use lungmen_bootstrap::{EventKind, Spec, StepId, Timing};
use proxmox_client::id::VmId;
use talos_client::Code;
use talos_client::machine::ResetRequest;
use talos_client::mock::{Fault, MockEvent, Route};

use crate::several::three_control_planes;
use crate::support::World;

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
