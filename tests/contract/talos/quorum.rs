//! An etcd cluster whose members leave, die, and come back.

use std::time::Duration;

use talos_client::cosi::{LocalEtcdMember, MachineStatus, RunningService};
use talos_client::machine::{EtcdMemberId, ResetRequest, UpgradeRequest};
use talos_client::mock::{Delays, MockEvent, Network, TalosMock, TalosMockBuilder};
use talos_client::{ApplyOptions, Client, ErrorKind};

use super::support::{client_of as client, control_plane, poll};

fn builder(network: &Network, number: u8) -> TalosMockBuilder {
    TalosMock::builder()
        .network(network)
        .uuid(format!("6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e{number:02x}"))
        .hostname(format!("tal{number:02}"))
        .address([10, 0, 2, 9 + number].into())
}

/// A node with a configuration; the first one of a network is bootstrapped, others join.
async fn member(network: &Network, number: u8) -> TalosMock {
    let mock = node(builder(network, number)).await;
    if number == 1 {
        let client = client(&mock);
        client.wait_for_identity(None, poll()).await.unwrap();
        client.machine().bootstrap_and_wait(poll()).await.unwrap();
    }
    mock.wait_for(|event| matches!(event, MockEvent::EtcdHealthy))
        .await;
    client(&mock)
        .machine()
        .wait_for_ready(poll())
        .await
        .unwrap();
    mock
}

/// A node that has taken a configuration.
async fn node(builder: TalosMockBuilder) -> TalosMock {
    let mock = builder.start().await;
    mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    let config = control_plane("v1.10.7");
    let maintenance = mock.maintenance_client();
    maintenance
        .apply_configuration(&config, ApplyOptions::default())
        .await
        .unwrap();
    mock
}

async fn three() -> [TalosMock; 3] {
    let network = Network::new();
    [
        member(&network, 1).await,
        member(&network, 2).await,
        member(&network, 3).await,
    ]
}

/// Waits until the health check of etcd has another result.
async fn etcd_is_healthy(client: &Client, expected: bool) {
    let machine = client.machine();
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        while machine.service("etcd").await.unwrap().is_up() != expected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    found.await.unwrap();
}

