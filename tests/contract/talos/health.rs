//! The health of a cluster, checked from outside.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use talos_client::health::{HealthCheckId, HealthState, HealthStep};
use talos_client::mock::{Fault, Network, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{ClusterHealth, Code, ErrorKind};

use super::support::{client, client_with, configured, control_plane, poll, running, worker};

const ADDRESS: &str = "10.0.2.10";

async fn steps(health: &ClusterHealth) -> Vec<HealthStep> {
    health.check(poll()).try_collect().await.unwrap()
}

#[tokio::test]
async fn every_check_is_named_in_the_order_of_talosctl() {
    let mock = running(TalosMock::builder()).await;
    let reader = client_with(&mock, Role::Reader);
    let health = ClusterHealth::new().control_plane(ADDRESS, reader);

    let steps = steps(&health).await;

    let over: Vec<_> = steps
        .iter()
        .filter(|step| !matches!(step.state, HealthState::Waiting(_)))
        .collect();
    let checks: Vec<HealthCheckId> = over.iter().map(|step| step.check).collect();
    assert_eq!(checks, HealthCheckId::ALL);
    let skipped: Vec<HealthCheckId> = over
        .iter()
        .filter(|step| step.state != HealthState::Passed)
        .map(|step| step.check)
        .collect();
    assert_eq!(skipped, [HealthCheckId::KubeProxy, HealthCheckId::CoreDns]);
    assert_eq!(over[0].to_string(), "etcd to be healthy: passed");
}

#[tokio::test]
async fn the_names_are_those_that_the_server_uses() {
    let mock = running(TalosMock::builder()).await;
    let server = client(&mock).machine();
    let server = server.health_check(talos_client::machine::HealthCheck::new(
        Duration::from_secs(10),
    ));
    let lines: Vec<_> = server.try_collect().await.unwrap();
    let passed = lines
        .iter()
        .filter_map(|line| line.check())
        .filter(|(_, state)| *state == "OK")
        .map(|(name, _)| name);

    let names: Vec<&str> = HealthCheckId::ALL.map(HealthCheckId::as_str).into();
    assert_eq!(passed.collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_yet_says_what_it_waits_for() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let health = ClusterHealth::new().control_plane(ADDRESS, client(&mock));
    let mut checks = health.check(poll());

    let first = checks.next().await.unwrap().unwrap();
    assert_eq!(first.check, HealthCheckId::Etcd);
    assert!(matches!(first.state, HealthState::Waiting(_)), "{first}");
    client(&mock)
        .machine()
        .bootstrap_and_wait(poll())
        .await
        .unwrap();
    let rest: Vec<HealthStep> = checks.try_collect().await.unwrap();

    assert_eq!(rest.last().unwrap().check, HealthCheckId::NodesSchedulable);
}

#[tokio::test]
async fn time_runs_out_with_the_name_of_the_check_and_what_was_missing() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let health = ClusterHealth::new().control_plane(ADDRESS, client(&mock));
    let short = poll().deadline(Duration::from_millis(200));

    let outcome: Result<Vec<HealthStep>, _> = health.check(short).try_collect().await;

    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.message().contains("etcd to be healthy"), "{error}");
    assert!(error.message().contains("service etcd"), "{error}");
}

#[tokio::test]
async fn an_etcd_member_that_is_no_control_plane_node_of_the_list_is_named() {
    let mock = running(TalosMock::builder()).await;
    let health = ClusterHealth::new()
        .control_plane("10.0.2.99", client(&mock))
        .only([HealthCheckId::EtcdMembersControlPlane]);

    let outcome: Result<Vec<HealthStep>, _> = health
        .check(poll().deadline(Duration::from_millis(100)))
        .try_collect()
        .await;

    let error = outcome.unwrap_err();
    assert!(
        error.message().contains("https://10.0.2.10:2380"),
        "{error}"
    );
}

#[tokio::test]
async fn a_small_machine_fails_the_check_of_its_memory() {
    let mock = running(TalosMock::builder().memory_mib(1024)).await;
    let health = ClusterHealth::new()
        .control_plane(ADDRESS, client(&mock))
        .only([HealthCheckId::MemorySizes]);

    let first = health.check(poll()).next().await.unwrap().unwrap();

    assert_eq!(
        first.state,
        HealthState::Waiting(
            "10.0.2.10: 1024 MiB of memory, at least 1698 MiB are needed".to_owned()
        )
    );
}

#[tokio::test]
async fn workers_are_checked_through_the_control_plane_node_that_forwards() {
    let network = Network::new();
    let first = running(TalosMock::builder().network(&network)).await;
    let builder = TalosMock::builder()
        .network(&network)
        .hostname("worker")
        .uuid("6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e51");
    let other = builder.address([10, 0, 2, 20].into()).start().await;
    let maintenance = other.maintenance_client();
    other
        .wait_for(|event| matches!(event, talos_client::mock::MockEvent::Maintenance { .. }))
        .await;
    let options = talos_client::ApplyOptions::default();
    maintenance
        .apply_configuration(&worker("v1.10.7"), options)
        .await
        .unwrap();
    client(&other)
        .wait_for_identity(None, poll())
        .await
        .unwrap();

    let forwarded = client(&first).to_node("10.0.2.20").unwrap();
    let health = ClusterHealth::new()
        .control_plane(ADDRESS, client(&first))
        .worker("10.0.2.20", forwarded)
        .only([HealthCheckId::Apid, HealthCheckId::BootSequence]);

    assert_eq!(
        steps(&health).await.last().unwrap().state,
        HealthState::Passed
    );
    let is_forwarded = |call: &talos_client::mock::Call| call.node.as_deref() == Some("10.0.2.20");
    assert!(first.calls().iter().any(is_forwarded) || other.calls().iter().any(is_forwarded));
}

#[tokio::test]
async fn a_missing_role_ends_the_check_at_once() {
    let mock = running(TalosMock::builder()).await;
    let health = ClusterHealth::new().control_plane(ADDRESS, client_with(&mock, Role::EtcdBackup));

    let error = health.check(poll()).next().await.unwrap().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_server_that_fails_for_a_while_is_asked_again() {
    let mock = running(TalosMock::builder()).await;
    let health = ClusterHealth::new()
        .control_plane(ADDRESS, client(&mock))
        .only([HealthCheckId::Etcd]);
    mock.fail_next(
        Route::ServiceList,
        Fault::status(Code::Unknown, "context deadline exceeded"),
    );

    let steps = steps(&health).await;

    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!(steps[1].state, HealthState::Passed);
}
