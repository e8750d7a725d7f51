//! COSI resources: reading, listing, watching, refusals.

use futures_util::StreamExt as _;
use secrecy::ExposeSecret;
use talos_client::cosi::{
    BlockDevice, Bookmark, Change, LocalEtcdMember, MachineConfigStatus, MachineStatus,
    MachineType, NodeDiagnostic, NodeStatus, ResourceQuery, ResourceType, SecurityState, Stage,
    StaticPodStatus, SystemDisk, TimeStatus, WatchRequest,
};
use talos_client::machine::RebootMode;
use talos_client::mock::TalosMock;
use talos_client::secrets::Role;
use talos_client::{Code, ErrorKind};

use super::support::{
    client, client_with, configured, control_plane, in_maintenance, poll, running,
};

#[tokio::test]
async fn a_watch_begins_with_a_tombstone_and_goes_on_with_the_creation() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let client = client(&mock);
    let mut changes = client.resources().watch::<LocalEtcdMember>("local");

    let first = changes.next().await.unwrap().unwrap();
    client.machine().bootstrap_and_wait(poll()).await.unwrap();
    let second = changes.next().await.unwrap().unwrap();

    assert!(
        matches!(&first, Change::Destroyed(gone) if gone.id == "local"),
        "{first:?}"
    );
    assert!(matches!(second, Change::Created(_)), "{second:?}");
}

#[tokio::test]
async fn a_watch_of_a_kind_marks_the_end_of_what_existed() {
    let mock = running(TalosMock::builder()).await;
    let mut changes = client(&mock).resources().watch_all::<StaticPodStatus>();
    let mut names = Vec::new();

    while let Some(change) = changes.next().await {
        match change.unwrap() {
            Change::Created(pod) => {
                assert!(pod.spec.is_ready);
                names.push(pod.metadata.id);
            }
            Change::Bootstrapped => break,
            other => panic!("{other:?}"),
        }
    }

    assert_eq!(names.len(), 3);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("kube-system/kube-"))
    );
}

#[tokio::test]
async fn what_does_not_exist_is_told_from_what_is_not_known() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let resources = mock.maintenance_client().resources();

    assert!(
        resources
            .find_singleton::<SystemDisk>()
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(resources.list::<NodeDiagnostic>().await.unwrap(), []);
    let error = resources
        .yaml("runtime", "Dreams.runtime.talos.dev", "x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(
        error.message(),
        "resource type \"Dreams.runtime.talos.dev\" is not supported"
    );
    let secret = resources
        .yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1")
        .await
        .unwrap_err();
    assert_eq!(secret.message(), "not authorized");
}

#[tokio::test]
async fn specifications_are_readable_as_yaml_too() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let resources = mock.maintenance_client().resources();

    let yaml = resources
        .yaml("runtime", "Versions.runtime.talos.dev", "version")
        .await
        .unwrap();

    assert_eq!(yaml.expose_secret(), "version: v1.10.7\n");
}

#[tokio::test]
async fn a_running_node_shows_what_a_bootstrapper_checks() {
    let mock = running(TalosMock::builder()).await;
    let resources = client_with(&mock, Role::Reader).resources();

    let status = resources.singleton::<MachineStatus>().await.unwrap().spec;
    assert_eq!(status.stage, Stage::Running);
    assert!(status.is_ready && status.unmet_conditions.is_empty());
    assert!(
        resources
            .singleton::<TimeStatus>()
            .await
            .unwrap()
            .spec
            .is_synced
    );
    assert!(
        !resources
            .singleton::<SecurityState>()
            .await
            .unwrap()
            .spec
            .is_secure_boot
    );
    assert_eq!(
        resources.singleton::<MachineType>().await.unwrap().spec,
        MachineType::ControlPlane
    );
    assert_eq!(
        resources
            .singleton::<SystemDisk>()
            .await
            .unwrap()
            .spec
            .device,
        "/dev/sda"
    );
    let nodes = resources.list::<NodeStatus>().await.unwrap();
    assert!(nodes.iter().all(|node| node.spec.is_ready));
    assert_eq!(nodes.len(), 1);
}

#[tokio::test]
async fn without_a_ready_node_the_stage_is_reached_and_readiness_is_not() {
    let mock = configured(
        TalosMock::builder().not_ready_by_itself(),
        &control_plane("v1.10.7"),
    )
    .await;
    let machine = client(&mock).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();

    let status = machine
        .wait_for_stage(Stage::Running, poll())
        .await
        .unwrap();
    assert!(!status.is_ready);
    assert_eq!(status.unmet_conditions.first().unwrap().name, "nodeReady");

    mock.set_node_ready();
    assert!(machine.wait_for_ready(poll()).await.unwrap().is_ready);
}

