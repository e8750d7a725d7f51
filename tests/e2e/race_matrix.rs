//! A second run begins while the first one is in any of its steps: the cluster is made once, with one bundle.
//!
//! `cargo test` samples the steps; with `LUNGMEN_MATRIX=full` every step is tried with every store.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::lease::LeaseOptions;
use lungmen_bootstrap::store::DirectoryStore;
use lungmen_bootstrap::{
    ClusterBootstrapBuilder, Error, ErrorKind, Event, EventKind, Spec, StepId,
};
use tokio::sync::oneshot;

use crate::sample::sample;
use crate::support::{World, assert_made_once, side_by_side};

/// What the two runs share beside the servers.
#[derive(Debug, Clone, Copy)]
enum Shared {
    /// The record and the lease are in OpenBao; each run has its folder.
    OpenBao,
    /// They are in one folder; each run has another one for its files.
    StoreFolder,
    /// Both runs write into one folder, which is their store too.
    OutputFolder,
}

const SHARED: [Shared; 3] = [Shared::OpenBao, Shared::StoreFolder, Shared::OutputFolder];

/// Longer than a whole run with new keys on a busy machine.
const LONG_WAIT: Duration = Duration::from_secs(120);

/// What a second run does while the first one works.
#[derive(Debug, Clone, Copy)]
enum Second {
    Ends,
    Waits,
}

fn spec(shared: Shared) -> Spec {
    let mut spec = crate::support::spec();
    if !matches!(shared, Shared::OpenBao) {
        spec.openbao = None;
    }
    spec
}

fn builder(world: &World, shared: Shared, own: &Path) -> ClusterBootstrapBuilder {
    let together = world.output.path();
    let builder = world.lab.bootstrap(spec(shared));
    match shared {
        Shared::OpenBao => builder.output(own),
        Shared::StoreFolder => builder
            .output(own)
            .store(DirectoryStore::new(together.join("store"))),
        Shared::OutputFolder => builder.output(together),
    }
}

/// Begins the second run when the first one starts `step`. Gives both results.
async fn race(
    world: &World,
    shared: Shared,
    step: StepId,
    behaviour: Second,
) -> [Result<(), Error>; 2] {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (reached, begin) = oneshot::channel();
    let reached = Mutex::new(Some(reached));
    let first = builder(world, shared, folders[0].path())
        .journal(FileJournal::open(folders[0].path().join("journal")).unwrap())
        .observer(move |event: &Event| {
            if matches!(event.kind, EventKind::StepStarted)
                && event.step == step
                && let Some(reached) = reached.lock().unwrap().take()
            {
                let _ = reached.send(());
            }
        })
        .build()
        .unwrap();
    let lease = match behaviour {
        Second::Ends => LeaseOptions::default(),
        Second::Waits => LeaseOptions::default().wait(LONG_WAIT),
    };
    let second = builder(world, shared, folders[1].path())
        .lease(lease)
        .build()
        .unwrap();
    let second = async {
        begin.await.unwrap();
        second.run().await
    };
    let (first, second) = tokio::join!(first.run(), second);
    [first.map(drop), second.map(drop)]
}

async fn try_case(shared: Shared, step: StepId, behaviour: Second) {
    let case = format!("{shared:?}, second run at {step}, which {behaviour:?}");
    let world = World::with_new_secrets().await;

    let [first, second] = race(&world, shared, step, behaviour).await;

    if let (Err(error), Second::Waits) = (&second, behaviour) {
        panic!("{case}: the second run: {}", error.report());
    }
    let errors: Vec<Error> = [first.err(), second.err()].into_iter().flatten().collect();
    assert!(errors.len() < 2, "{case}: {errors:?}");
    for error in errors {
        let report = error.report();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{case}: {report}");
        assert!(report.contains("works on this cluster"), "{case}: {report}");
    }
    assert_made_once(&world, &case);
    let folder = tempfile::tempdir().unwrap();
    let again = builder(&world, shared, folder.path()).build().unwrap();
    let cluster = again.run().await;
    cluster.unwrap_or_else(|error| panic!("{case}: a third run: {}", error.report()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_races() {
    let mut cases = Vec::new();
    for shared in SHARED {
        for step in StepId::ALL {
            for behaviour in [Second::Ends, Second::Waits] {
                cases.push((shared, step, behaviour));
            }
        }
    }
    let cases = cases
        .into_iter()
        .filter(|(_, step, _)| *step != StepId::MergeTalosconfig)
        .collect();
    // An odd distance, so that the second run ends in one case and waits in the next.
    side_by_side(sample(cases, 7), |(shared, step, behaviour)| {
        try_case(shared, step, behaviour)
    })
    .await;
}
