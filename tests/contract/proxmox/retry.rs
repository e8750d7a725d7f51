//! What is sent again, and what is not.

use std::time::Duration;

use proxmox_client::mock::{Fault, PveMock, Route};
use proxmox_client::{ErrorKind, RetryPolicy};

use super::socket::Socket;
use super::{builder, node, quick, vm_id};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 28\r\nConnection: close\r\n\r\n{\"data\":{\"version\":\"9.1.2\"}}";

#[tokio::test]
async fn reading_survives_a_connection_that_breaks_before_the_answer() {
    let socket = Socket::start(&["", "", OK]).await;
    let client = builder(&socket.endpoint).retry(quick()).build().unwrap();

    let version = client.version().await;

    assert_eq!(socket.received().len(), 3);
    assert_eq!(version.unwrap().major, 9);
}

#[tokio::test]
async fn a_change_is_not_repeated_after_a_broken_connection() {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[]);
    mock.fail_next(Route::StartVm, Fault::DropResponse);

    let error = mock
        .client()
        .node(node())
        .vm(vm_id())
        .start()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.may_have_taken_effect());
    mock.assert_called(Route::StartVm, 1);
}

#[tokio::test]
async fn a_certain_refusal_by_a_lock_is_repeated_even_for_a_change() {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[]);
    mock.fail_next(Route::StartVm, Fault::locked(2_411_000));
    mock.fail_next(
        Route::StartVm,
        Fault::Status(500, "cluster not ready - no quorum?".into()),
    );

    let started = mock.client().node(node()).vm(vm_id()).start().await;

    assert!(started.is_ok());
    mock.assert_called(Route::StartVm, 3);
}

#[tokio::test]
async fn the_last_error_is_reported_when_all_attempts_failed() {
    let mock = PveMock::start().await;
    mock.fail_always(
        Route::Nodes,
        Fault::Status(595, "Connection refused".into()),
    );

    let error = mock.client().nodes().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.message(), "Connection refused");
    mock.assert_called(Route::Nodes, 4);
    mock.clear_faults();
    assert!(mock.client().nodes().await.is_ok());
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let mock = PveMock::start().await;
    mock.fail_always(
        Route::Nodes,
        Fault::Status(595, "Connection refused".into()),
    );
    let policy = RetryPolicy::default()
        .attempts(1000)
        .delays(Duration::from_millis(5), Duration::from_millis(5))
        .deadline(Duration::from_millis(40));
    let client = mock
        .client_builder(mock.credentials())
        .retry(policy)
        .build()
        .unwrap();

    client.nodes().await.unwrap_err();

    assert!(mock.calls().len() < 12);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let client = builder("http://127.0.0.1:1").build().unwrap();
    let error = client.version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(!error.may_have_taken_effect());
}
