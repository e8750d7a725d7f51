//! Bootstrap: once, on one node, as often as it takes.

use std::time::Duration;

use futures_util::StreamExt as _;
use talos_client::cosi::{LocalEtcdMember, Stage};
use talos_client::machine::ApplyOptions;
use talos_client::mock::{Delays, Fault, MockEvent, Network, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::wait::{Bootstrapped, WaitingFor};
use talos_client::{Code, ErrorKind};

use super::support::{
    client, client_with, configured, control_plane, in_maintenance, poll, worker,
};

#[tokio::test]
async fn a_bootstrap_that_comes_too_early_is_repeated_until_etcd_is_healthy() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    for text in ["bootstrap is not available yet", "time is not in sync yet"] {
        mock.fail_next(
            Route::Bootstrap,
            Fault::status(Code::FailedPrecondition, text),
        );
    }
    let client = client(&mock);
    let mut causes = Vec::new();

    let outcome = client
        .machine()
        .bootstrap_and_wait_observed(poll(), |state| {
            causes.push((state.waiting_for.clone(), state.cause.clone()))
        })
        .await
        .unwrap();

    assert_eq!(outcome, Bootstrapped::Started);
    let said = |text: &str| {
        causes
            .iter()
            .any(|(what, cause)| *what == WaitingFor::Bootstrap.as_str() && cause.contains(text))
    };
    assert!(said("bootstrap is not available yet"), "{causes:?}");
    assert!(said("time is not in sync yet"), "{causes:?}");
    let member = client
        .resources()
        .singleton::<LocalEtcdMember>()
        .await
        .unwrap();
    assert_eq!(member.spec.id.len(), 16);
    assert_eq!(client.machine().etcd_members().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_bootstrap_is_no_error_and_changes_nothing() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();

    let direct = machine.bootstrap().await.unwrap_err();
    let again = machine.bootstrap_and_wait(poll()).await.unwrap();

    assert_eq!(direct.kind(), ErrorKind::AlreadyExists);
    assert_eq!(direct.message(), "etcd data directory is not empty");
    assert_eq!(again, Bootstrapped::Already);
}

#[tokio::test]
async fn the_node_itself_refuses_a_bootstrap_before_its_services_and_its_clock_are_up() {
    let delays = Delays::fast()
        .services(Duration::from_millis(700))
        .time_sync(Duration::from_millis(700));
    let mock = configured(
        TalosMock::builder().delays(delays),
        &control_plane("v1.10.7"),
    )
    .await;

    let outcome = client(&mock).machine().bootstrap_and_wait(poll()).await;

    assert_eq!(outcome.unwrap(), Bootstrapped::Started);
}

#[tokio::test]
async fn a_bootstrap_whose_answer_was_lost_counts_as_ours() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    mock.fail_next(Route::Bootstrap, Fault::DropResponse);

    let outcome = client(&mock).machine().bootstrap_and_wait(poll()).await;

    assert_eq!(outcome.unwrap(), Bootstrapped::Started);
    assert!(mock.is_bootstrapped());
}

#[tokio::test]
async fn a_worker_is_never_bootstrapped() {
    let control_plane_node = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let mock = configured(
        TalosMock::builder().trustd(&control_plane_node),
        &worker("v1.10.7"),
    )
    .await;
    let machine = client(&mock).machine();
    machine
        .wait_for_stage(Stage::Running, poll())
        .await
        .unwrap();

    let error = machine.bootstrap_and_wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
    let error = machine.kubeconfig().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Port 50000 of a worker opens once trustd of a control plane node answers, however long that takes.
#[tokio::test]
async fn a_worker_that_is_configured_first_waits_for_its_control_plane() {
    let network = Network::new();
    let mock = in_maintenance(TalosMock::builder().network(&network)).await;
    let mut events = mock.events();
    let maintenance = mock.maintenance_client();
    let config = worker("v1.10.7");
    let applying = maintenance.apply_configuration(&config, ApplyOptions::default());
    applying.await.unwrap();
    while !matches!(events.next().await.unwrap(), MockEvent::Rebooting) {}

    let builder = TalosMock::builder().network(&network);
    let _control_plane_node = configured(builder, &control_plane("v1.10.7")).await;

    let identity = client(&mock).wait_for_identity(None, poll()).await;
    assert_eq!(identity.unwrap().tag, "v1.10.7");
}

#[tokio::test]
async fn a_role_that_may_not_bootstrap_is_told_so_once() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client_with(&mock, Role::Reader).machine();

    let error = machine.bootstrap_and_wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.message(), "not authorized");
    mock.assert_called(Route::Bootstrap, 1);
    assert!(!mock.is_bootstrapped());
}

#[tokio::test]
async fn the_deadline_of_a_bootstrap_names_what_the_node_said_last() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    mock.fail_always(
        Route::Bootstrap,
        Fault::status(Code::FailedPrecondition, "time is not in sync yet"),
    );
    let short = poll().deadline(Duration::from_millis(100));

    let machine = client(&mock).machine();
    let error = machine.bootstrap_and_wait(short).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.ends_with("time is not in sync yet"), "{cause}");
}
