//! Calls about services, images, meta keys, and what the kernel counts.

use talos_client::ErrorKind;
use talos_client::machine::{ContainerNamespace, ImageNamespace, ServiceState};
use talos_client::mock::TalosMock;
use talos_client::secrets::Role;

use super::support::{client, client_with, configured, poll, running};

#[tokio::test]
async fn services_are_stopped_and_started_as_far_as_the_node_allows() {
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    let mock = configured(
        TalosMock::builder().schematic(id, ["siderolabs/qemu-guest-agent"]),
        &super::support::changed(
            "ghcr.io/siderolabs/installer:v1.10.7",
            &format!("factory.talos.dev/nocloud-installer/{id}:v1.10.7"),
        ),
    )
    .await;
    let machine = client(&mock).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();

    machine.stop_service("ext-qemu-guest-agent").await.unwrap();
    let stopped = machine.service("ext-qemu-guest-agent").await.unwrap();
    assert_eq!(stopped.state, ServiceState::Finished);
    machine.start_service("ext-qemu-guest-agent").await.unwrap();
    assert!(
        machine
            .service("ext-qemu-guest-agent")
            .await
            .unwrap()
            .is_up()
    );
    machine.restart_service("kubelet").await.unwrap();

    let error = machine.stop_service("etcd").await.unwrap_err();
    assert_eq!(
        error.message(),
        "service \"etcd\" doesn't support stop operation via API"
    );
    let error = machine.start_service("nope").await.unwrap_err();
    assert_eq!(error.message(), "service \"nope\" not defined");
    let denied = client_with(&mock, Role::Reader).machine();
    assert_eq!(
        denied.restart_service("kubelet").await.unwrap_err().kind(),
        ErrorKind::Forbidden
    );
}

#[tokio::test]
async fn a_service_tells_when_it_changed() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    let etcd = machine.service("etcd").await.unwrap();
    let told: Vec<_> = etcd
        .events
        .iter()
        .map(|event| event.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "Running pre state",
            "Started task etcd",
            "Health check successful"
        ]
    );
    assert!(etcd.events.is_sorted_by_key(|event| event.time));
    let health = etcd.health.unwrap();
    assert!(health.is_healthy);
    assert_eq!(health.changed, etcd.events[2].time);
    assert!(health.changed.is_some());
}

#[tokio::test]
async fn the_kernel_and_the_container_runtime_are_asked_for_their_numbers() {
    let mock = running(TalosMock::builder()).await;
    let machine = client_with(&mock, Role::Reader).machine();

    let processes = machine.processes().await.unwrap();
    assert!(
        processes
            .iter()
            .any(|process| process.command == "init" && process.pid == 1)
    );
    let mounts = machine.mounts().await.unwrap();
    assert!(
        mounts
            .iter()
            .any(|mount| mount.mounted_on == "/var" && mount.size > 0)
    );
    assert!(machine.load_average().await.unwrap().one > 0.0);
    assert_eq!(machine.cpus().await.unwrap().len(), 2);
    assert!(machine.memory().await.unwrap().total > 0);
    assert!(machine.system_statistics().await.unwrap().boot_time > 1_700_000_000);
    assert!(
        machine
            .disk_statistics()
            .await
            .unwrap()
            .iter()
            .any(|disk| disk.name == "sda")
    );
    assert!(
        machine
            .network_statistics()
            .await
            .unwrap()
            .iter()
            .any(|device| device.name == "eth0")
    );
    let pods = machine
        .containers(ContainerNamespace::Kubernetes)
        .await
        .unwrap();
    assert!(
        pods.iter()
            .any(|pod| pod.id.starts_with("kube-system/kube-apiserver-"))
    );
    let usage = machine
        .container_statistics(ContainerNamespace::System)
        .await
        .unwrap();
    assert!(
        usage
            .iter()
            .any(|container| container.id == "etcd" && container.memory > 0)
    );
    assert_eq!(machine.time().await.unwrap().server, "time.cloudflare.com");
    assert_eq!(
        machine.compare_time("10.0.2.1").await.unwrap().server,
        "10.0.2.1"
    );
    assert!(
        machine
            .log_ids()
            .await
            .unwrap()
            .contains(&"etcd".to_owned())
    );
}

#[tokio::test]
async fn images_and_meta_keys_are_there_until_they_are_removed() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    machine
        .pull_image(ImageNamespace::Cri, "docker.io/library/alpine:3")
        .await
        .unwrap();
    machine
        .pull_image(ImageNamespace::Cri, "docker.io/library/alpine:3")
        .await
        .unwrap();
    let images = machine.images(ImageNamespace::Cri).await.unwrap();
    assert_eq!(images.len(), 1);
    assert!(images[0].digest.starts_with("sha256:"));
    assert!(
        machine
            .images(ImageNamespace::System)
            .await
            .unwrap()
            .is_empty()
    );

    machine.write_meta(12, b"value").await.unwrap();
    assert!(machine.delete_meta(12).await.unwrap());
    assert!(!machine.delete_meta(12).await.unwrap());
}
