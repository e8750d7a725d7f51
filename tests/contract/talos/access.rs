//! Calls to many nodes, and credentials that a node issues.

use std::time::Duration;

use talos_client::machine::RebootMode;
use talos_client::mock::{Network, TalosMock};
use talos_client::secrets::Role;
use talos_client::{Client, ErrorKind};

use super::support::{client, client_of, configured, control_plane, running};

#[tokio::test]
async fn a_call_to_many_nodes_has_a_result_for_each() {
    let network = Network::new();
    let mock = running(TalosMock::builder().network(&network)).await;
    let nodes = client_of(&mock).nodes(["10.0.2.10", "10.0.2.99"]).unwrap();

    let results = nodes
        .each(async |client: Client| client.machine().version().await)
        .await;

    assert_eq!(results[0].node, "10.0.2.10");
    assert_eq!(results[0].result.as_ref().unwrap().tag, "v1.10.7");
    assert_eq!(results[1].node, "10.0.2.99");
    assert_eq!(
        results[1].result.as_ref().unwrap_err().kind(),
        ErrorKind::NotReady
    );
}

#[tokio::test]
async fn a_node_issues_credentials_that_it_accepts() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    let issued = machine
        .client_configuration([Role::Reader], Duration::from_secs(3600))
        .await
        .unwrap();

    let reader = Client::builder(mock.endpoint(), issued.credentials)
        .build()
        .unwrap()
        .machine();
    assert_eq!(reader.version().await.unwrap().tag, "v1.10.7");
    let denied = reader.reboot(RebootMode::Default).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
    let zero = machine
        .client_configuration([Role::Reader], Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(zero.message(), "crt_ttl should be positive");
}
