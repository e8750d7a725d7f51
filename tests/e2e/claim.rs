//! One claim, one bundle: whoever runs, from wherever, and however often.

use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::{ErrorKind, Outcome, StepId, Timing};
use std::time::Duration;

use crate::support::{World, outcome, spec, vm};

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_written_before_anything_is_created() {
    let world = World::with_new_secrets().await;

    world.run_until(StepId::Claim).await.unwrap();

    assert!(
        world
            .lab
            .openbao()
            .secret("secret", "talos/lungmen.akn")
            .is_some()
    );
    let changes = |calls: usize| assert_eq!(calls, 0);
    let proxmox = world.lab.proxmox().calls();
    changes(
        proxmox
            .iter()
            .filter(|call| call.method != http::Method::GET)
            .count(),
    );
    let factory = world.lab.factory().calls();
    changes(
        factory
            .iter()
            .filter(|call| call.method == http::Method::POST)
            .count(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_goes_on_from_another_folder() {
    for last in [StepId::Apply, StepId::Verify] {
        let world = World::with_new_secrets().await;
        world.run_until(last).await.unwrap();
        let elsewhere = tempfile::tempdir().unwrap();

        let cluster = world
            .lab
            .bootstrap(spec())
            .output(elsewhere.path())
            .build()
            .unwrap()
            .run()
            .await
            .unwrap_or_else(|error| panic!("after {last}: {}", error.report()));

        assert_eq!(
            outcome(&cluster.steps, StepId::Apply),
            Outcome::AlreadyDone,
            "after {last}"
        );
        let secrets = std::fs::read_to_string(elsewhere.path().join("secrets.yaml")).unwrap();
        assert_eq!(secrets, world.read("secrets.yaml"), "after {last}");
    }
}

/// Both runs end well, or one of them ends naming the other; the cluster has one bundle and was configured once.
#[tokio::test(flavor = "multi_thread")]
async fn two_runs_from_two_folders_make_one_cluster() {
    let world = World::with_new_secrets().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let first = world.bootstrap();
    let second = world
        .lab
        .bootstrap(spec())
        .output(elsewhere.path())
        .build()
        .unwrap();

    let runs = (first, second);
    let (first, second) = tokio::join!(runs.0.run(), runs.1.run());

    drop(runs);
    let errors: Vec<_> = [first.err(), second.err()].into_iter().flatten().collect();
    assert!(errors.len() < 2, "{errors:?}");
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
        assert!(
            error.report().contains("works on this cluster"),
            "{}",
            error.report()
        );
    }
    let talos = world.lab.talos(vm()).unwrap();
    talos.assert_called(talos_client::mock::Route::ApplyConfiguration, 1);
    world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clones_of_a_bootstrap_exclude_each_other() {
    let world = World::with_new_secrets().await;
    let mut spec = spec();
    spec.openbao = None;
    spec.argocd = None;
    let bootstrap = world.lab.bootstrap(spec).without_output().build().unwrap();
    let clone = bootstrap.clone();

    let (first, second) = tokio::join!(bootstrap.run(), clone.run());

    let failed = [&first, &second].into_iter().filter(|run| run.is_err());
    assert_eq!(failed.count(), 1, "{first:?} {second:?}");
    let again = bootstrap.run().await.unwrap();
    for step in [StepId::Claim, StepId::Machine, StepId::Apply] {
        assert_eq!(outcome(&again.steps, step), Outcome::AlreadyDone, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_another_cluster_is_refused_with_both_names() {
    let world = World::with_new_secrets().await;
    world.run_until(StepId::Claim).await.unwrap();
    let mut other = spec();
    other.name = "other.akn".into();
    let folder = tempfile::tempdir().unwrap();

    let error = world
        .lab
        .bootstrap(other)
        .output(folder.path())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotOurs, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Preflight));
    for name in ["lungmen.akn", "other.akn"] {
        assert!(error.report().contains(name), "{}", error.report());
    }
    assert!(!error.is_safe_to_repeat());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_output_directory_no_secret_reaches_the_disk() {
    let world = World::with_new_secrets().await;
    let run = || {
        world
            .lab
            .bootstrap(spec())
            .without_output()
            .build()
            .unwrap()
    };

    let cluster = run().run().await.unwrap();
    let again = run().run().await.unwrap();

    assert!(cluster.files.is_empty());
    assert_eq!(cluster.output, None);
    assert_eq!(
        std::fs::read_dir(world.output.path()).unwrap().count(),
        0,
        "nothing is written"
    );
    assert_eq!(outcome(&again.steps, StepId::Apply), Outcome::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_imported_by_an_explicit_call_only() {
    let world = World::with_new_secrets().await;
    let existing = talos_client::secrets::SecretsBundle::generate_blocking(
        talos_client::config::VersionContract::new(1, 10),
    )
    .unwrap()
    .to_yaml();
    let text = secrecy::ExposeSecret::expose_secret(&existing);
    std::fs::write(world.file("secrets.yaml"), text).unwrap();

    let error = world.run_until(StepId::Claim).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert!(error.hint().contains("import"));

    world
        .builder()
        .import_secrets(Import::SecretsYaml(existing.clone()))
        .build()
        .unwrap()
        .run_until(StepId::Claim)
        .await
        .unwrap();
    let stored = world
        .lab
        .openbao()
        .secret("secret", "talos/lungmen.akn")
        .unwrap();
    assert_eq!(stored["secrets.yaml"], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_secrets_file_is_found_before_anything_is_created() {
    for text in ["", "cluster:\n  id: "] {
        let world = World::with_new_secrets().await;
        std::fs::write(world.file("secrets.yaml"), text).unwrap();

        let error = world.run().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
        assert!(world.lab.proxmox().volumes().is_empty());
        assert!(world.lab.proxmox().vm_ids().is_empty());
        // Nothing else may hide that: the record is not written either.
        assert!(
            world
                .lab
                .openbao()
                .secret("secret", "talos/lungmen.akn")
                .is_none()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_without_end_is_no_panic() {
    let world = World::with_new_secrets().await;
    let timing = Timing::uniform(Duration::from_millis(10), Duration::MAX);

    let bootstrap = world.builder().timing(timing).build().unwrap();

    bootstrap
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
}