#[tokio::test]
async fn a_member_that_joins_has_no_vote_before_it_has_caught_up() {
    let network = Network::new();
    let first = member(&network, 1).await;
    let machine = client(&first).machine();
    let slow = Delays::fast().etcd(Duration::from_secs(600));

    let _second = node(builder(&network, 2).delays(slow)).await;

    let members = loop {
        let members = machine.etcd_members().await.unwrap();
        if members.len() == 2 {
            break members;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let learner = members.iter().find(|member| member.is_learner).unwrap();
    assert_eq!(learner.hostname, "tal02");
    // The one that votes decides alone.
    assert!(machine.etcd_status().await.unwrap().leader.is_some());
    assert_eq!(machine.etcd_alarms().await.unwrap(), []);
}

#[tokio::test]
async fn one_of_three_members_may_be_gone() {
    let [first, second, _third] = three().await;
    let machine = client(&first).machine();

    second.power_off();

    // It stays in the list, and the others decide without it.
    assert_eq!(machine.etcd_members().await.unwrap().len(), 3);
    assert!(machine.etcd_status().await.unwrap().leader.is_some());
    assert_eq!(machine.etcd_alarms().await.unwrap(), []);
    let upgrade = UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.11.6");
    let error = machine.upgrade(&upgrade).await.unwrap_err();
    assert!(
        error.message().contains("is not healthy; all members"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_quorum_only_what_a_member_does_alone_is_done() {
    let [first, second, third] = three().await;
    let client = client(&first);
    let machine = client.machine();
    let own = machine.etcd_status().await.unwrap().member_id;

    second.power_off();
    third.power_off();
    etcd_is_healthy(&client, false).await;

    let status = machine.etcd_status().await.unwrap();
    assert_eq!(status.leader, None);
    assert_eq!(status.errors, ["etcdserver: no leader"]);
    machine.etcd_defragment().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let snapshot = directory.path().join("db");
    machine.etcd_snapshot(&snapshot).await.unwrap();

    let failures = [
        (
            machine.etcd_members().await.map(drop),
            "etcdserver: no leader".to_owned(),
        ),
        (
            machine.local_etcd_members().await.map(drop),
            "etcdserver: no leader".to_owned(),
        ),
        (
            machine.etcd_alarms().await.map(drop),
            "failed to list etcd alarms: etcdserver: request timed out".to_owned(),
        ),
        (
            machine.etcd_disarm_alarms().await.map(drop),
            "failed to disarm etcd alarm: etcdserver: request timed out".to_owned(),
        ),
        (
            machine.etcd_forfeit_leadership().await.map(drop),
            "failed to forfeit leadership: failed to list etcd members: etcdserver: no leader"
                .to_owned(),
        ),
        (
            machine.etcd_leave().await,
            format!(
                "failed to leave cluster: failed to remove member {}: etcdserver: no leader",
                own.0
            ),
        ),
        (
            machine.etcd_remove_member(EtcdMemberId(1)).await.map(drop),
            "failed to remove member: failed to remove member 1: etcdserver: no leader".to_owned(),
        ),
    ];
    for (result, message) in failures {
        let error = result.expect_err(&message);
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert_eq!(error.message(), message);
    }
}

#[tokio::test]
async fn a_lost_quorum_shows_in_the_resources_and_ends_when_a_member_is_back() {
    let [first, second, third] = three().await;
    let client = client(&first);
    let resources = client.resources();

    second.power_off();
    third.power_off();
    etcd_is_healthy(&client, false).await;
    let service = resources.resource::<RunningService>("etcd").await.unwrap();
    let status = resources.singleton::<MachineStatus>().await.unwrap();
    let member = resources.find_singleton::<LocalEtcdMember>().await.unwrap();

    assert!(!service.spec.is_healthy);
    assert!(status.spec.to_string().contains("etcd not healthy"));
    assert!(member.is_none());

    second.power_on();
    etcd_is_healthy(&client, true).await;
    let members = client.machine().etcd_members().await.unwrap();
    assert_eq!(members.len(), 3);
    let member = resources.find_singleton::<LocalEtcdMember>().await.unwrap();
    assert!(member.is_some());
}

#[tokio::test]
async fn a_member_whose_node_is_gone_for_good_stays_until_it_is_removed() {
    let [first, second, third] = three().await;
    let machine = client(&first).machine();
    let gone = client(&third).machine().etcd_status().await.unwrap();

    drop(third);
    assert_eq!(machine.etcd_members().await.unwrap().len(), 3);
    assert!(machine.etcd_remove_member(gone.member_id).await.unwrap());
    assert!(!machine.etcd_remove_member(gone.member_id).await.unwrap());

    assert_eq!(machine.etcd_members().await.unwrap().len(), 2);
    // Two members need each other.
    second.power_off();
    etcd_is_healthy(&client(&first), false).await;
}

#[tokio::test]
async fn a_graceful_reset_leaves_etcd_and_another_one_does_not() {
    let [first, second, third] = three().await;
    let machine = client(&first).machine();
    let reset = ResetRequest::to_maintenance();

    let graceful = client(&second).machine();
    graceful.reset(&reset).await.unwrap();
    second
        .wait_for(|event| matches!(event, MockEvent::Reset))
        .await;
    assert_eq!(machine.etcd_members().await.unwrap().len(), 2);

    let abrupt = client(&third).machine();
    abrupt.reset(&reset.ungraceful()).await.unwrap();
    third
        .wait_for(|event| matches!(event, MockEvent::Reset))
        .await;
    // The member that is left has the one that is gone in its list, and no majority.
    let status = machine.etcd_status().await.unwrap();
    assert_eq!(status.leader, None);
    let error = machine.etcd_members().await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: no leader");
}

#[tokio::test]
async fn a_node_that_joins_again_takes_the_place_of_its_old_member() {
    let network = Network::new();
    let first = member(&network, 1).await;
    let second = member(&network, 2).await;
    let _third = member(&network, 3).await;
    let machine = client(&first).machine();

    drop(second);
    let _again = member(&network, 2).await;

    let members = machine.etcd_members().await.unwrap();
    let names: Vec<&str> = members
        .iter()
        .map(|member| member.hostname.as_str())
        .collect();
    assert_eq!(names.iter().filter(|name| **name == "tal02").count(), 1);
    assert_eq!(members.len(), 3);
}
