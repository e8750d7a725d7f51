//! Cut short between an effect and its proof: the next run asks the servers and believes nothing that was recorded.

use std::sync::Mutex;
use std::time::Duration;

use factory_client::SchematicId;
use factory_client::mock::FactoryMock;
use futures_util::StreamExt as _;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{ErrorKind, Event, EventKind, Outcome, StepId};
use talos_client::Code;
use talos_client::machine::UpgradeRequest;
use talos_client::mock::{Fault, MockEvent, Route, TalosMock};

use crate::support::{World, outcome, vm};

/// Runs until an event is this note, and drops the run there.
async fn drop_at_note(world: &World, beginning: &'static str) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stop = Mutex::new(Some(stop));
    let bootstrap = world
        .builder()
        .observer(move |event: &Event| {
            let is_meant =
                matches!(&event.kind, EventKind::Note { text } if text.contains(beginning));
            if is_meant && let Some(stop) = stop.lock().unwrap().take() {
                let _ = stop.send(());
            }
        })
        .build()
        .unwrap();
    tokio::select! {
        biased;
        _ = stopped => {}
        ended = bootstrap.run() => panic!("the run ended before {beginning:?}: {ended:?}"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the run hangs"),
    }
}

/// Waits until the node answers with the identity of the cluster.
async fn responds(node: &TalosMock) {
    while node.client().machine().version().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The ID that the finished step reports.
async fn registered(world: &World) -> SchematicId {
    let run = world.run_until(StepId::Schematic).await.unwrap();
    let summary = &run.steps.last().unwrap().summary;
    let id = summary.strip_prefix("schematic ").unwrap();
    id.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schematic_that_the_factory_lost_after_a_kill_is_registered_again() {
    let world = World::new().await;
    let id = registered(&world).await;
    world.lab.factory().forget_schematic(&id);

    let run = world.run_until(StepId::Image).await.unwrap();

    assert_eq!(outcome(&run.steps, StepId::Schematic), Outcome::Done);
    assert!(world.lab.factory().schematic(&id).is_some());
}

/// A factory answers "not found" from memory for a while, also to those who ask before the schematic is registered.
#[tokio::test(flavor = "multi_thread")]
async fn a_miss_that_the_factory_remembers_does_not_stop_the_next_run() {
    let remembering = FactoryMock::builder().negative_cache(Duration::from_secs(600));
    let world = World::with(Lab::builder().factory(remembering)).await;
    let id = registered(&world).await;
    let factory = world.lab.factory();
    factory.forget_schematic(&id);
    let missed = factory.client().schematic(&id).await;
    assert!(missed.is_err(), "{missed:?}");

    for attempt in ["first", "second"] {
        let run = world.run_until(StepId::Image).await;
        run.unwrap_or_else(|error| panic!("{attempt}: {}", error.report()));
    }
}

/// What is on the disk of a node is compared on every run, also by one that did not apply the configuration itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_a_killed_run_configured_is_compared_with_the_specification_again() {
    let other_schematic = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    let cases = [("v1.10.6", None), ("v1.10.7", Some(other_schematic))];
    for (version, schematic) in cases {
        let world = World::new().await;
        drop_at_note(&world, "configuration accepted").await;
        let node = world.lab.talos(vm()).unwrap();
        responds(&node).await;
        let own = registered(&world).await.to_string();
        let id = schematic.unwrap_or(&own);
        let image = format!("factory.talos.dev/metal-installer-secureboot/{id}:{version}");
        let upgrade = UpgradeRequest::to(image).force();
        node.client().machine().upgrade(&upgrade).await.unwrap();
        // From the installation and from the upgrade; the stream has everything since the node exists.
        let configured = node.events().filter(|event| {
            let is_meant = matches!(event, MockEvent::Configured);
            std::future::ready(is_meant)
        });
        assert_eq!(configured.take(2).count().await, 2);
        responds(&node).await;

        let error = world.run_until(StepId::Apply).await.unwrap_err();

        let report = error.report();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
        assert_eq!(error.step(), Some(StepId::Apply), "{report}");
        assert!(report.contains(schematic.unwrap_or(version)), "{report}");
        assert!(error.hint().contains("talosctl upgrade"), "{report}");
    }
}

/// A node that does not answer for a moment has its configuration all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_not_one_without_a_configuration() {
    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    let node = world.lab.talos(vm()).unwrap();
    let busy = Fault::status(Code::Unavailable, "the node is starting");
    node.fail_always(Route::Version, busy);
    let healed = node.clone();
    let waiting = Mutex::new(Some(move || healed.clear_faults()));
    let bootstrap = world
        .builder()
        .observer(move |event: &Event| {
            let waits = matches!(&event.kind, EventKind::Waiting { cause, .. } if cause.contains("starting"));
            if waits && event.step == StepId::Apply && let Some(heal) = waiting.lock().unwrap().take() {
                heal();
            }
        })
        .build()
        .unwrap();

    let run = bootstrap.run_until(StepId::Apply).await.unwrap();

    assert_eq!(outcome(&run.steps, StepId::Apply), Outcome::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stays_silent_ends_the_run_as_unknown() {
    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    let node = world.lab.talos(vm()).unwrap();
    node.fail_always(
        Route::Version,
        Fault::status(Code::Unavailable, "the node is starting"),
    );
    let mut timing = world.lab.timing();
    timing.request = Duration::from_millis(500);
    let bootstrap = world.builder().timing(timing).build().unwrap();

    let error = bootstrap.run_until(StepId::Apply).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Apply), "{}", error.report());
}
