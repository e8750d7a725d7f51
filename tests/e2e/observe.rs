//! The engine as a library: observe, advance.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{Advance, RunOutcome, StepId, StepState, StepStatus};
use proxmox_client::mock::Route as PveRoute;
use talos_client::Code;
use talos_client::mock::{Fault, Route};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{World, assert_made_once, vm};
use crate::writes::Writes;

fn status(states: &[StepState], step: StepId) -> &StepStatus {
    &states
        .iter()
        .find(|state| state.step == step)
        .unwrap()
        .status
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_tells_done_from_absent_and_changes_nothing() {
    let world = World::new().await;
    let before = world.bootstrap().observe().await;
    assert!(matches!(
        status(&before, StepId::Claim),
        StepStatus::Absent { .. }
    ));
    assert_eq!(status(&before, StepId::Machine), &StepStatus::NotReached);
    assert!(world.lab.proxmox().vm_ids().is_empty());

    world.run().await.unwrap();
    let written = Writes::of(&world.lab);
    let after = world.bootstrap().observe().await;

    assert_eq!(Writes::of(&world.lab), written);
    assert_eq!(after.len(), StepId::ALL.len());
    for state in &after {
        assert!(
            matches!(state.status, StepStatus::Done { .. } | StepStatus::Skipped),
            "{state:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_respond_makes_its_step_unknown() {
    let world = World::new().await;
    world
        .lab
        .openbao()
        .set_mode(lungmen_bootstrap::mock::openbao::OpenBaoMode::Sealed);

    let states = world.bootstrap().observe().await;

    assert!(
        matches!(
            status(&states, StepId::Preflight),
            StepStatus::Unknown { .. }
        ),
        "{states:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn advancing_in_slices_completes_the_cluster() {
    let world = World::new().await;
    // The keys of a new bundle take longer than a slice.
    world.run_until(StepId::Claim).await.unwrap();
    let bootstrap = world.bootstrap();

    for _ in 0..100 {
        match bootstrap.advance(Duration::from_secs(2)).await.unwrap() {
            Advance::Complete(cluster) => {
                assert_eq!(cluster.talos_version, "v1.10.7");
                return;
            }
            Advance::Pending { retry_after, .. } => tokio::time::sleep(retry_after).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("the cluster is not complete");
}

/// The first slice does everything up to the wait for the silent node; none of it is done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_ends_in_a_wait_and_loses_no_work() {
    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    let talos = world.lab.talos(vm()).unwrap();
    let silent = Fault::status(Code::Unavailable, "connection refused");
    talos.fail_always(Route::ServiceList, silent);
    let bootstrap = world.bootstrap();

    let slice = bootstrap.advance(Duration::ZERO).await.unwrap();
    talos.clear_faults();
    let mut slices = 1;
    let cluster = loop {
        match bootstrap.advance(Duration::from_secs(20)).await.unwrap() {
            Advance::Complete(cluster) => break cluster,
            _ => slices += 1,
        }
    };

    assert!(matches!(slice, Advance::Pending { .. }), "{slice:?}");
    assert!(slices < 5, "{slices}");
    assert_made_once(&world, "slices");
    assert_eq!(cluster.outcome(), RunOutcome::Changed);
    drop(bootstrap);
    let again = world.run().await;
    assert_eq!(RunOutcome::from(&again).exit_code(), 0);
}

/// The node downloads for three seconds, and a slice waits for one: the next one goes on with the same download.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_between_slices_and_is_begun_once() {
    let world = World::new().await;
    world.run_until(StepId::Schematic).await.unwrap();
    let factory = world.lab.factory();
    // The run asks for the length and for the checksum; the node asks for the length too, and then it downloads.
    for delay in [0, 0, 0, 3] {
        let fault = factory_client::mock::Fault::Delay(Duration::from_secs(delay));
        factory.fail_next(factory_client::mock::Route::Image, fault);
    }
    let bootstrap = world.bootstrap();

    let first = bootstrap.advance(Duration::ZERO).await.unwrap();
    let mut slices = 1;
    while let Advance::Pending { .. } = bootstrap.advance(Duration::ZERO).await.unwrap() {
        slices += 1;
        assert!(slices < 30);
    }

    let Advance::Pending {
        step,
        waiting_for,
        cause,
        ..
    } = first
    else {
        panic!("{first:?}");
    };
    assert_eq!(step, StepId::Image);
    assert_eq!(waiting_for, "the ISO on the storage");
    assert!(!cause.is_empty());
    let downloads = world.lab.proxmox().calls().into_iter();
    let downloads = downloads.filter(|call| call.route == PveRoute::DownloadUrl);
    assert_eq!(downloads.count(), 1);
    assert_made_once(&world, "a download in slices");
}

/// Nobody can say whether an application is generated: the slices together wait as long as a run does, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn slices_share_the_time_in_which_applications_may_appear() {
    let world = World::with(Lab::builder().without_applications()).await;
    world.run_until(StepId::Register).await.unwrap();
    let forbidden = argocd_client::mock::Fault::Status(403, "permission denied".to_owned());
    let argocd = world.lab.argocd();
    argocd.fail_always(argocd_client::mock::Route::SetList, forbidden);
    let mut timing = world.lab.timing();
    timing.applications_appear = Duration::from_secs(2);
    let bootstrap = world.builder().timing(timing).build().unwrap();

    let mut pending = 0;
    let cluster = loop {
        match bootstrap.advance(Duration::ZERO).await.unwrap() {
            Advance::Complete(cluster) => break cluster,
            _ => pending += 1,
        }
        assert!(pending < 20, "the slices never end");
    };

    assert!(pending > 0);
    let warnings = cluster.warnings.join("; ");
    assert!(warnings.contains("is not known"), "{warnings}");
}

/// Collects the names of spans with their fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut text = attributes.metadata().name().to_owned();
        attributes.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.push_str(&format!(" {field}={value:?}"));
            },
        );
        self.0.lock().unwrap().insert(text);
    }
}

#[tokio::test]
async fn spans_carry_cluster_step_machine_and_attempt() {
    let spans = Spans::default();
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("lungmen"));
    let subscriber = tracing_subscriber::registry().with(spans.clone().with_filter(ours));
    // For the whole binary, because the other tests would make the callsites remember that nobody listens.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;

    world.run_until(StepId::FirstBoot).await.unwrap();

    let spans = spans.0.lock().unwrap();
    for (start, part) in [
        ("step ", "cluster=\"lungmen.akn\" step=machine"),
        ("machine ", "machine=tal01.lungmen.akn.chezmoi.sh"),
        ("attempt ", "attempt=1 waiting_for=tal01"),
    ] {
        let is_it = |span: &&String| span.starts_with(start) && span.contains(part);
        assert!(spans.iter().any(|span| is_it(&span)), "{part}: {spans:?}");
    }
}
