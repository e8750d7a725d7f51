//! The services of v1.13: installers and images as streams; sockets.

use futures_util::TryStreamExt as _;
use talos_client::cosi::SystemDisk;
use talos_client::machine::{
    DebugContainerRequest, DebugOutput, DebugProfile, DependencyKind, ImageNamespace,
    InstallerOutput, PacketCaptureRequest, PullProgress, RebootMode, SocketFilter,
};
use talos_client::mock::{MockEvent, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{ApplyOptions, ErrorKind, Machine};

use super::support::{
    changed, client, client_with, configured, control_plane, in_maintenance, poll,
};

const IMAGE: &str = "ghcr.io/siderolabs/installer:v1.14.0";

async fn node(version: &str) -> TalosMock {
    configured(
        TalosMock::builder().version(version),
        &control_plane(version),
    )
    .await
}

/// The installer runs from an image that the node has.
async fn pull(machine: &Machine) {
    let pull = machine.pull_image_observed(ImageNamespace::System, IMAGE);
    pull.try_collect::<Vec<_>>().await.unwrap();
}

#[tokio::test]
async fn a_release_that_was_written_runs_after_a_reboot() {
    let mock = node("v1.13.9").await;
    let client = client(&mock);
    let machine = client.machine();

    let missing = machine.write_upgrade_and_wait(IMAGE).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Server);
    assert!(
        missing.message().contains("not found in containerd store"),
        "{missing}"
    );
    pull(&machine).await;
    let lines = machine.write_upgrade_and_wait(IMAGE).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(machine.version().await.unwrap().tag, "v1.13.9");
    machine.reboot(RebootMode::Default).await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    let version = client.wait_for_identity(None, poll()).await.unwrap();

    assert_eq!(version.tag, "v1.14.0");
}

#[tokio::test]
async fn an_installer_that_fails_is_an_error_after_its_lines() {
    let mock = node("v1.13.9").await;
    mock.fail_next_upgrade("no space left on device");
    let machine = client(&mock).machine();
    pull(&machine).await;
    let mut lines = Vec::new();
    let mut output = machine.write_upgrade(IMAGE);

    let error = loop {
        match output.try_next().await {
            Ok(Some(InstallerOutput::Line(line))) => lines.push(line),
            Ok(other) => panic!("it has failed, but says {other:?}"),
            Err(error) => break error,
        }
    };

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(lines[1].contains("no space left on device"), "{lines:?}");
}

#[tokio::test]
async fn the_services_of_v1_13_are_not_there_before() {
    let mock = node("v1.12.11").await;
    let machine = client(&mock).machine();
    let namespace = ImageNamespace::System;

    for error in [
        machine.write_upgrade_and_wait(IMAGE).await.unwrap_err(),
        machine.verify_image(IMAGE).await.unwrap_err(),
        machine.remove_image(namespace, IMAGE).await.unwrap_err(),
        machine
            .install(IMAGE, "/dev/sdb")
            .try_next()
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().starts_with("unknown service"), "{error}");
    }
}

