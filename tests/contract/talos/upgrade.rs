//! Upgrades as operations: checked, followed, verified.

use std::time::Duration;

use talos_client::machine::{EtcdAlarmKind, InstallerOutput, PullProgress, UpgradeRequest};
use talos_client::mock::{Delays, Fault, MockEvent, Route, TalosMock, TalosMockBuilder};
use talos_client::secrets::Role;
use talos_client::upgrade::UpgradeStep;
use talos_client::{Client, Code, ErrorKind, UpgradeRecord};

use super::support::{client, client_with, configured, control_plane, poll, running, worker};

const OLD: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
const NEW: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

fn installer(schematic: &str, version: &str) -> String {
    format!("factory.talos.dev/nocloud-installer/{schematic}:{version}")
}

fn request(version: &str) -> UpgradeRequest {
    UpgradeRequest::to(installer(NEW, version))
}

fn builder() -> TalosMockBuilder {
    let delays = Delays::fast().reboot(Duration::from_millis(50));
    TalosMock::builder().delays(delays.install(Duration::from_millis(150)))
}

async fn upgraded(client: &Client, request: UpgradeRequest) -> (Vec<String>, UpgradeRecord) {
    let mut seen = Vec::new();
    let operation = client.plan_upgrade(request).await.unwrap();
    let operation = operation.start().await.unwrap();
    let outcome = operation
        .wait_observed(poll(), |state| seen.push(state.to_string()))
        .await
        .unwrap();

    let record = operation.record().clone();
    assert_eq!(outcome.version, record.version);
    assert_eq!(outcome.schematic, record.schematic);
    assert_ne!(outcome.boot_id, record.boot_id);
    (seen, record)
}

#[tokio::test]
async fn an_upgrade_is_over_when_the_new_release_runs() {
    let mock = running(builder()).await;
    let client = client(&mock);

    let (seen, record) = upgraded(&client, request("v1.11.6")).await;

    assert!(
        seen.iter().any(|line| line.contains("phase upgrade")),
        "{seen:?}"
    );
    assert_eq!(record.to_string(), "v1.10.7 -> v1.11.6");
    assert_eq!(client.machine().version().await.unwrap().tag, "v1.11.6");
    mock.assert_called(Route::Upgrade, 1);
}

/// A node of v1.13, which is upgraded step by step.
async fn new_node() -> TalosMock {
    let version = "v1.13.9";
    let mock = configured(builder().version(version), &control_plane(version)).await;
    let machine = client(&mock).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
    mock
}

#[tokio::test]
async fn a_new_release_is_led_through_pulling_writing_and_rebooting() {
    let mock = new_node().await;
    let client = client(&mock);
    let plan = client.plan_upgrade(request("v1.14.0")).await.unwrap();
    let mut steps = Vec::new();

    let operation = plan.start_observed(|step| steps.push(step)).await.unwrap();
    let outcome = operation.wait(poll()).await.unwrap();

    assert_eq!(outcome.version, "v1.14.0");
    assert_eq!(outcome.schematic.as_deref(), Some(NEW));
    let at = |is_meant: fn(&UpgradeStep) -> bool| steps.iter().position(is_meant);
    let pulled = at(|step| matches!(step, UpgradeStep::Pull(PullProgress::Pulled { .. })));
    let written = at(|step| matches!(step, UpgradeStep::Write(InstallerOutput::Completed)));
    let requested = at(|step| matches!(step, UpgradeStep::Requested));
    assert!(pulled < written && written < requested, "{steps:?}");
    assert!(pulled.is_some());
    mock.assert_called(Route::Upgrade, 0);
    mock.assert_called(Route::ImagePull, 0);
    mock.assert_called(Route::LifecycleUpgrade, 1);
    mock.assert_called(Route::Reboot, 1);
}

