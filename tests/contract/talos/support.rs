//! A cluster's secrets, configurations from them, and plans that fit a mock.

use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::{ExposeSecret, SecretString};
use talos_client::config::{GenerateInput, MachineType, TalosVersion};
use talos_client::machine::ApplyOptions;
use talos_client::mock::{MockEvent, TalosMock, TalosMockBuilder};
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::{Client, Credentials, Poll, RetryPolicy};

pub(crate) const ADDRESS: [u8; 4] = [10, 0, 2, 10];

pub(crate) fn secrets() -> SecretsBundle {
    SecretsBundle::parse(include_str!("../../data/talos-api/secrets.yaml")).unwrap()
}

fn input(version: &str) -> GenerateInput {
    GenerateInput::new(
        "lungmen.akn",
        "https://kubernetes.lungmen.akn:6443",
        &secrets(),
    )
    .unwrap()
    .talos_version(TalosVersion::parse(version).unwrap())
    .additional_sans(["tal01.lungmen.akn"])
}

pub(crate) fn control_plane(version: &str) -> SecretString {
    let config = input(version).generate(MachineType::ControlPlane).unwrap();
    config.to_yaml()
}

pub(crate) fn worker(version: &str) -> SecretString {
    input(version)
        .generate(MachineType::Worker)
        .unwrap()
        .to_yaml()
}

/// A control plane configuration with one text replaced by another.
pub(crate) fn changed(from: &str, to: &str) -> SecretString {
    let text = control_plane("v1.10.7");
    assert!(
        text.expose_secret().contains(from),
        "nothing to replace: {from}"
    );
    text.expose_secret().replace(from, to).into()
}

pub(crate) fn credentials(role: Role) -> Credentials {
    let certificate = secrets().client_certificate(role).issue().unwrap();
    Credentials::from(&certificate)
}

pub(crate) fn poll() -> Poll {
    Poll::every(Duration::from_millis(5)).deadline(Duration::from_secs(20))
}

pub(crate) fn client(mock: &TalosMock) -> Client {
    client_with(mock, Role::Admin)
}

pub(crate) fn client_with(mock: &TalosMock, role: Role) -> Client {
    Client::builder(mock.endpoint(), credentials(role))
        .retry(
            RetryPolicy::default()
                .attempts(3)
                .delays(Duration::from_millis(1), Duration::from_millis(5)),
        )
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// A client for a node with an address of its own, that repeats nothing.
pub(crate) fn client_of(mock: &TalosMock) -> Client {
    Client::builder(mock.endpoint(), credentials(Role::Admin))
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

pub(crate) async fn in_maintenance(builder: TalosMockBuilder) -> TalosMock {
    let mock = builder.address(ADDRESS.into()).start().await;
    mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    mock
}

/// A node that has installed itself and waits to be bootstrapped.
pub(crate) async fn configured(builder: TalosMockBuilder, config: &SecretString) -> TalosMock {
    let mock = in_maintenance(builder).await;
    let maintenance = mock.maintenance_client();
    maintenance
        .apply_configuration(config, ApplyOptions::default())
        .await
        .unwrap();
    boots_from_disk(&mock).await;
    client(&mock).wait_for_identity(None, poll()).await.unwrap();
    mock
}

/// From v1.13 on the node answers while it installs itself too, and is gone again when it boots from its disk.
async fn boots_from_disk(mock: &TalosMock) {
    let mut events = mock.events();
    let mut is_installed = false;
    while let Some(event) = events.next().await {
        match event {
            MockEvent::Installed { .. } => is_installed = true,
            MockEvent::Configured if is_installed => return,
            _ => {}
        }
    }
}

/// A node that is all there.
pub(crate) async fn running(builder: TalosMockBuilder) -> TalosMock {
    let mock = configured(builder, &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
    mock
}
