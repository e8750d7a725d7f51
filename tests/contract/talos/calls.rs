//! Calls about files, etcd, services, images and the life of a node.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use talos_client::cosi::Stage;
use talos_client::machine::{
    ContainerNamespace, DiskUsageRequest, EtcdAlarmKind, EtcdMemberId, FileType, HashCheck,
    ImageNamespace, ListFiles, RebootMode, ResetRequest, ServiceState, UpgradeRequest,
};
use talos_client::mock::{Fault, MockEvent, Network, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{Client, Code, ErrorKind, RetryPolicy};

use super::support::{
    client, client_with, configured, control_plane, credentials, poll, running, worker,
};

#[tokio::test]
async fn etcd_data_is_seen_in_the_files_of_the_node() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client_with(&mock, Role::Reader).machine();

    assert!(!machine.has_etcd_data().await.unwrap());
    client(&mock)
        .machine()
        .bootstrap_and_wait(poll())
        .await
        .unwrap();
    assert!(machine.has_etcd_data().await.unwrap());

    let entries = machine.directory("/var/lib/etcd").await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].path, "/var/lib/etcd/member");
    assert_eq!(entries[0].kind, FileType::Directory);
    let missing = machine.directory("/var/lib/nope").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_absent() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    for (code, text, kind) in [
        (
            Code::Unknown,
            "lstat /var/lib/etcd: input/output error",
            ErrorKind::Server,
        ),
        (
            Code::PermissionDenied,
            "not authorized",
            ErrorKind::Forbidden,
        ),
        (
            Code::Unavailable,
            "error reading from server: EOF",
            ErrorKind::Interrupted,
        ),
    ] {
        mock.fail_next(Route::List, Fault::status(code, text));

        assert_eq!(
            machine.has_etcd_data().await.unwrap_err().kind(),
            kind,
            "{text}"
        );
    }
}

#[tokio::test]
async fn listings_have_the_depth_and_types_that_were_asked_for() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    let paths = async |request: ListFiles| -> Vec<String> {
        let files: Vec<_> = machine.files(request).try_collect().await.unwrap();
        files.into_iter().map(|file| file.relative_path).collect()
    };

    let one = paths(ListFiles::in_directory("/var/lib/etcd")).await;
    assert_eq!(one, [".", "member"]);
    let two = paths(ListFiles::in_directory("/var/lib/etcd").depth(2)).await;
    assert_eq!(two, [".", "member", "member/snap", "member/wal"]);
    let files = paths(
        ListFiles::in_directory("/var/lib/etcd")
            .recursive()
            .only(FileType::Regular),
    )
    .await;
    assert_eq!(files.len(), 2);
    let usage: Vec<_> = machine
        .disk_usage(DiskUsageRequest::of(["/var/lib/etcd"]))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(usage.last().unwrap().path, "/var/lib/etcd");
    assert!(usage.last().unwrap().size > 4096);
}

