//! Changing the configuration of a node that runs.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use talos_client::config::{ConfigPatch, MachineConfig};
use talos_client::cosi::MachineConfigStatus;
use talos_client::machine::ApplyMode;
use talos_client::mock::{Call, Fault, MockEvent, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{ApplyOptions, Client, ErrorKind};

use super::support::{client, client_with, configured, control_plane, poll};

const RELEASES: [&str; 5] = ["v1.10.7", "v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0-rc.1"];

/// A change that needs no reboot in any release.
fn sysctl(value: &str) -> ConfigPatch {
    ConfigPatch::new(format!(
        "machine: {{sysctls: {{vm.swappiness: '{value}'}}}}"
    ))
}

/// A change that needs a reboot before v1.14.
fn environment() -> ConfigPatch {
    ConfigPatch::new("machine: {env: {PROXY_PASSWORD: hunter2}}")
}

fn mode(mode: ApplyMode) -> ApplyOptions {
    ApplyOptions::default().mode(mode)
}

async fn node(version: &str) -> TalosMock {
    configured(
        TalosMock::builder().version(version),
        &control_plane(version),
    )
    .await
}

/// How often a configuration was sent to the node since it left maintenance mode.
fn applications(mock: &TalosMock) -> usize {
    let calls = mock.calls();
    let is_meant =
        |call: &&Call| call.route == Some(Route::ApplyConfiguration) && !call.in_maintenance;
    calls.iter().filter(is_meant).count()
}

async fn value(client: &Client, id: &str) -> Option<String> {
    let config = client.resources().machine_config(id).await.unwrap();
    let config = MachineConfig::parse(config.text.expose_secret()).unwrap();
    let sysctl = config
        .v1alpha1()?
        .path(&["machine", "sysctls", "vm.swappiness"])?;
    sysctl.as_str().map(ToOwned::to_owned)
}

async fn active(client: &Client) -> Option<String> {
    value(client, MachineConfigStatus::ACTIVE).await
}

async fn on_disk(client: &Client) -> Option<String> {
    value(client, MachineConfigStatus::PERSISTENT).await
}

#[tokio::test]
async fn a_patch_is_in_effect_without_a_reboot_in_every_release() {
    for version in RELEASES {
        let mock = node(version).await;
        let client = client(&mock);

        let edit = client.edit_configuration().await.unwrap();
        let edit = edit.patched(&[sysctl("10")]).unwrap();
        let lines: Vec<String> = edit.differences().iter().map(ToString::to_string).collect();
        let applied = edit.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(applied.mode(), ApplyMode::NoReboot, "{version}");
        applied.wait(poll()).await.unwrap();

        assert!(
            lines.iter().any(|line| line.contains("swappiness")),
            "{lines:?}"
        );
        assert_eq!(active(&client).await.as_deref(), Some("10"), "{version}");
        assert_eq!(on_disk(&client).await.as_deref(), Some("10"), "{version}");
    }
}

#[tokio::test]
async fn a_json_patch_changes_what_its_path_names() {
    let mock = node("v1.11.6").await;
    let client = client(&mock);
    let patch = ConfigPatch::new(
        r#"[{"op": "add", "path": "/machine/sysctls", "value": {"vm.swappiness": "7"}}]"#,
    );

    let edit = client.edit_configuration().await.unwrap().patched(&[patch]);
    let applied = edit
        .unwrap()
        .apply(mode(ApplyMode::NoReboot))
        .await
        .unwrap();
    applied.wait(poll()).await.unwrap();

    assert_eq!(active(&client).await.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_change_that_needs_a_reboot_gets_one_until_v1_13() {
    for version in RELEASES {
        let mock = node(version).await;
        let client = client(&mock);
        let boot = client.machine().boot_id().await.unwrap();

        let edit = client.edit_configuration().await.unwrap();
        let applied = edit.patched(&[environment()]).unwrap();
        let applied = applied.apply(ApplyOptions::default()).await.unwrap();
        let mut causes = Vec::new();
        applied
            .wait_observed(poll(), |state| causes.push(state.to_string()))
            .await
            .unwrap();

        let is_new = client.machine().boot_id().await.unwrap() != boot;
        assert_eq!(is_new, version < "v1.14", "{version}: {causes:?}");
        assert_eq!(applied.mode() == ApplyMode::Reboot, is_new, "{version}");
        let edit = client.edit_configuration().await.unwrap();
        assert!(edit.text().expose_secret().contains("hunter2"));
    }
}

#[tokio::test]
async fn what_needs_a_reboot_is_refused_without_one_and_no_secret_is_quoted() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();
    let edit = edit.patched(&[environment()]).unwrap();

    for refused in [ApplyMode::NoReboot, ApplyMode::Try] {
        let error = edit.clone().apply(mode(refused)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert_eq!(
            error.message(),
            "this config change can't be applied in immediate mode"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    assert!(!format!("{edit:?}").contains("hunter2"));
    let shown = format!("{:?}", edit.differences());
    assert!(
        shown.contains("[redacted]") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let mock = node("v1.13.9").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();

    let small = edit.clone().patched(&[sysctl("1")]).unwrap();
    let small = small.dry_run(ApplyOptions::default()).await.unwrap();
    let large = edit.patched(&[environment()]).unwrap();
    let large = large.dry_run(ApplyOptions::default()).await.unwrap();

    assert_eq!(small.mode, Some(ApplyMode::NoReboot));
    assert_eq!(large.mode, Some(ApplyMode::Reboot));
    assert_eq!(small.differences.len(), 1);
    assert_eq!(active(&client).await, None);
}

#[tokio::test]
async fn a_staged_change_waits_on_the_disk_for_the_next_reboot() {
    let mock = node("v1.10.7").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();
    let applied = edit.patched(&[sysctl("20")]).unwrap();

    let applied = applied.apply(mode(ApplyMode::Staged)).await.unwrap();
    applied.wait(poll()).await.unwrap();

    assert_eq!(active(&client).await, None);
    assert_eq!(on_disk(&client).await.as_deref(), Some("20"));
    let edit = client.edit_configuration().await.unwrap();
    assert_eq!(edit.pending().len(), 1);
    assert!(edit.differences().is_empty());
    assert_eq!(edit.from_disk().differences().len(), 1);

    mock.power_off();
    mock.power_on();
    client.wait_for_identity(None, poll()).await.unwrap();
    assert_eq!(active(&client).await.as_deref(), Some("20"));
}

#[tokio::test]
async fn a_change_that_is_tried_is_taken_back_unless_it_is_confirmed() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let short = mode(ApplyMode::Try).try_timeout(Duration::from_millis(100));

    let edit = client.edit_configuration().await.unwrap();
    let tried = edit
        .patched(&[sysctl("30")])
        .unwrap()
        .apply(short)
        .await
        .unwrap();
    tried.wait(poll()).await.unwrap();
    assert_eq!(on_disk(&client).await, None);
    tried.wait_for_rollback(poll()).await.unwrap();
    assert_eq!(active(&client).await, None);

    let edit = client.edit_configuration().await.unwrap();
    let long = mode(ApplyMode::Try).try_timeout(Duration::from_mins(5));
    let tried = edit
        .patched(&[sysctl("31")])
        .unwrap()
        .apply(long)
        .await
        .unwrap();
    tried.wait(poll()).await.unwrap();
    let kept = tried.confirm().await.unwrap();
    kept.wait(poll()).await.unwrap();
    assert_eq!(on_disk(&client).await.as_deref(), Some("31"));
    assert_eq!(
        kept.confirm().await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn a_configuration_that_somebody_else_has_changed_is_not_overwritten() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let one = client.edit_configuration().await.unwrap();
    let other = client.edit_configuration().await.unwrap();

    let one = one.patched(&[sysctl("40")]).unwrap();
    let applied = one.apply(ApplyOptions::default()).await.unwrap();
    applied.wait(poll()).await.unwrap();
    let other = other.patched(&[sysctl("41")]).unwrap();
    let error = other.apply(ApplyOptions::default()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.message().contains("changed since it was read"));
    assert_eq!(active(&client).await.as_deref(), Some("40"));
}

#[tokio::test]
async fn a_change_whose_response_is_lost_is_seen_when_the_node_is_read_again() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();
    let edit = edit.patched(&[sysctl("50")]).unwrap();

    mock.fail_next(Route::ApplyConfiguration, Fault::DropResponse);
    let error = edit.apply(ApplyOptions::default()).await.unwrap_err();

    assert!(error.may_have_taken_effect());
    let again = client.edit_configuration().await.unwrap();
    assert!(
        again
            .patched(&[sysctl("50")])
            .unwrap()
            .differences()
            .is_empty()
    );
    assert_eq!(applications(&mock), 1);
}

#[tokio::test]
async fn a_text_that_the_release_cannot_read_is_refused_before_it_is_sent() {
    let mock = node("v1.10.7").await;
    let edit = client(&mock).edit_configuration().await.unwrap();
    let text = edit.text().expose_secret().replace("machine:", "machyne:");

    let error = edit.replaced(text).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    assert_eq!(applications(&mock), 0);
}

#[tokio::test]
async fn only_administrators_edit() {
    let mock = node("v1.12.11").await;

    for role in [Role::Reader, Role::Operator, Role::EtcdBackup] {
        let error = client_with(&mock, role)
            .edit_configuration()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{role}");
    }
}

#[tokio::test]
async fn a_reboot_that_the_node_does_not_finish_ends_at_the_deadline() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();
    let edit = edit.patched(&[environment()]).unwrap();

    let applied = edit.apply(mode(ApplyMode::Reboot)).await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    mock.power_off();
    let short = poll().deadline(Duration::from_millis(300));
    let error = applied.wait(short).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error.message().contains("the node to boot again"),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_that_comes_back_with_another_configuration_is_an_error() {
    let mock = node("v1.12.11").await;
    let client = client(&mock);
    let edit = client.edit_configuration().await.unwrap();
    let edit = edit.patched(&[environment()]).unwrap();

    let applied = edit.apply(mode(ApplyMode::Reboot)).await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    client.wait_for_identity(None, poll()).await.unwrap();
    let other = client.edit_configuration().await.unwrap();
    let other = other.patched(&[sysctl("60")]).unwrap();
    let other = other.apply(ApplyOptions::default()).await.unwrap();
    other.wait(poll()).await.unwrap();
    let error = applied.wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(error.message().contains("vm.swappiness"), "{error}");
}