#[tokio::test]
async fn every_type_of_a_release_is_found_by_its_aliases() {
    for version in ["v1.10.7", "v1.14.0"] {
        let mock = in_maintenance(TalosMock::builder().version(version)).await;
        let resources = mock.maintenance_client().resources();

        let definitions = resources.definitions().await.unwrap();
        assert!(definitions.len() > 140, "{version}");
        let config = resources.definition("mc").await.unwrap();
        assert_eq!(config.resource_type, "MachineConfigs.config.talos.dev");
        assert!(config.is_sensitive);
        let disks = resources.definition("Disks.Block.talos.dev").await.unwrap();
        assert_eq!(disks.default_namespace, "runtime");
        assert_eq!(disks.print_columns[0].json_path, "{.pretty_size}");

        // The words of talosctl; the first are recorded from a node at v1.14.0-beta.1.
        let several = resources.definition("ns").await.unwrap_err();
        assert_eq!(several.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            several.message(),
            "resource type \"ns\" is ambiguous: [namespaces.meta.cosi.dev networkstatuses.net.talos.dev \
             nodestatuses.kubernetes.talos.dev]"
        );
        let none = resources.definition("dreams").await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        assert_eq!(none.message(), "resource \"dreams\" is not registered");
    }
}

#[tokio::test]
async fn a_resource_of_any_type_has_its_metadata() {
    let mock = running(TalosMock::builder()).await;
    let resources = client_with(&mock, Role::Reader).resources();
    let definition = resources.definition("machinestatus").await.unwrap();
    let of = ResourceType::from(&definition);

    let status = resources.any(&of, "machine").await.unwrap();

    assert_eq!(status.metadata.owner, "runtime.MachineStatusController");
    assert_eq!(status.metadata.namespace, "runtime");
    let text = status.to_yaml().unwrap();
    let text = text.expose_secret();
    assert!(text.starts_with("metadata:\n    namespace: runtime\n    type: MachineStatuses.runtime.talos.dev\n    id: machine\n    version: "), "{text}");
    assert!(
        text.contains("\nspec:\n    stage: running\n    status:\n        ready: true\n"),
        "{text}"
    );
    assert!(!format!("{status:?}").contains("stage"));

    let elsewhere = of.in_namespace("dreams");
    let error = resources.any(&elsewhere, "machine").await.unwrap_err();
    assert_eq!(error.message(), "namespace \"dreams\" is not supported");
}

#[tokio::test]
async fn a_query_selects_on_the_node() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let resources = mock.maintenance_client().resources();

    let query = ResourceQuery::all().id_matches("^sd[b-z]$");
    let disks = resources
        .list_matching::<BlockDevice>(&query)
        .await
        .unwrap();
    assert_eq!(disks.len(), 1);
    assert_eq!(disks[0].spec.device, "/dev/sdb");

    let labelled = ResourceQuery::all().label_exists("talos.dev/none");
    assert!(
        resources
            .list_matching::<BlockDevice>(&labelled)
            .await
            .unwrap()
            .is_empty()
    );
    let broken = ResourceQuery::all().id_matches("(");
    let error = resources
        .list_matching::<BlockDevice>(&broken)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(Code::InvalidArgument));
    assert!(
        error.message().starts_with("failed to compile regexp"),
        "{error}"
    );
}

#[tokio::test]
async fn a_watch_goes_on_after_its_bookmark() {
    let mock = running(TalosMock::builder()).await;
    let resources = client(&mock).resources();
    let mut watch = resources.watch_from::<MachineStatus>(&WatchRequest::all());
    let present = watch.next().await.unwrap().unwrap();
    assert!(matches!(present.change, Change::Created(_)));
    let marker = watch.next().await.unwrap().unwrap();
    assert!(matches!(marker.change, Change::Bootstrapped));
    drop(watch);

    // What happens while nobody watches is told afterwards.
    client(&mock)
        .machine()
        .reboot(RebootMode::Default)
        .await
        .unwrap();
    client(&mock)
        .machine()
        .wait_for_ready(poll())
        .await
        .unwrap();
    let request = WatchRequest::all().after(marker.bookmark.as_ref().unwrap());
    let mut later = client(&mock)
        .resources()
        .watch_from::<MachineStatus>(&request);
    let missed = later.next().await.unwrap().unwrap();
    assert!(matches!(missed.change, Change::Updated(_)), "{missed:?}");

    let unknown = WatchRequest::all().after(&Bookmark::from_bytes([7; 16]));
    let mut unknown = client(&mock)
        .resources()
        .watch_from::<MachineStatus>(&unknown);
    let error = unknown.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
    assert_eq!(error.message(), "invalid watch bookmark");
}

#[tokio::test]
async fn the_configuration_is_read_back_by_administrators_only() {
    for version in ["v1.10.7", "v1.12.11"] {
        let config = control_plane(version);
        let mock = configured(TalosMock::builder().version(version), &config).await;
        let resources = client(&mock).resources();

        let active = resources
            .machine_config(MachineConfigStatus::ACTIVE)
            .await
            .unwrap();

        assert_eq!(active.text.expose_secret(), config.expose_secret());
        let yaml = resources.yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1");
        assert_eq!(yaml.await.unwrap().expose_secret(), config.expose_secret());
        let printed = resources
            .any(&ResourceType::of::<MachineConfigStatus>(), "persistent")
            .await
            .unwrap()
            .to_yaml()
            .unwrap();
        let end = printed
            .expose_secret()
            .split_once("\nspec: |\n    ")
            .unwrap()
            .1;
        assert!(end.starts_with("version: v1alpha1"), "{version}");
        let reader = client_with(&mock, Role::Reader).resources();
        let error = reader.machine_config("v1alpha1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    }
}
