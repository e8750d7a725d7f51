//! A configuration that the platform has for the node, as nocloud user data.

use std::time::Duration;

use secrecy::SecretString;
use talos_client::mock::{MockEvent, Route, TalosMock};
use talos_client::{Probe, probe};

use super::support::{ADDRESS, client, control_plane, poll};

async fn node_with(user_data: SecretString, version: &str) -> TalosMock {
    let builder = TalosMock::builder()
        .version(version)
        .address(ADDRESS.into());
    let mock = builder.powered_off().start().await;
    mock.set_user_data(Some(user_data));
    mock.power_on();
    mock
}

#[tokio::test]
async fn a_node_with_user_data_installs_itself_and_is_never_in_maintenance_mode() {
    for version in ["v1.10.7", "v1.13.0"] {
        let mock = node_with(control_plane(version), version).await;

        client(&mock).wait_for_identity(None, poll()).await.unwrap();
        mock.wait_for(|event| matches!(event, MockEvent::Installed { .. }))
            .await;

        mock.assert_called(Route::ApplyConfiguration, 0);
    }
}

#[tokio::test]
async fn user_data_for_others_leave_the_node_in_maintenance_mode() {
    let mock = node_with("#cloud-config\nhostname: a\n".into(), "v1.10.7").await;

    let event = mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }));

    assert!(event.await.is_some());
}

#[tokio::test]
async fn the_configuration_on_the_disk_wins_over_user_data() {
    let mock = node_with(control_plane("v1.10.7"), "v1.10.7").await;
    mock.wait_for(|event| matches!(event, MockEvent::Installed { .. }))
        .await;
    client(&mock).wait_for_identity(None, poll()).await.unwrap();
    mock.set_user_data(Some("nonsense".into()));

    mock.power_off();
    mock.power_on();

    client(&mock).wait_for_identity(None, poll()).await.unwrap();
}

/// Only the console tells (v1.10.7, `config.AcquireController`).
#[tokio::test]
async fn user_data_that_cannot_be_used_keep_the_port_closed() {
    let mock = node_with("version: v1alpha1\nmachine: {a: 1}\n".into(), "v1.10.7").await;

    let halted = mock.wait_for(|event| matches!(event, MockEvent::Halted { .. }));

    let Some(MockEvent::Halted { reason }) = halted.await else {
        panic!("the node did not halt");
    };
    assert!(
        reason.starts_with("failed to load config via platform nocloud: "),
        "{reason}"
    );
    let found = probe(&mock.endpoint(), None, Duration::from_secs(1)).await;
    assert!(matches!(found, Ok(Probe::Closed(_))), "{found:?}");
}