#[tokio::test]
async fn what_only_the_old_request_can_do_is_asked_for_in_the_old_way() {
    let mock = new_node().await;

    let (_, record) = upgraded(&client(&mock), request("v1.14.0").staged()).await;

    assert_eq!(record.version, "v1.14.0");
    mock.assert_called(Route::Upgrade, 1);
    mock.assert_called(Route::LifecycleUpgrade, 0);
}

#[tokio::test]
async fn an_installer_that_fails_on_a_new_release_leaves_the_node_running() {
    let mock = new_node().await;
    let client = client(&mock);
    mock.fail_next_upgrade("no space left on device");
    let plan = client.plan_upgrade(request("v1.14.0")).await.unwrap();

    let error = plan.start().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(
        error.message().ends_with("no space left on device"),
        "{error}"
    );
    mock.assert_called(Route::Reboot, 0);
    assert_eq!(client.machine().version().await.unwrap().tag, "v1.13.9");
}

#[tokio::test]
async fn a_pull_or_an_installer_that_is_cut_off_is_no_success() {
    let mock = new_node().await;
    let client = client(&mock);

    for (route, reboots) in [(Route::ImageServicePull, 0), (Route::LifecycleUpgrade, 0)] {
        let plan = client.plan_upgrade(request("v1.14.0")).await.unwrap();
        mock.fail_next(route, Fault::Disconnect);
        let error = plan.start().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Interrupted, "{route}: {error}");
        mock.assert_called(Route::Reboot, reboots);
    }
    // Nothing is lost: the same upgrade is planned and made again.
    let (_, record) = upgraded(&client, request("v1.14.0")).await;
    assert_eq!(record.to_string(), "v1.13.9 -> v1.14.0");
}

#[tokio::test]
async fn a_new_release_that_does_not_come_up_is_noticed_after_a_led_upgrade_too() {
    let mock = new_node().await;
    let client = client(&mock);
    mock.roll_back_next_upgrade();

    let plan = client.plan_upgrade(request("v1.14.0")).await.unwrap();
    let error = plan.start().await.unwrap().wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(error.message().contains("runs v1.13.9 again"), "{error}");
}

#[tokio::test]
async fn a_staged_upgrade_takes_two_boots() {
    let mock = running(builder()).await;

    let (_, record) = upgraded(&client(&mock), request("v1.11.6").staged()).await;

    assert_eq!(record.from_version, "v1.10.7");
    mock.wait_for(|event| matches!(event, MockEvent::Upgraded { .. }))
        .await;
}

#[tokio::test]
async fn a_release_that_does_not_come_up_is_not_taken_for_a_success() {
    let mock = running(builder()).await;
    let client = client(&mock);
    mock.roll_back_next_upgrade();

    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();
    let operation = plan.start().await.unwrap();
    let error = operation.wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(error.message().contains("runs v1.10.7 again"), "{error}");
    mock.wait_for(|event| matches!(event, MockEvent::RolledBack))
        .await;
}

#[tokio::test]
async fn an_installer_that_fails_ends_the_upgrade_with_the_words_of_the_node() {
    let mock = running(builder().delays(Delays::fast().reboot(Duration::from_millis(500)))).await;
    let client = client(&mock);
    mock.fail_next_upgrade("no space left on device");

    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();
    let operation = plan.start().await.unwrap();
    let error = operation.wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(
        error.message().contains("no space left on device"),
        "{error}"
    );
}

#[tokio::test]
async fn another_process_goes_on_observing_with_the_record() {
    let mock = running(builder()).await;
    let first = client(&mock);
    let plan = first.plan_upgrade(request("v1.11.6")).await.unwrap();
    let before = plan.record().clone();
    // The process ends when the node has accepted the upgrade, before it has said so.
    mock.fail_next(Route::Upgrade, Fault::DropResponse);
    let error = plan.start().await.unwrap_err();
    assert!(error.may_have_taken_effect());

    let text = serde_json::to_string(&before).unwrap();
    let record: UpgradeRecord = serde_json::from_str(&text).unwrap();
    let outcome = client(&mock)
        .resume_upgrade(record)
        .wait(poll())
        .await
        .unwrap();

    assert_eq!(outcome.version, "v1.11.6");
    mock.assert_called(Route::Upgrade, 1);
}

