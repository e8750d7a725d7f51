//! Contract tests of the factory client: against hand-written rules where the exact request matters, against the
//! stateful mock where behaviour over several requests does.

mod bodies;
mod credentials;
mod downloads;
mod images;
mod metadata;
mod mock;
mod schematics;
mod unpack;

use std::time::Duration;

use factory_client::mock::FactoryMock;
use factory_client::{
    Client, ClientBuilder, Image, ImageRequest, Platform, Poll, RetryPolicy, Schematic,
    SchematicId, TalosVersion,
};
use wiremock::MockServer;

/// Short intervals, and longer than anything in these tests should take.
const POLL: Poll = Poll::every(Duration::from_millis(5)).deadline(Duration::from_secs(10));

fn version() -> TalosVersion {
    TalosVersion::new(1, 10, 7)
}

/// The extension list that the guide describes.
fn schematic() -> Schematic {
    Schematic::builder()
        .extensions([
            "siderolabs/iscsi-tools",
            "siderolabs/qemu-guest-agent",
            "siderolabs/util-linux-tools",
        ])
        .build()
        .unwrap()
}

fn iso(id: &SchematicId) -> Image {
    ImageRequest::iso(Platform::Nocloud)
        .secure_boot()
        .of(id.clone(), version())
}

/// A client with delays of milliseconds.
fn builder(server: &MockServer) -> ClientBuilder {
    let policy = RetryPolicy::default()
        .attempts(5)
        .delays(Duration::from_millis(1), Duration::from_millis(5));
    Client::builder(server.uri().parse().unwrap())
        .retry(policy)
        .build_poll(POLL)
        .registration_deadline(Duration::from_secs(2))
}

fn client(server: &MockServer) -> Client {
    builder(server).build().unwrap()
}

/// A mock that already has the schematic, and its image.
async fn factory_with_image() -> (FactoryMock, Client, Image) {
    stored(FactoryMock::start().await).await
}

async fn stored(factory: FactoryMock) -> (FactoryMock, Client, Image) {
    let client = factory.client();
    let created = client.create_schematic(&schematic()).await.unwrap();
    (factory, client, iso(&created.id))
}
