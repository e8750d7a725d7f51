//! Servers that stall, and credentials that are not accepted any more.

use std::time::Duration;

use futures_util::StreamExt as _;
use talos_client::config::{ConfigPatch, VersionContract};
use talos_client::machine::LogsRequest;
use talos_client::mock::{Fault, Route, TalosMock};
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::{ApplyOptions, Client, ClusterHealth, Credentials, ErrorKind, RetryPolicy};

use super::support::{client, credentials, poll, running, secrets};

/// Gives up after a tenth of a second, and repeats nothing.
fn impatient(mock: &TalosMock) -> Client {
    Client::builder(mock.endpoint(), credentials(Role::Admin))
        .timeout(Duration::from_millis(100))
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_stalled_server_costs_a_call_its_timeout_and_the_next_one_nothing() {
    let mock = running(TalosMock::builder()).await;
    let machine = impatient(&mock).machine();

    mock.fail_next(Route::Version, Fault::Stall);
    let error = machine.version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(machine.version().await.unwrap().tag, "v1.10.7");
}

#[tokio::test]
async fn a_stalled_stream_ends_with_its_deadline() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    mock.fail_always(Route::Logs, Fault::Stall);

    let logs = machine.logs(LogsRequest::service("etcd"));
    let error = logs
        .deadline(Duration::from_millis(100))
        .next()
        .await
        .unwrap()
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn operations_end_with_their_deadline_whatever_stalls() {
    let mock = running(TalosMock::builder().version("v1.12.11")).await;
    let client = client(&mock);
    let patch = ConfigPatch::new("machine: {sysctls: {vm.swappiness: '1'}}");
    let edit = client.edit_configuration().await.unwrap();
    let edit = edit.patched(&[patch]).unwrap();
    let applied = edit.apply(ApplyOptions::default()).await.unwrap();
    let short = poll().deadline(Duration::from_millis(200));

    for route in [Route::ResourceWatch, Route::ResourceGet, Route::ServiceList] {
        mock.fail_always(route, Fault::Stall);
    }
    let edit = applied.wait(short).await.unwrap_err();
    let health = ClusterHealth::new().control_plane("10.0.2.10", client);
    let health = health.check(short).next().await.unwrap().unwrap_err();

    assert_eq!(edit.kind(), ErrorKind::Deadline);
    assert_eq!(health.kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_refused_at_once() {
    let mock = running(TalosMock::builder()).await;
    let other = SecretsBundle::generate(VersionContract::V1_10)
        .await
        .unwrap();
    // What is left of a talosconfig after the authority of the cluster was replaced and the old one is not accepted any more.
    let stale = other.client_certificate(Role::Admin).issue().unwrap();
    let current = secrets().client_certificate(Role::Admin).issue().unwrap();
    let credentials = Credentials::new(
        current.ca_pem(),
        stale.certificate_pem(),
        stale.key_pem().clone(),
    );
    let client = Client::builder(mock.endpoint(), credentials)
        .build()
        .unwrap();
    let calls = mock.calls().len();

    let error = client.machine().version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    assert!(!error.is_retryable() && !error.may_have_taken_effect());
    assert_eq!(mock.calls().len(), calls);
}

#[tokio::test]
async fn a_snapshot_that_is_cut_off_leaves_no_file() {
    let mock = running(TalosMock::builder().etcd_database_mib(512)).await;
    let folder = tempfile::tempdir().unwrap();
    let machine = client(&mock).machine();
    let path = folder.path().join("etcd.snapshot");

    let taking = tokio::spawn(async move { machine.etcd_snapshot(path).await });
    // It has begun to write.
    while std::fs::read_dir(folder.path())
        .unwrap()
        .all(|file| file.unwrap().metadata().unwrap().len() == 0)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mock.power_off();
    let error = taking.await.unwrap().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