#[tokio::test]
async fn a_node_that_runs_the_release_already_is_left_alone() {
    let mock = running(builder()).await;
    let client = client(&mock);
    upgraded(&client, request("v1.11.6")).await;

    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();
    assert!(plan.is_done());
    let outcome = plan.start().await.unwrap().wait(poll()).await.unwrap();

    assert_eq!(outcome.schematic.as_deref(), Some(NEW));
    mock.assert_called(Route::Upgrade, 1);
}

#[tokio::test]
async fn extensions_that_are_missing_afterwards_are_named() {
    let mock = running(builder()).await;
    let client = client(&mock);

    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();
    let plan = plan.expecting_extensions(["iscsi-tools"]);
    let error = plan.start().await.unwrap().wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(
        error
            .message()
            .ends_with("lacks the extensions iscsi-tools"),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let mock = running(builder().schematic(OLD, ["siderolabs/iscsi-tools"])).await;
    let client = client(&mock);
    let plain = UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.11.6");
    let untagged = UpgradeRequest::to("ghcr.io/siderolabs/installer");

    // The node was installed by the plain installer; only an image of a schematic has one to lose.
    let (_, record) = upgraded(&client, request("v1.11.6")).await;
    assert_eq!(record.schematic.as_deref(), Some(NEW));
    for (request, kind, word) in [
        (plain, ErrorKind::InvalidInput, "would lose its extensions"),
        (untagged, ErrorKind::InvalidInput, "has no tag"),
        (
            request("v1.14.0"),
            ErrorKind::Unsupported,
            "too old to upgrade",
        ),
        (
            request("v1.5.0"),
            ErrorKind::Unsupported,
            "too new to downgrade",
        ),
    ] {
        let error = client.plan_upgrade(request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(word), "{error}");
    }
    mock.assert_called(Route::Upgrade, 1);
}

#[tokio::test]
async fn an_unhealthy_etcd_stops_an_upgrade_unless_it_is_forced() {
    let mock = running(builder()).await;
    let client = client(&mock);
    mock.raise_etcd_alarm(EtcdAlarmKind::NoSpace);

    let error = client.plan_upgrade(request("v1.11.6")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.message().contains("NoSpace"), "{error}");

    let plan = client.plan_upgrade(request("v1.11.6").force()).await;
    assert!(!plan.unwrap().is_done());
    mock.assert_called(Route::Upgrade, 0);
}

#[tokio::test]
async fn an_image_that_cannot_be_used_is_rejected_and_the_node_goes_on() {
    let mock = running(builder()).await;
    let client = client(&mock);
    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();

    let text = "error validating installer image \"x\": not found";
    mock.fail_next(Route::Upgrade, Fault::status(Code::Unknown, text));
    let error = plan.prewarmed().start().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    mock.assert_called(Route::ImagePull, 1);
    assert_eq!(client.machine().version().await.unwrap().tag, "v1.10.7");
}

#[tokio::test]
async fn upgrades_need_an_administrator_and_workers_need_no_etcd() {
    let mock = running(builder()).await;
    let operator = client_with(&mock, Role::Operator);
    let error = operator.plan_upgrade(request("v1.11.6")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);

    let authority = mock;
    let worker = configured(builder().trustd(&authority), &worker("v1.10.7")).await;
    let plan = client(&worker).plan_upgrade(request("v1.11.6")).await;
    assert_eq!(plan.unwrap().record().version, "v1.11.6");
}

#[tokio::test]
async fn an_upgrade_that_never_ends_ends_at_the_deadline() {
    let mock = running(builder()).await;
    let client = client(&mock);
    let plan = client.plan_upgrade(request("v1.11.6")).await.unwrap();

    let operation = plan.start().await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    mock.power_off();
    let error = operation
        .wait(poll().deadline(Duration::from_millis(300)))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
}
