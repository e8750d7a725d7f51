//! Killed anywhere, run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lungmen_bootstrap::{ClusterBootstrapBuilder, Event, Outcome, StepId};
use talos_client::mock::{Fault, Route};

use crate::support::{World, acting_steps, assert_made_once, outcome, side_by_side};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_after_a_step_is_finished_by_the_next() {
    side_by_side(acting_steps(), |last| async move {
        let world = World::new().await;
        world
            .run_until(last)
            .await
            .unwrap_or_else(|error| panic!("{last}: {}", error.report()));

        let cluster = world
            .run()
            .await
            .unwrap_or_else(|error| panic!("{last}: {}", error.report()));

        for step in acting_steps() {
            let expected = if step <= last {
                Outcome::AlreadyDone
            } else {
                Outcome::Done
            };
            assert_eq!(
                outcome(&cluster.steps, step),
                expected,
                "{step} after {last}"
            );
        }
        assert!(world.run().await.unwrap().was_complete(), "{last}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_at_any_event_is_finished_by_the_next() {
    let total = {
        let world = World::new().await;
        world.run().await.unwrap();
        world.events().len()
    };
    side_by_side(1..total, |stop_at| async move {
        let world = World::new().await;
        drop_after(world.builder(), stop_at).await;

        let cluster = world
            .run()
            .await
            .unwrap_or_else(|error| panic!("dropped at event {stop_at}: {}", error.report()));

        assert_eq!(cluster.files.len(), 4, "dropped at event {stop_at}");
        assert_made_once(&world, &format!("dropped at event {stop_at}"));
        assert!(
            world.run().await.unwrap().was_complete(),
            "dropped at event {stop_at}"
        );
    })
    .await;
}

/// Starts a run and drops it when the event of this number comes.
pub(crate) async fn drop_after(builder: ClusterBootstrapBuilder, stop_at: usize) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stop = std::sync::Mutex::new(Some(stop));
    let seen = Arc::new(AtomicUsize::new(0));
    let bootstrap = builder
        .observer(move |_: &Event| {
            if seen.fetch_add(1, Ordering::SeqCst) + 1 == stop_at
                && let Some(stop) = stop.lock().unwrap().take()
            {
                let _ = stop.send(());
            }
        })
        .build()
        .unwrap();
    tokio::select! {
        biased;
        _ = stopped => {}
        result = bootstrap.run() => { result.unwrap(); }
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the run hangs"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_whose_answer_was_lost_is_not_taken_for_a_failure() {
    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    let talos = world.lab.talos(crate::support::vm()).unwrap();
    talos.fail_next(Route::Bootstrap, Fault::DropResponse);

    let cluster = world.run().await.unwrap();

    assert_eq!(
        outcome(&cluster.steps, StepId::EtcdBootstrap),
        Outcome::Done
    );
    assert!(talos.is_bootstrapped());
    // The data that the first call wrote proves that it took effect.
    talos.assert_called(Route::Bootstrap, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_in_one_folder_are_refused() {
    let world = World::new().await;
    let _first = world.bootstrap();

    let second =
        lungmen_bootstrap::journal::FileJournal::open(world.file("lungmen.journal")).unwrap_err();

    assert_eq!(second.kind(), lungmen_bootstrap::ErrorKind::Conflict);
    assert!(second.report().contains("hint: "));
}