#[tokio::test]
async fn a_machine_that_is_installed_is_not_installed_again() {
    let mock = node("v1.14.0-rc.1").await;
    let machine = client(&mock).machine();

    let error = machine.install(IMAGE, "/dev/sdb").try_next().await;

    assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_machine_whose_configuration_says_nothing_of_an_installation_is_installed_by_a_call() {
    let builder = TalosMock::builder().version("v1.14.0-rc.1");
    let mock = in_maintenance(builder).await;
    let section = "    install:\n        disk: /dev/sda\n        image: ghcr.io/siderolabs/installer:v1.10.7\n        wipe: false\n";
    let config = changed(section, "");
    mock.maintenance_client()
        .apply_configuration(&config, ApplyOptions::default())
        .await
        .unwrap();
    let client = client(&mock);
    client.wait_for_identity(None, poll()).await.unwrap();
    let machine = client.machine();
    let boot = machine.boot_id().await.unwrap();
    assert!(
        client
            .resources()
            .find_singleton::<SystemDisk>()
            .await
            .unwrap()
            .is_none()
    );

    let missing = machine.install(IMAGE, "/dev/sda").try_next().await;
    let missing = missing.unwrap_err();
    assert!(missing.message().contains("not found in containerd store"));
    let pulled: Vec<_> = machine
        .pull_image_observed(ImageNamespace::InMemory, IMAGE)
        .try_collect()
        .await
        .unwrap();
    assert!(!pulled.is_empty());
    let nowhere = machine.install(IMAGE, "/dev/sdx").try_next().await;
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::Rejected);
    let output: Vec<_> = machine
        .install(IMAGE, "/dev/sda")
        .try_collect()
        .await
        .unwrap();
    assert_eq!(output.last(), Some(&InstallerOutput::Completed));

    // It keeps its configuration, which the disk has now.
    machine.reboot(RebootMode::Default).await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    client.wait_for_identity(None, poll()).await.unwrap();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
    assert_ne!(machine.boot_id().await.unwrap(), boot);
}

#[tokio::test]
async fn the_layers_of_an_image_are_seen_while_it_is_pulled() {
    let mock = node("v1.13.9").await;
    let machine = client_with(&mock, Role::Operator).machine();
    let pull = || machine.pull_image_observed(ImageNamespace::Cri, "docker.io/library/alpine:3");

    let first: Vec<_> = pull().try_collect().await.unwrap();
    let second: Vec<_> = pull().try_collect().await.unwrap();

    assert_eq!(first.len(), 4);
    assert!(matches!(first.last(), Some(PullProgress::Pulled { .. })));
    assert_eq!(second.len(), 2);
    let images = machine.images(ImageNamespace::Cri).await.unwrap();
    assert_eq!(images.len(), 1);
}

#[tokio::test]
async fn the_images_of_a_runtime_are_its_own() {
    let mock = node("v1.14.0-rc.1").await;
    let machine = client(&mock).machine();
    pull(&machine).await;

    let system = machine.runtime_images(ImageNamespace::System).await;
    let memory = machine.runtime_images(ImageNamespace::InMemory).await;
    let old = machine.images(ImageNamespace::InMemory).await.unwrap_err();

    assert_eq!(system.unwrap()[0].name, IMAGE);
    assert_eq!(memory.unwrap(), []);
    assert_eq!(old.kind(), ErrorKind::InvalidInput);
    // The machine service and the image service see the same images of Talos.
    let images = machine.images(ImageNamespace::System).await.unwrap();
    assert_eq!(images[0].name, IMAGE);
    mock.assert_called(Route::ImageList, 1);
}

