//! A finished cluster stays as it is.

use argocd_client::mock::Route;
use lungmen_bootstrap::{ClusterBootstrap, Outcome, PatchSource, StepId};

use crate::support::{World, acting_steps, existing_secrets, outcome, spec, vm};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_does_nothing_and_says_so() {
    let world = World::new().await;
    world.run().await.unwrap();
    let before = Snapshot::of(&world);

    let again = world.run().await.unwrap();

    for step in acting_steps() {
        assert_eq!(outcome(&again.steps, step), Outcome::AlreadyDone, "{step}");
    }
    assert!(again.was_complete());
    assert_eq!(Snapshot::of(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_another_folder_takes_the_secrets_from_openbao() {
    let world = World::new().await;
    world.run().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();

    let cluster = world
        .lab
        .bootstrap(spec())
        .output(elsewhere.path())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();

    let restored = std::fs::read_to_string(elsewhere.path().join("secrets.yaml")).unwrap();
    assert_eq!(restored, world.read("secrets.yaml"));
    for step in [
        StepId::Machine,
        StepId::Apply,
        StepId::EtcdBootstrap,
        StepId::SaveSecrets,
        StepId::Register,
    ] {
        assert_eq!(
            outcome(&cluster.steps, step),
            Outcome::AlreadyDone,
            "{step}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_deleted_file_comes_back() {
    let world = World::new().await;
    world.run().await.unwrap();

    for name in [
        "secrets.yaml",
        "controlplane.yaml",
        "talosconfig",
        "kubeconfig",
    ] {
        let before = world.read(name);
        std::fs::remove_file(world.file(name)).unwrap();

        let cluster = world
            .run()
            .await
            .unwrap_or_else(|error| panic!("{name}: {}", error.report()));

        assert!(!cluster.was_complete(), "{name}");
        // The node makes another client certificate for every kubeconfig.
        if name != "kubeconfig" {
            assert_eq!(world.read(name), before, "{name}");
        }
        assert!(world.run().await.unwrap().was_complete(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_openbao_a_lost_bundle_is_read_from_the_control_plane_configuration() {
    let world = World::new().await;
    let spec = || {
        let mut spec = spec();
        spec.openbao = None;
        spec
    };
    world
        .builder_of(spec())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();
    let before = world.read("secrets.yaml");
    std::fs::remove_file(world.file("secrets.yaml")).unwrap();

    world
        .builder_of(spec())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();

    assert_eq!(world.read("secrets.yaml"), before);
}

/// What a run may not change any more.
#[derive(Debug, PartialEq)]
struct Snapshot {
    proxmox_changes: usize,
    schematics: usize,
    configurations: usize,
    bootstraps: usize,
    secret: Option<serde_json::Value>,
    registrations: usize,
    files: Vec<String>,
}

/// Whether a request changes nothing though it is no GET: Argo CD calls the cluster when it is sent the name that the entry
/// has, and tells what an ApplicationSet would generate.
fn is_question(call: &argocd_client::mock::Call) -> bool {
    let name = ("updatedFields".to_owned(), "name".to_owned());
    match call.route {
        Some(Route::SetGenerate) => true,
        Some(Route::ClusterUpdate) => call.query == [name],
        _ => false,
    }
}

impl Snapshot {
    fn of(world: &World) -> Self {
        let lab = &world.lab;
        let talos = lab.talos(vm()).unwrap();
        let calls = |method: &str| {
            talos
                .calls()
                .iter()
                .filter(|call| call.method() == method)
                .count()
        };
        Self {
            proxmox_changes: lab
                .proxmox()
                .calls()
                .iter()
                .filter(|call| call.method != http::Method::GET)
                .count(),
            schematics: lab
                .factory()
                .calls()
                .iter()
                .filter(|call| call.method == http::Method::POST)
                .count(),
            configurations: calls("ApplyConfiguration"),
            bootstraps: calls("Bootstrap"),
            secret: lab.openbao().secret("secret", "talos/lungmen.akn"),
            registrations: lab
                .argocd()
                .calls()
                .iter()
                .filter(|call| call.method != http::Method::GET && !is_question(call))
                .count(),
            files: [
                "secrets.yaml",
                "controlplane.yaml",
                "talosconfig",
                "kubeconfig",
            ]
            .map(|name| world.read(name))
            .into(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_of_a_day_is_not_fetched_again_by_every_run() {
    let world = World::new().await;
    let spec = spec().config_patch(PatchSource::new(
        "lifetime",
        "cluster:\n  adminKubeconfig:\n    certLifetime: 24h0m0s\n",
    ));
    let run = || world.builder_of(spec.clone()).build().unwrap();
    assert_fetched_once(&world, run).await;
}

/// Of two runs only the first one fetches a kubeconfig, and the second one has nothing to do.
async fn assert_fetched_once(world: &World, run: impl Fn() -> ClusterBootstrap) {
    let first = run().run().await;
    first.unwrap_or_else(|error| panic!("{}", error.report()));

    let second = run().run().await.unwrap();

    assert!(second.was_complete(), "{:?}", second.steps);
    let talos = world.lab.talos(vm()).unwrap();
    talos.assert_called(talos_client::mock::Route::Kubeconfig, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_output_directory_the_kubeconfig_is_kept_in_the_store() {
    let world = World::new().await;
    let run = || {
        let bootstrap = world.lab.bootstrap(spec()).without_output();
        let bootstrap = bootstrap.import_secrets(existing_secrets());
        bootstrap.build().unwrap()
    };
    assert_fetched_once(&world, run).await;
}