#[tokio::test]
async fn a_directory_is_copied_with_everything_below_it() {
    let mock = running(TalosMock::builder()).await;
    let target = tempfile::tempdir().unwrap();

    let report = client(&mock)
        .machine()
        .copy_to("/var/lib/etcd", target.path().join("etcd"))
        .await
        .unwrap();

    assert_eq!(report.files, 2);
    assert_eq!(report.bytes, 4096 + 512);
    let copied = target.path().join("etcd/member/snap/db");
    assert_eq!(std::fs::metadata(copied).unwrap().len(), 4096);
    let denied = client_with(&mock, Role::Operator).machine();
    let denied = denied.copy_to("/etc", target.path()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_snapshot_restores_a_cluster() {
    let old = running(TalosMock::builder()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("etcd.snapshot");

    let backup = client_with(&old, Role::EtcdBackup).machine();
    let snapshot = backup.etcd_snapshot(&path).await.unwrap();
    assert_eq!(snapshot.size, std::fs::metadata(&path).unwrap().len());
    drop(old);

    let new = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&new).machine();
    let early = loop {
        // Without the upload a recovery is rejected, once the node is ready at all.
        let error = machine
            .bootstrap_from_snapshot(HashCheck::Require)
            .await
            .unwrap_err();
        if error.kind() != ErrorKind::NotReady {
            break error;
        }
    };
    assert_eq!(early.kind(), ErrorKind::Server);
    machine.etcd_recover(&path).await.unwrap();
    machine
        .bootstrap_from_snapshot(HashCheck::Require)
        .await
        .unwrap();
    machine.wait_for_etcd(poll()).await.unwrap();
}

#[tokio::test]
async fn control_plane_nodes_of_a_network_join_one_etcd_cluster() {
    let network = Network::new();
    let first = running(TalosMock::builder().network(&network)).await;
    let second = {
        let builder = TalosMock::builder()
            .network(&network)
            .uuid("6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e50")
            .hostname("tal02")
            .address([10, 0, 2, 11].into());
        let mock = builder.start().await;
        mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
            .await;
        let config = control_plane("v1.10.7");
        mock.maintenance_client()
            .apply_configuration(&config, talos_client::ApplyOptions::default())
            .await
            .unwrap();
        mock.wait_for(|event| matches!(event, MockEvent::EtcdHealthy))
            .await;
        mock
    };
    let machine = client(&first).machine();

    let members = machine.etcd_members().await.unwrap();
    assert_eq!(members.len(), 2);
    assert!(second.is_bootstrapped());
    second.assert_called(Route::Bootstrap, 0);

    // The leadership moves to the other member, and not back.
    let status = machine.etcd_status().await.unwrap();
    let leader = status.leader.unwrap();
    let of_leader = if leader == status.member_id {
        &first
    } else {
        &second
    };
    let forfeited = client_of(of_leader)
        .machine()
        .etcd_forfeit_leadership()
        .await
        .unwrap();
    assert!(forfeited.is_some());
    assert_ne!(machine.etcd_status().await.unwrap().leader, Some(leader));

    // A member that is removed once is not there a second time.
    let other = members
        .iter()
        .find(|member| member.id != status.member_id)
        .unwrap();
    assert!(machine.etcd_remove_member(other.id).await.unwrap());
    assert!(!machine.etcd_remove_member(other.id).await.unwrap());
    assert!(!machine.etcd_remove_member(EtcdMemberId(1)).await.unwrap());
    assert_eq!(machine.etcd_members().await.unwrap().len(), 1);
    let last = machine.etcd_leave().await.unwrap_err();
    assert_eq!(last.kind(), ErrorKind::Server);
}

/// A client for a node with an address of its own.
fn client_of(mock: &TalosMock) -> Client {
    Client::builder(mock.endpoint(), credentials(Role::Admin))
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_call_to_many_nodes_has_a_result_for_each() {
    let network = Network::new();
    let mock = running(TalosMock::builder().network(&network)).await;
    let nodes = client_of(&mock).nodes(["10.0.2.10", "10.0.2.99"]).unwrap();

    let results = nodes
        .each(async |client: Client| client.machine().version().await)
        .await;

    assert_eq!(results[0].node, "10.0.2.10");
    assert_eq!(results[0].result.as_ref().unwrap().tag, "v1.10.7");
    assert_eq!(results[1].node, "10.0.2.99");
    assert_eq!(
        results[1].result.as_ref().unwrap_err().kind(),
        ErrorKind::NotReady
    );
}

#[tokio::test]
async fn alarms_are_listed_and_disarmed() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    assert_eq!(machine.etcd_alarms().await.unwrap(), []);

    mock.raise_etcd_alarm(EtcdAlarmKind::NoSpace);

    let alarms = client_with(&mock, Role::EtcdBackup)
        .machine()
        .etcd_alarms()
        .await
        .unwrap();
    assert_eq!(alarms[0].kind, EtcdAlarmKind::NoSpace);
    assert_eq!(machine.etcd_disarm_alarms().await.unwrap(), alarms);
    assert_eq!(machine.etcd_alarms().await.unwrap(), []);
    machine.etcd_defragment().await.unwrap();
}

#[tokio::test]
async fn etcd_is_rejected_on_a_worker_in_the_words_of_the_node() {
    let network = Network::new();
    let _control_plane = configured(
        TalosMock::builder().network(&network),
        &control_plane("v1.10.7"),
    )
    .await;
    let builder = TalosMock::builder().network(&network).hostname("wrk01");
    let mock = configured(builder, &worker("v1.10.7")).await;
    let machine = client(&mock).machine();

    let error = machine.etcd_members().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.message(),
        "member list is only available on control plane nodes"
    );
    // Only control plane nodes forward.
    let forwarded = client(&mock)
        .to_node("10.0.2.99")
        .unwrap()
        .machine()
        .version()
        .await;
    assert_eq!(forwarded.unwrap_err().message(), "no request forwarding");
}

#[tokio::test]
async fn a_method_of_a_later_release_is_unknown_to_an_earlier_one() {
    for (version, expected) in [
        (
            "v1.10.7",
            "unknown method EtcdDowngradeValidate for service machine.MachineService",
        ),
        ("v1.11.6", ""),
    ] {
        let mock = configured(
            TalosMock::builder().version(version),
            &control_plane(version),
        )
        .await;
        let machine = client(&mock).machine();
        machine.bootstrap_and_wait(poll()).await.unwrap();

        match machine.etcd_validate_downgrade("3.5").await {
            Ok(cluster) => assert_eq!((cluster.as_str(), expected), ("3.5.0", "")),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert_eq!(error.message(), expected);
            }
        }
    }
}

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
async fn an_upgrade_ends_in_the_new_release_and_a_rollback_in_the_old_one() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    let request = UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.11.6");

    let started = machine.upgrade(&request).await.unwrap();
    assert_eq!(started.acknowledgement, "Upgrade request received");
    mock.wait_for(|event| matches!(event, MockEvent::Upgraded { .. }))
        .await;
    wait_for_version(&mock, "v1.11.6").await;

    machine.rollback().await.unwrap();
    wait_for_version(&mock, "v1.10.7").await;
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_old_release() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    mock.fail_next_upgrade("no space left on device");

    machine
        .upgrade(&UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.11.6"))
        .await
        .unwrap();

    mock.wait_for(|event| matches!(event, MockEvent::UpgradeFailed { .. }))
        .await;
    wait_for_version(&mock, "v1.10.7").await;
    let bad = Fault::status(
        Code::Unknown,
        "error validating installer image \"x\": not found",
    );
    mock.fail_next(Route::Upgrade, bad);
    let error = machine.upgrade(&UpgradeRequest::to("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(!error.may_have_taken_effect());
}

async fn wait_for_version(mock: &TalosMock, expected: &str) {
    let machine = client(mock).machine();
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if mock.stage() == Stage::Running
                && let Ok(version) = machine.version().await
                && version.tag == expected
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("{expected} does not run"));
}

#[tokio::test]
async fn a_reset_is_checked_before_it_begins() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    for (request, expected) in [
        (
            ResetRequest::user_disks(["/dev/nope"]),
            "reset user disk failed: device /dev/nope wasn't found",
        ),
        (
            ResetRequest::user_disks(["/dev/sda"]),
            "reset user disk failed: device /dev/sda is the system disk",
        ),
        (
            ResetRequest::user_disks(["/dev/sr0"]),
            "reset user disk failed: device /dev/sr0 is readonly",
        ),
        (
            ResetRequest::partitions(["NOPE"]),
            "failed to get volume status with label \"NOPE\": resource VolumeStatuses.block.talos.dev(runtime/NOPE@undefined) doesn't exist",
        ),
    ] {
        let error = machine.reset(&request).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Server);
        assert_eq!(error.message(), expected);
    }
    assert_eq!(machine.version().await.unwrap().tag, "v1.10.7");
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

#[tokio::test]
async fn a_node_issues_credentials_that_it_accepts() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    let issued = machine
        .client_configuration([Role::Reader], Duration::from_secs(3600))
        .await
        .unwrap();

    let reader = Client::builder(mock.endpoint(), issued.credentials)
        .build()
        .unwrap()
        .machine();
    assert_eq!(reader.version().await.unwrap().tag, "v1.10.7");
    let denied = reader.reboot(RebootMode::Default).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
    let zero = machine
        .client_configuration([Role::Reader], Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(zero.message(), "crt_ttl should be positive");
}