#[tokio::test]
async fn an_archive_is_imported_and_a_debug_container_runs_from_it() {
    let mock = node("v1.14.0-rc.1").await;
    let machine = client(&mock).machine();
    let archive = archive("manifest.json", r#"[{"RepoTags":["tools:1"]}]"#);

    let name = machine
        .import_image(ImageNamespace::InMemory, archive.path())
        .await
        .unwrap();
    let (input, mut output) = machine.run_debug_container(&DebugContainerRequest::of(&name));
    input.write("hello").await.unwrap();
    let echoed = output.try_next().await.unwrap();
    input.signal(9).await.unwrap();
    let exited = output.try_next().await.unwrap();

    assert_eq!(name, "docker.io/library/tools:1");
    assert_eq!(echoed, Some(DebugOutput::Data(b"hello".to_vec())));
    assert_eq!(exited, Some(DebugOutput::Exited(137)));
    assert_eq!(output.try_next().await.unwrap(), None);
    let late = loop {
        match input.write("late").await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(late.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_debug_container_needs_an_image_and_a_profile_of_the_release() {
    let mock = node("v1.13.9").await;
    let machine = client(&mock).machine();
    let missing = DebugContainerRequest::of("nope");
    let too_new = DebugContainerRequest::of("nope").profile(DebugProfile::HostNamespaces);

    let (_input, mut output) = machine.run_debug_container(&missing);
    assert_eq!(
        output.try_next().await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let (_input, mut output) = machine.run_debug_container(&too_new);
    let error = output.try_next().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.message().ends_with("PROFILE_HOST_NS"), "{error}");
}

#[tokio::test]
async fn an_archive_without_an_image_is_refused() {
    let mock = node("v1.13.9").await;
    let machine = client(&mock).machine();
    let other = archive("etc/passwd", "root");

    let error = machine
        .import_image(ImageNamespace::System, other.path())
        .await
        .unwrap_err();
    let missing = machine
        .import_image(ImageNamespace::System, "/nope/image.tar")
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(missing.kind(), ErrorKind::Io);
}

/// A tar archive with one file.
fn archive(name: &str, content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(&mut file);
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    builder
        .append_data(&mut header, name, content.as_bytes())
        .unwrap();
    builder.finish().unwrap();
    drop(builder);
    file
}

#[tokio::test]
async fn a_capture_is_a_pcap_file_that_ends_when_its_time_is_over() {
    let mock = node("v1.10.7").await;
    let machine = client_with(&mock, Role::Operator).machine();
    let request = |interface| {
        PacketCaptureRequest::on(interface).duration(std::time::Duration::from_millis(50))
    };

    let pieces = machine.capture_packets(request("eth0"));
    let file: Vec<u8> = pieces.try_collect::<Vec<_>>().await.unwrap().concat();
    let missing = machine.capture_packets(request("eth9"));
    let missing = missing.try_collect::<Vec<_>>().await.unwrap_err();

    // Magic number of nanoseconds, version 2.4, a snap length of 4096, Ethernet.
    assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(file[16..], [0, 16, 0, 0, 1, 0, 0, 0]);
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(missing.message(), "interface \"eth9\" not found");
}

#[tokio::test]
async fn removing_an_image_needs_an_administrator_and_the_image() {
    let mock = node("v1.13.9").await;
    let namespace = ImageNamespace::System;
    let admin = client(&mock).machine();
    admin.pull_image(namespace, IMAGE).await.unwrap();

    let operator = client_with(&mock, Role::Operator).machine();
    let denied = operator.remove_image(namespace, IMAGE).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
    admin.remove_image(namespace, IMAGE).await.unwrap();
    let gone = admin.remove_image(namespace, IMAGE).await.unwrap_err();

    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let reader = client_with(&mock, Role::Reader).machine();
    let verification = reader.verify_image(IMAGE).await.unwrap();
    assert!(!verification.is_verified);
    // Only a verified image has one.
    assert_eq!(verification.reference, "");
}

#[tokio::test]
async fn the_graph_of_controllers_tells_who_writes_what() {
    let mock = node("v1.11.6").await;
    let machine = client_with(&mock, Role::Reader).machine();

    let edges = machine.controller_dependencies().await.unwrap();

    let writer = edges.iter().find(|edge| {
        edge.kind == DependencyKind::OutputExclusive
            && edge.resource_type == "EtcdMembers.etcd.talos.dev"
    });
    assert_eq!(writer.unwrap().controller, "etcd.MemberController");
    assert!(
        edges
            .iter()
            .any(|edge| edge.kind == DependencyKind::InputWeak)
    );
}

#[tokio::test]
async fn sockets_are_listed_by_what_they_are_for() {
    let mock = node("v1.10.7").await;
    let machine = client_with(&mock, Role::Reader).machine();

    let all = machine.sockets(SocketFilter::All).await.unwrap();
    let listening = machine.sockets(SocketFilter::Listening).await.unwrap();

    assert_eq!(all.len(), 2);
    assert_eq!(listening.len(), 1);
    assert_eq!(listening[0].state, "LISTEN");
    assert_eq!(listening[0].local.map(|local| local.port()), Some(50_000));
    let process = listening[0].process.as_ref().unwrap();
    assert_eq!(process.1, "apid");
    mock.assert_called(Route::Netstat, 2);
}
