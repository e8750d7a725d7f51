//! What is repeated, what is not, and what is said about it.

use std::time::Duration;

use futures_util::StreamExt as _;
use talos_client::cosi::Stage;
use talos_client::machine::{EventTail, RebootMode};
use talos_client::mock::{Fault, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{Client, Code, ErrorKind, RetryPolicy};

use super::support::{client, configured, control_plane, credentials, poll, running};

#[tokio::test]
async fn a_read_is_repeated_after_a_broken_connection_and_a_change_is_not() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    machine.version().await.unwrap();
    let before = mock.calls().len();

    mock.fail_next(Route::Version, Fault::Disconnect);
    machine.version().await.unwrap();
    assert_eq!(mock.calls().len(), before + 2);

    mock.fail_next(Route::Reboot, Fault::Disconnect);
    let error = machine.reboot(RebootMode::Default).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.may_have_taken_effect());
    mock.assert_called(Route::Reboot, 1);
}

#[tokio::test]
async fn a_call_that_is_not_answered_times_out_and_the_next_one_uses_another_connection() {
    let mock = running(TalosMock::builder()).await;
    let impatient = Client::builder(mock.endpoint(), credentials(Role::Admin))
        .timeout(Duration::from_millis(300))
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    mock.fail_next(Route::Hostname, Fault::Delay(Duration::from_secs(5)));

    let error = impatient.machine().hostname().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.operation(), "read host name");
    assert_eq!(error.target(), "10.0.2.10:50000");
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn codes_become_kinds_and_keep_their_text() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    for (code, kind) in [
        (Code::Unknown, ErrorKind::Server),
        (Code::PermissionDenied, ErrorKind::Forbidden),
        (Code::InvalidArgument, ErrorKind::Rejected),
        (Code::Unimplemented, ErrorKind::Unsupported),
        (Code::FailedPrecondition, ErrorKind::NotReady),
    ] {
        mock.fail_next(Route::Version, Fault::status(code, "because of a reason"));

        let error = machine.version().await.unwrap_err();

        assert_eq!(error.kind(), kind);
        assert_eq!(error.code(), Some(code));
        assert_eq!(
            error.to_string(),
            "read version (10.0.2.10:50000): because of a reason"
        );
    }
}

#[tokio::test]
async fn a_node_that_is_off_is_a_failure_to_connect() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();
    mock.power_off();

    let error = machine.version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_retryable());
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    let mut events = machine
        .events(EventTail::None)
        .deadline(Duration::from_millis(100));

    let error = events.next().await.unwrap().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_wait_goes_on_after_its_watch_was_cut() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();
    mock.fail_next(Route::ResourceWatch, Fault::Disconnect);
    mock.fail_next(
        Route::ResourceWatch,
        Fault::status(Code::Unavailable, "error reading from server: EOF"),
    );

    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine
        .wait_for_stage(Stage::Running, poll())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_for_another_node_says_which() {
    let mock = running(TalosMock::builder()).await;
    let client = client(&mock);

    client
        .to_node("10.0.2.10")
        .unwrap()
        .machine()
        .version()
        .await
        .unwrap();
    let absent = client.to_node("10.0.2.99").unwrap();
    let error = absent.machine().version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(error.target(), "10.0.2.10:50000, node 10.0.2.99");
    assert_eq!(
        mock.calls().last().unwrap().node.as_deref(),
        Some("10.0.2.99")
    );
}
