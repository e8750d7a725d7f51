//! From an applied configuration to the node's new identity, or to the reason why not.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use talos_client::machine::ApplyOptions;
use talos_client::mock::{BootOrder, MockEvent, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::wait::WaitingFor;
use talos_client::{
    ErrorKind, Poll, PresentedCertificate, Probe, Result, wait_for_api, wait_for_maintenance,
    wait_for_maintenance_observed,
};

use super::support::{changed, client, control_plane, credentials, in_maintenance, poll};

/// Applies a configuration and waits for the identity, as a bootstrapper does.
async fn apply_and_wait(
    mock: &TalosMock,
    config: &secrecy::SecretString,
    poll: Poll,
) -> (
    Result<talos_client::machine::Version>,
    Vec<Cow<'static, str>>,
) {
    let maintenance = mock.maintenance_client();
    maintenance
        .apply_configuration(config, ApplyOptions::default())
        .await
        .unwrap();
    let before: PresentedCertificate = maintenance.presented_certificate().unwrap();
    let mut seen = Vec::new();
    let result = client(mock)
        .wait_for_identity_observed(Some(&before), poll, |state| {
            if seen.last() != Some(&state.waiting_for) {
                seen.push(state.waiting_for.clone());
            }
        })
        .await;
    (result, seen)
}

#[tokio::test]
async fn the_node_comes_back_with_the_authority_it_was_given() {
    let builder = TalosMock::builder()
        .delays(talos_client::mock::Delays::fast().install(Duration::from_millis(100)));
    let mock = in_maintenance(builder).await;

    let (version, seen) = apply_and_wait(&mock, &control_plane("v1.10.7"), poll()).await;

    assert_eq!(version.unwrap().tag, "v1.10.7");
    // Before v1.13 the port is closed while the node installs itself.
    assert!(
        seen.contains(&WaitingFor::Installation.as_str().into()),
        "{seen:?}"
    );
    mock.assert_called(Route::ApplyConfiguration, 1);
}

#[tokio::test]
async fn from_v1_13_on_the_identity_is_there_while_the_node_installs_itself() {
    let builder = TalosMock::builder()
        .version("v1.13.9")
        .delays(talos_client::mock::Delays::fast().install(Duration::from_secs(3)));
    let mock = in_maintenance(builder).await;

    let (version, _) = apply_and_wait(&mock, &control_plane("v1.13.9"), poll()).await;

    assert_eq!(version.unwrap().tag, "v1.13.9");
    assert_eq!(mock.stage(), talos_client::cosi::Stage::Installing);
}

#[tokio::test]
async fn a_failed_installation_is_seen_by_the_second_boot_into_maintenance() {
    let mock = in_maintenance(TalosMock::builder().fail_installation("image pull failed")).await;

    let (result, _) = apply_and_wait(&mock, &control_plane("v1.10.7"), poll()).await;

    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(
        error.message().contains("the installation failed"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_disk_that_does_not_exist_is_accepted_first_and_fails_afterwards() {
    let mock = in_maintenance(TalosMock::builder()).await;

    let (result, _) = apply_and_wait(&mock, &changed("/dev/sda", "/dev/nvme0n1"), poll()).await;

    assert_eq!(result.unwrap_err().kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn a_node_that_boots_its_iso_first_halts_and_the_deadline_names_the_cause() {
    let builder = TalosMock::builder()
        .secure_boot()
        .boot_order(BootOrder::IsoFirst);
    let mock = in_maintenance(builder).await;
    let short = poll().deadline(Duration::from_millis(300));

    let (result, _) = apply_and_wait(&mock, &control_plane("v1.10.7"), short).await;

    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error
            .message()
            .contains("waiting for the installation to complete"),
        "{error}"
    );
    assert!(error.source().unwrap().to_string().contains("refused"));
    let halted = mock
        .wait_for(|event| matches!(event, MockEvent::Halted { .. }))
        .await;
    assert!(
        matches!(halted, Some(MockEvent::Halted { reason }) if reason.contains("halt_if_installed"))
    );
}

#[tokio::test]
async fn secure_boot_refuses_what_a_plain_installer_wrote() {
    let mock = in_maintenance(TalosMock::builder().secure_boot()).await;
    let short = poll().deadline(Duration::from_millis(300));

    let (result, _) = apply_and_wait(&mock, &control_plane("v1.10.7"), short).await;

    assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadline);
    let halted = mock
        .wait_for(|event| matches!(event, MockEvent::Halted { .. }))
        .await;
    assert!(matches!(halted, Some(MockEvent::Halted { reason }) if reason.contains("Secure Boot")));
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_waited_for() {
    let mock = in_maintenance(TalosMock::builder().clock_ahead(Duration::from_secs(3))).await;

    let (version, seen) = apply_and_wait(&mock, &control_plane("v1.10.7"), poll()).await;

    version.unwrap();
    assert!(
        seen.contains(&WaitingFor::Clock.as_str().into()),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_node_that_stays_in_maintenance_mode_is_waited_for_until_the_deadline() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let short = poll().deadline(Duration::from_millis(200));

    let error = client(&mock)
        .wait_for_identity(None, short)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error.message().contains("still in maintenance mode"),
        "{error}"
    );
}

#[tokio::test]
async fn the_first_boot_is_waited_for_and_told_from_a_configured_node() {
    let mock = TalosMock::builder().powered_off().start().await;
    let endpoint = mock.endpoint();
    let mut causes = Vec::new();

    mock.power_on();
    let certificate =
        wait_for_maintenance_observed(&endpoint, poll(), |state| causes.push(state.cause.clone()))
            .await
            .unwrap();

    assert!(certificate.is_maintenance());
    assert!(
        causes.iter().all(|cause| cause.contains("refused")),
        "{causes:?}"
    );
    let ours = credentials(Role::Admin).authority().unwrap();
    let answered = wait_for_api(&endpoint, Some(&ours), poll()).await.unwrap();
    assert!(matches!(answered, Probe::Maintenance(_)));
}

#[tokio::test]
async fn waiting_for_maintenance_ends_when_the_node_is_configured() {
    let mock = super::support::configured(TalosMock::builder(), &control_plane("v1.10.7")).await;

    let error = wait_for_maintenance(&mock.endpoint(), poll())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}
