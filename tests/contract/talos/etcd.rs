//! Calls about etcd: snapshots, members, alarms, and what has no etcd.

use talos_client::ErrorKind;
use talos_client::machine::{EtcdAlarmKind, EtcdMemberId, HashCheck};
use talos_client::mock::{MockEvent, Network, Route, TalosMock};
use talos_client::secrets::Role;

use super::support::{
    client, client_of, client_with, configured, control_plane, poll, running, worker,
};

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
