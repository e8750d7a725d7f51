//! Maintenance mode: what it answers, whom it trusts, what it refuses.

use std::time::Duration;

use secrecy::ExposeSecret;
use talos_client::config::VersionContract;
use talos_client::cosi::Stage;
use talos_client::machine::{ApplyMode, ApplyOptions};
use talos_client::mock::{MockDisk, MockEvent, Route, TalosMock};
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::{
    Client, Credentials, ErrorKind, MaintenanceClient, MaintenanceTrust, Probe,
    PublicKeyFingerprint, probe,
};

use super::support::{client, configured, control_plane, credentials, in_maintenance, secrets};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn everything_a_bootstrapper_asks_is_answered_without_the_version_call() {
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    let mock = in_maintenance(
        TalosMock::builder()
            .uuid("11111111-2222-3333-4444-555555555555")
            .disks([MockDisk::new("/dev/vda", 10), MockDisk::cdrom("/dev/sr0")])
            .schematic(id, ["siderolabs/iscsi-tools"])
            .secure_boot(),
    )
    .await;
    let client = mock.maintenance_client();

    assert_eq!(client.version().await.unwrap(), "v1.10.7");
    let information = client.system_information().await.unwrap();
    assert_eq!(information.uuid, "11111111-2222-3333-4444-555555555555");
    let status = client.machine_status().await.unwrap();
    assert_eq!(status.stage, Stage::Maintenance);
    assert!(status.is_ready);
    let disks = client.disks().await.unwrap();
    let installable: Vec<&str> = disks
        .iter()
        .filter(|disk| disk.is_installable())
        .map(|disk| disk.device.as_str())
        .collect();
    assert_eq!(installable, ["/dev/vda"]);
    let schematic = client.resources().schematic_id().await.unwrap();
    assert_eq!(schematic.as_deref(), Some(id));
    mock.assert_called(Route::Version, 0);
}

#[tokio::test]
async fn a_probe_tells_the_four_cases_apart_by_the_certificate() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let ours = credentials(Role::Admin).authority().unwrap();
    let look = async |authority| probe(&mock.endpoint(), authority, TIMEOUT).await.unwrap();

    assert!(matches!(look(Some(&ours)).await, Probe::Maintenance(_)));
    mock.power_off();
    let Probe::Closed(error) = look(Some(&ours)).await else {
        panic!("it is switched off")
    };
    assert_eq!(error.kind(), ErrorKind::Connect);

    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let look = async |authority| probe(&mock.endpoint(), authority, TIMEOUT).await.unwrap();
    let Probe::Configured(certificate) = look(Some(&ours)).await else {
        panic!("it is configured")
    };
    assert!(certificate.names.contains(&"10.0.2.10".to_owned()));
    assert!(certificate.names.contains(&"tal01.lungmen.akn".to_owned()));
    assert!(matches!(look(None).await, Probe::Foreign(_)));
    // A probe sends nothing.
    mock.assert_called(Route::Bootstrap, 0);
}

#[tokio::test]
async fn the_pin_that_the_console_shows_is_accepted_and_another_is_not() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let Some(MockEvent::Maintenance { fingerprint }) = mock
        .wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await
    else {
        panic!("it is in maintenance mode")
    };
    let pinned = |pin: PublicKeyFingerprint| {
        MaintenanceClient::builder(mock.endpoint())
            .trust(MaintenanceTrust::Pinned(vec![pin]))
            .build()
            .unwrap()
    };

    assert_eq!(pinned(fingerprint).version().await.unwrap(), "v1.10.7");

    let other = "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k="
        .parse()
        .unwrap();
    let error = pinned(other).version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(!error.is_retryable());
    assert!(
        error
            .message()
            .contains("leaf peer certificate doesn't match the provided fingerprints"),
        "{error}"
    );
    assert!(error.message().contains(&fingerprint.to_string()));
    mock.assert_called(Route::ResourceGet, 1);
}

