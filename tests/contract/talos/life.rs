//! Upgrades, rollbacks and resets by single calls.

use std::time::Duration;

use talos_client::cosi::Stage;
use talos_client::machine::{ResetRequest, UpgradeRequest};
use talos_client::mock::{Fault, MockEvent, Route, TalosMock};
use talos_client::{Code, ErrorKind};

use super::support::{client, running};

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
