//! The engine as a library: observe, advance.

use std::time::Duration;

use lungmen_bootstrap::{Advance, StepId, StepState, StepStatus};

use crate::support::World;

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
    let after = world.bootstrap().observe().await;

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
            Advance::Pending { retry_after } => tokio::time::sleep(retry_after).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("the cluster is not complete");
}