#[tokio::test]
async fn refusals_keep_the_texts_of_the_node() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let client = mock.maintenance_client();
    let refusal = async |text: &str, options| {
        let error = client.apply_configuration(&text.into(), options).await;
        error.unwrap_err()
    };
    let auto = ApplyOptions::default();

    let empty = refusal("", auto).await;
    assert_eq!(empty.kind(), ErrorKind::InvalidDocument);
    assert_eq!(empty.message(), "failed to parse config: config not found");

    let unknown = refusal("version: v1alpha1\nmachine:\n    tokken: s3cret\n", auto).await;
    assert_eq!(unknown.kind(), ErrorKind::InvalidDocument);
    assert!(unknown.message().contains("tokken:"), "{unknown}");
    assert!(!unknown.message().contains("s3cret"), "{unknown}");

    let invalid = refusal("version: v1alpha1\ncluster: {}\n", auto).await;
    assert_eq!(invalid.kind(), ErrorKind::Validation);
    assert!(
        invalid
            .message()
            .starts_with("configuration validation failed: 1 error occurred:\n\t* "),
        "{invalid}"
    );

    let config = control_plane("v1.10.7");
    let staged = refusal(config.expose_secret(), auto.mode(ApplyMode::Staged)).await;
    assert_eq!(staged.kind(), ErrorKind::Unsupported);
    assert_eq!(
        staged.message(),
        "apply configuration --mode='staged' is not supported in maintenance mode"
    );
    assert!(mock.is_in_maintenance());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let client = mock.maintenance_client();

    let options = ApplyOptions::default().dry_run();
    let applied = client
        .apply_configuration(&control_plane("v1.10.7"), options)
        .await
        .unwrap();

    assert!(
        applied
            .details
            .expose_secret()
            .starts_with("Dry run summary:\n")
    );
    assert!(mock.config().is_none());
    assert!(mock.is_in_maintenance());
}

#[tokio::test]
async fn a_configuration_without_the_main_document_is_taken_and_the_node_goes_on_waiting() {
    let mock = in_maintenance(TalosMock::builder()).await;
    let client = mock.maintenance_client();
    let part = "apiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\n";

    let applied = client
        .apply_configuration(&part.into(), ApplyOptions::default())
        .await
        .unwrap();

    assert_eq!(applied.mode, None);
    assert_eq!(
        client.machine_status().await.unwrap().stage,
        Stage::Maintenance
    );
}

#[tokio::test]
async fn a_configured_node_says_that_it_wants_a_certificate() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let calls = mock.calls().len();

    let client = mock.maintenance_client();
    let error = client.version().await.unwrap_err();

    assert!(error.is_client_certificate_required(), "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(mock.calls().len(), calls);
}

#[tokio::test]
async fn a_client_of_another_cluster_is_refused_as_a_matter_of_certificates() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let other = SecretsBundle::generate(VersionContract::V1_10)
        .await
        .unwrap();
    let certificate = other.client_certificate(Role::Admin).issue().unwrap();

    // We do not know the node's authority.
    let stranger = Credentials::from(&certificate);
    let unknown_server = Client::builder(mock.endpoint(), stranger).build().unwrap();
    let error = unknown_server.machine().version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
    assert_eq!(error.code(), None);

    // The node does not know ours.
    let mixed = Credentials::new(
        secrets().os_ca().unwrap().certificate_pem(),
        certificate.certificate_pem(),
        certificate.key_pem().clone(),
    );
    let unknown_client = Client::builder(mock.endpoint(), mixed).build().unwrap();
    let error = unknown_client.machine().version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
    assert!(error.message().contains("does not accept"), "{error}");
    client(&mock).machine().version().await.unwrap();
}

#[tokio::test]
async fn a_client_with_credentials_does_not_talk_to_a_node_in_maintenance_mode() {
    let mock = in_maintenance(TalosMock::builder()).await;

    let error = client(&mock).machine().version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(mock.calls().is_empty());
}
