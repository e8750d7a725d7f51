//! After the bootstrap: every control plane is a member of the same etcd cluster, and nobody else is.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::ready;
use lungmen_bootstrap::{ErrorKind, Event, EventKind, Outcome, StepId, Timing};
use proxmox_client::id::VmId;
use talos_client::Code;
use talos_client::machine::{ApplyOptions, ResetRequest};
use talos_client::mock::{Fault, MockEvent, Route, TalosMock};

use crate::several::three_control_planes;
use crate::support::{World, outcome, vm};

fn node(world: &World, number: u32) -> TalosMock {
    let id = VmId::new(2_411_000 + number).unwrap();
    world.lab.talos(id).unwrap()
}

async fn run_until_etcd(world: &World, spec: lungmen_bootstrap::Spec) -> Vec<String> {
    let bootstrap = world.builder_of(spec).build().unwrap();
    let run = bootstrap.run_until(StepId::EtcdBootstrap).await;
    run.unwrap_or_else(|error| panic!("{}", error.report()))
        .warnings
}

/// Somebody reset one node and bootstrapped it while the others were switched off.
async fn bootstrapped_alone(world: &World, number: u32) {
    let others = (1..=3).filter(|other| *other != number);
    let others: Vec<TalosMock> = others.map(|other| node(world, other)).collect();
    let alone = node(world, number);
    let config = alone.config().unwrap();
    for other in &others {
        other.power_off();
    }
    let wiped = ResetRequest::to_maintenance().reboot();
    alone.client().machine().reset(&wiped).await.unwrap();
    let before = alone.events();
    let mut events = before.skip_while(|event| ready(!matches!(event, MockEvent::Reset)));
    while !matches!(events.next().await, Some(MockEvent::Maintenance { .. })) {}
    let client = alone.maintenance_client();
    client
        .apply_configuration(&config, ApplyOptions::default())
        .await
        .unwrap();
    while alone.client().machine().bootstrap().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while alone.client().machine().local_etcd_members().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for other in &others {
        other.power_on();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_etcd_clusters_are_found_with_the_members_of_both() {
    let world = World::new().await;
    run_until_etcd(&world, three_control_planes()).await;
    bootstrapped_alone(&world, 3).await;

    let error = world
        .builder_of(three_control_planes())
        .build()
        .unwrap()
        .run_until(StepId::EtcdBootstrap)
        .await
        .unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    assert_eq!(error.step(), Some(StepId::EtcdBootstrap), "{report}");
    for part in [
        "more than one etcd cluster",
        "tal01.lungmen.akn.chezmoi.sh lists the members [",
        "tal03.lungmen.akn.chezmoi.sh lists [tal03 ",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

/// The first member is cut off before the others join: it lists itself only, and they list it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_keeps_an_old_list_is_waited_for_and_then_named() {
    let world = World::new().await;
    let mut first = three_control_planes();
    first.machines.truncate(1);
    run_until_etcd(&world, first).await;
    node(&world, 1).cut_off_etcd();
    let mut timing = world.lab.timing();
    timing.bootstrap = Duration::from_secs(3);
    let builder = world.builder_of(three_control_planes()).timing(timing);

    let error = builder
        .build()
        .unwrap()
        .run_until(StepId::EtcdBootstrap)
        .await
        .unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    assert_eq!(error.step(), Some(StepId::EtcdBootstrap), "{report}");
    for part in [
        "the etcd members disagree",
        "tal01.lungmen.akn.chezmoi.sh lists the members [tal01 ",
        "tal02.lungmen.akn.chezmoi.sh lists [",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("more than one etcd cluster"), "{report}");
    for number in 2..=3 {
        node(&world, number).assert_called(Route::Bootstrap, 0);
    }

    node(&world, 1).reconnect_etcd();
    run_until_etcd(&world, three_control_planes()).await;
    node(&world, 1).assert_called(Route::Bootstrap, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_no_declared_machine_is_a_warning_and_a_silent_list_is_waited_for() {
    let world = World::new().await;
    run_until_etcd(&world, three_control_planes()).await;
    let mut fewer = three_control_planes();
    fewer.machines.truncate(1);

    let warnings = run_until_etcd(&world, fewer).await;
    let unavailable = Fault::status(Code::Unavailable, "connection refused");
    for _ in 0..10 {
        node(&world, 2).fail_next(Route::EtcdMemberList, unavailable.clone());
    }
    let bootstrap = world.builder_of(three_control_planes()).build().unwrap();
    let waited = bootstrap.run_until(StepId::EtcdBootstrap).await.unwrap();

    let about = |warning: &&String| warning.contains("is no declared control plane");
    let found: Vec<&String> = warnings.iter().filter(about).collect();
    assert_eq!(found.len(), 2, "{warnings:?}");
    for name in ["tal02 ", "tal03 "] {
        assert!(found.iter().any(|text| text.contains(name)), "{found:?}");
    }
    assert_eq!(outcome(&waited.steps, StepId::EtcdBootstrap), Outcome::Done);
    assert_eq!(waited.warnings.iter().filter(about).count(), 0);
    node(&world, 2).assert_called(Route::Bootstrap, 0);
}

/// The first wait uses up most of the time: the second one has only the rest.
#[tokio::test(flavor = "multi_thread")]
async fn all_waits_for_etcd_share_one_deadline() {
    const LIMIT: Duration = Duration::from_secs(2);
    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    let talos = world.lab.talos(vm()).unwrap();
    let silent = || Fault::status(Code::Unavailable, "connection refused");
    talos.fail_always(Route::ServiceList, silent());
    let started: Arc<Mutex<Option<Instant>>> = Arc::default();
    let (begun, mock) = (Arc::clone(&started), talos.clone());
    let mut timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(20));
    timing.bootstrap = LIMIT;
    let bootstrap = world
        .builder()
        .timing(timing)
        .observer(move |event: &Event| {
            if event.step != StepId::EtcdBootstrap {
                return;
            }
            match &event.kind {
                EventKind::StepStarted => *begun.lock().unwrap() = Some(Instant::now()),
                EventKind::Waiting { elapsed, .. } if *elapsed > LIMIT * 6 / 10 => {
                    mock.clear_faults();
                }
                EventKind::Note { text } if text.starts_with("Bootstrap is called") => {
                    for route in [
                        Route::ResourceGet,
                        Route::ResourceList,
                        Route::ResourceWatch,
                    ] {
                        mock.fail_always(route, silent());
                    }
                }
                _ => {}
            }
        })
        .build()
        .unwrap();

    let error = bootstrap
        .run_until(StepId::EtcdBootstrap)
        .await
        .unwrap_err();

    let took = started.lock().unwrap().unwrap().elapsed();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{}", error.report());
    talos.assert_called(Route::Bootstrap, 1);
    assert!(took < LIMIT * 15 / 10, "took {took:?}: {}", error.report());
}
