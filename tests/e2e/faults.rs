//! What goes wrong is reported with kind, step, target and hint, and mended by running again.

use argocd_client::mock::{Fault as ArgoFault, Route as ArgoRoute};
use factory_client::mock::{Fault as FactoryFault, Route as FactoryRoute};
use lungmen_bootstrap::mock::kubernetes::Route as KubernetesRoute;
use lungmen_bootstrap::mock::openbao::OpenBaoMode;
use lungmen_bootstrap::mock::{Fault as ServiceFault, Lab};
use lungmen_bootstrap::{Error, ErrorKind, StepId, Timing};
use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{Acl, Fault as PveFault, MockStorage, PveMock, Route as PveRoute};
use std::time::Duration;
use talos_client::Code;
use talos_client::mock::{Fault as TalosFault, Route as TalosRoute};

use crate::support::{VM, World, vm};

#[track_caller]
fn assert_failure(error: &Error, kind: ErrorKind, step: StepId) {
    assert_eq!(error.kind(), kind, "{}", error.report());
    assert_eq!(error.step(), Some(step), "{}", error.report());
    let heads = error
        .report()
        .lines()
        .filter(|line| line.starts_with("error:"))
        .count();
    assert_eq!(heads, 1, "{}", error.report());
}

pub(crate) async fn with_acl(acl: Acl) -> World {
    let proxmox = PveMock::builder().token(
        "lungmen@pve!ci",
        "4c6d8a3e-0001-4000-8000-000000000001",
        acl,
    );
    World::with(Lab::builder().proxmox(proxmox)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_unauthenticated() {
    let world = World::new().await;
    let wrong = proxmox_client::credentials::ApiToken::new(
        "nobody@pve!ci",
        "00000000-0000-4000-8000-000000000000".into(),
    )
    .unwrap();
    let client = world.lab.proxmox().client_builder(wrong).build().unwrap();

    let error = world
        .builder()
        .proxmox(client)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();

    assert_failure(&error, ErrorKind::Unauthenticated, StepId::Preflight);
    assert!(error.hint().contains("token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_are_named_together() {
    let world = with_acl(
        Acl::administrator()
            .without("VM.Allocate")
            .without("VM.Config.CDROM"),
    )
    .await;

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::Forbidden, StepId::Preflight);
    for privilege in ["VM.Allocate", "VM.Config.CDROM"] {
        assert!(error.hint().contains(privilege), "{}", error.report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_download_the_image_is_streamed() {
    let world = with_acl(
        Acl::administrator()
            .without("Sys.AccessNetwork")
            .without("Sys.Modify"),
    )
    .await;

    world
        .run_until(StepId::Image)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    world.lab.proxmox().assert_called(PveRoute::Upload, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_id_of_somebody_else_is_left_alone() {
    let world = World::new().await;
    world
        .lab
        .proxmox()
        .add_vm(vm(), &[("name", "important"), ("cores", "2")]);

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::NotOurs, StepId::Machine);
    assert!(!error.is_safe_to_repeat());
    assert!(error.report().contains("important"), "{}", error.report());
    let vm = world.lab.proxmox().vm(vm()).unwrap();
    assert!(!vm.running);
    assert_eq!(vm.config.name.as_deref(), Some("important"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_is_named() {
    let storage = |name| StorageName::new(name).unwrap();
    let proxmox = PveMock::builder()
        .node(NodeName::new("pve-01").unwrap())
        .storage(MockStorage::directory(storage("local"), &["iso"]))
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")).size(10 << 30));
    let world = World::with(Lab::builder().proxmox(proxmox)).await;

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::NoSpace, StepId::Machine);
    assert!(world.lab.proxmox().vm(vm()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_bridge_is_named() {
    let proxmox = PveMock::builder().bridge("vmbr0");
    let world = World::with(Lab::builder().proxmox(proxmox)).await;

    let error = world.run().await.unwrap_err();

    assert_eq!(error.step(), Some(StepId::Machine), "{}", error.report());
    assert!(error.report().contains("vmbr1"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_does_not_exist_is_named() {
    let proxmox = PveMock::builder().storage(MockStorage::directory(
        StorageName::new("local").unwrap(),
        &["iso"],
    ));
    let world = World::with(Lab::builder().proxmox(proxmox)).await;

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::NotFound, StepId::Preflight);
    assert!(error.report().contains("nvme-lvm"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_ends_at_the_deadline_with_the_last_cause() {
    let world = World::new().await;
    let nobody = |_: &str, _: u16| Some(([127, 0, 0, 1], 1).into());
    let timing = Timing::uniform(Duration::from_millis(10), Duration::from_millis(300));

    let error = world
        .builder()
        .address_book(nobody)
        .timing(timing)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();

    assert_failure(&error, ErrorKind::Deadline, StepId::FirstBoot);
    assert!(error.report().contains("refused"), "{}", error.report());
    assert!(error.hint().contains("console"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_directory_with_the_secrets_of_another_cluster_is_refused() {
    let world = World::new().await;
    world.run().await.unwrap();
    let stranger = talos_client::secrets::SecretsBundle::generate_blocking(
        talos_client::config::VersionContract::new(1, 6),
    )
    .unwrap();
    std::fs::write(
        world.file("secrets.yaml"),
        secrecy::ExposeSecret::expose_secret(&stranger.to_yaml()),
    )
    .unwrap();

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::Conflict, StepId::Preflight);
    assert!(error.report().contains("lungmen.akn"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_secrets_of_a_configured_node_are_never_made_again() {
    let world = World::with_new_secrets().await;
    let spec = || {
        let mut spec = crate::support::spec();
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
    for name in ["secrets.yaml", "controlplane.yaml", "cluster-record.json"] {
        std::fs::remove_file(world.file(name)).unwrap();
    }

    let error = world
        .builder_of(spec())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::SecretsLost, "{}", error.report());
    assert!(!error.is_safe_to_repeat());
    assert!(!world.file("secrets.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_is_told_from_a_slow_one() {
    let world = World::new().await;
    world.run_until(StepId::Configuration).await.unwrap();
    world
        .lab
        .talos(vm())
        .unwrap()
        .fail_next_installation("no such disk");

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::Server, StepId::Apply);
    assert!(error.report().contains("maintenance"), "{}", error.report());
    world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_at_the_path_is_found_before_anything_is_created_and_never_replaced() {
    let world = World::new().await;
    let theirs = std::collections::BTreeMap::from([("secrets.yaml".to_owned(), "theirs".into())]);
    let client = world.lab.openbao().client();
    client
        .kv("secret")
        .create("talos/lungmen.akn", &theirs)
        .await
        .unwrap();

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::Conflict, StepId::Preflight);
    assert!(world.lab.proxmox().vm_ids().is_empty());
    let secret = world
        .lab
        .openbao()
        .secret("secret", "talos/lungmen.akn")
        .unwrap();
    assert_eq!(secret["secrets.yaml"], "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_may_refuse_the_cluster() {
    let world = World::new().await;
    world.lab.argocd().deny("clusters", "create");

    let error = world.run().await.unwrap_err();

    assert_failure(&error, ErrorKind::Forbidden, StepId::Register);
    world.lab.argocd().allow("clusters", "create");
    world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_stays_ill_is_named() {
    let world = World::with(Lab::builder().without_applications()).await;
    world.lab.argocd().add_application(
        argocd_client::mock::ApplicationSeed::new("grafana")
            .on_cluster("lungmen.akn")
            .ends_as(
                argocd_client::application::HealthStatus::Degraded,
                "no volume",
            ),
    );
    let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(3));

    let error = world
        .builder()
        .timing(timing)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();

    assert_eq!(
        error.step(),
        Some(StepId::Applications),
        "{}",
        error.report()
    );
    assert!(error.report().contains("grafana"), "{}", error.report());
}

/// Each new application starts the wait again; all of it together has one deadline.
#[tokio::test(flavor = "multi_thread")]
async fn applications_that_never_stop_appearing_end_at_the_deadline() {
    const DEADLINE: Duration = Duration::from_secs(3);
    let world = World::with(Lab::builder().without_applications()).await;
    let argocd = world.lab.argocd();
    let seed = |number: u32| {
        argocd_client::mock::ApplicationSeed::new(format!("app-{number}")).on_cluster("lungmen.akn")
    };
    argocd.add_application(seed(0));
    let bootstrap = world
        .builder()
        .timing(Timing::uniform(Duration::from_millis(20), DEADLINE))
        .build()
        .unwrap();
    let started = |world: &World| {
        let events = world.events();
        let of_step = events
            .iter()
            .find(|event| event.step == StepId::Applications);
        of_step.map(|event| event.at)
    };

    let growing = async {
        for number in 1..400 {
            while started(&world).is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            argocd.add_application(seed(number));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    let ended = tokio::select! {
        result = bootstrap.run() => result,
        () = growing => panic!("the run waits for ever"),
    };

    let error = ended.unwrap_err();
    assert_eq!(
        error.step(),
        Some(StepId::Applications),
        "{}",
        error.report()
    );
    assert_eq!(error.kind(), ErrorKind::Deadline, "{}", error.report());
    let lasted = jiff::Timestamp::now().duration_since(started(&world).unwrap());
    assert!(
        lasted.unsigned_abs() < DEADLINE + Duration::from_secs(1),
        "{lasted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_application_at_all_is_a_warning() {
    let world = World::with(Lab::builder().without_applications()).await;
    let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(2));

    let cluster = world
        .builder()
        .timing(timing)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();

    assert!(cluster.applications.is_empty());
    assert!(
        cluster
            .warnings
            .iter()
            .any(|warning| warning.contains("no application"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argo_cd_that_never_answers_is_not_one_without_applications() {
    for fault in [ArgoFault::Stall, ArgoFault::Disconnect] {
        let world = World::with(Lab::builder().without_applications()).await;
        world.run_until(StepId::Register).await.unwrap();
        let timing = Timing::uniform(Duration::from_millis(20), Duration::from_secs(1));
        world
            .lab
            .argocd()
            .fail_always(ArgoRoute::ApplicationList, fault.clone());

        let ended = world.builder().timing(timing).build().unwrap().run().await;

        let error = ended.unwrap_err();
        assert_eq!(
            error.step(),
            Some(StepId::Applications),
            "{fault:?}: {}",
            error.report()
        );
        assert_eq!(
            error.kind(),
            ErrorKind::Deadline,
            "{fault:?}: {}",
            error.report()
        );
    }
}

/// One refusal of each server, where it is met, and what it is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_each_step_is_reported_there_and_mended_by_running_again() {
    type Break = fn(&World);
    let cases: [(StepId, StepId, Break); 7] = [
        (StepId::Spec, StepId::Schematic, |world| {
            let fault = FactoryFault::Status(403, "forbidden".into());
            world
                .lab
                .factory()
                .fail_next(FactoryRoute::CreateSchematic, fault);
        }),
        (StepId::Schematic, StepId::Image, |world| {
            world
                .lab
                .proxmox()
                .fail_next_task("unable to create image: broken");
        }),
        (StepId::Image, StepId::Machine, |world| {
            let fault = PveFault::forbidden(&format!("/vms/{VM}"), "VM.Allocate");
            world.lab.proxmox().fail_next(PveRoute::CreateVm, fault);
        }),
        (StepId::Configuration, StepId::Apply, |world| {
            let talos = world.lab.talos(vm()).unwrap();
            talos.fail_next(
                TalosRoute::ApplyConfiguration,
                TalosFault::status(Code::InvalidArgument, "configuration validation failed: x"),
            );
        }),
        (StepId::Apply, StepId::EtcdBootstrap, |world| {
            let talos = world.lab.talos(vm()).unwrap();
            talos.fail_next(
                TalosRoute::Bootstrap,
                TalosFault::status(Code::PermissionDenied, "not authorized"),
            );
        }),
        (StepId::EtcdBootstrap, StepId::Kubeconfig, |world| {
            let talos = world.lab.talos(vm()).unwrap();
            talos.fail_next(
                TalosRoute::Kubeconfig,
                TalosFault::status(Code::PermissionDenied, "not authorized"),
            );
        }),
        (StepId::Verify, StepId::Register, |world| {
            let kubernetes = world.lab.kubernetes().unwrap();
            kubernetes.fail_next(
                KubernetesRoute::ServiceAccounts,
                ServiceFault::Status(403, "no".into()),
            );
        }),
    ];
    for (before, step, break_it) in cases {
        let world = World::new().await;
        world.run_until(before).await.unwrap();
        break_it(&world);

        let error = world.run().await.expect_err(step.name());

        assert_eq!(error.step(), Some(step), "{}", error.report());
        assert!(!error.report().is_empty());
        world
            .run()
            .await
            .unwrap_or_else(|error| panic!("after the failure of {step}: {}", error.report()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_openbao_is_found_before_anything_is_built() {
    let world = World::new().await;
    world.lab.openbao().set_mode(OpenBaoMode::Sealed);

    let error = world.run().await.unwrap_err();

    assert_eq!(error.step(), Some(StepId::Preflight), "{}", error.report());
    assert!(world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_trouble_is_waited_out() {
    let world = World::new().await;
    world
        .lab
        .proxmox()
        .fail_next(PveRoute::Version, PveFault::Disconnect);
    world
        .lab
        .argocd()
        .fail_next(ArgoRoute::ClusterList, ArgoFault::Disconnect);

    world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
}
