//! COSI resources: reading, listing, watching, refusals.

use futures_util::StreamExt as _;
use secrecy::ExposeSecret;
use talos_client::ErrorKind;
use talos_client::cosi::{
    Change, LocalEtcdMember, MachineStatus, MachineType, NodeDiagnostic, NodeStatus, SecurityState,
    Stage, StaticPodStatus, SystemDisk, TimeStatus,
};
use talos_client::mock::TalosMock;
use talos_client::secrets::Role;

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
