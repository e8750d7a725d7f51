//! The mock itself: strict, and honest about what it does not know.

use factory_client::ErrorKind;
use factory_client::mock::{FactoryMock, Fault, MockEvent, Route};
use factory_client::schematic::Encoder;
use futures_util::StreamExt;
use http::Method;
use semver::Version;

use super::{factory_with_image, schematic};

#[tokio::test]
async fn an_unknown_route_is_named_and_an_enterprise_route_is_not_there() {
    let factory = FactoryMock::start().await;
    let client = factory.client();

    let (status, text) = client.raw(Method::GET, "/nowhere").await.unwrap();
    assert_eq!(status.as_u16(), 501);
    assert!(text.contains("GET /nowhere"));

    let (status, text) = client
        .raw(Method::GET, "/vex/v1.13.0/vex.json")
        .await
        .unwrap();
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (404, "404 page not found")
    );
}

#[tokio::test]
async fn malformed_versions_and_unknown_platforms_are_opaque_failures() {
    let (_factory, client, image) = factory_with_image().await;
    let base = format!("/image/{}", image.schematic());

    for (path, expected) in [
        (format!("{base}/v1.x/nocloud-amd64.iso"), 500),
        (format!("{base}/v1.10.7/nowhere-amd64.iso"), 500),
        (format!("{base}/v1.10.7/metal-amd64.ssd"), 400),
        (format!("{base}/v1.10.7/metal-foo.iso"), 400),
        (format!("{base}/1.10.7/metal-amd64.iso"), 200),
        ("/version/latest/extensions/official".to_owned(), 500),
    ] {
        let (status, text) = client.raw(Method::HEAD, &path).await.unwrap();
        let status = if status.as_u16() == 405 {
            client.raw(Method::GET, &path).await.unwrap().0
        } else {
            status
        };
        assert_eq!(status.as_u16(), expected, "{path}: {text}");
    }
}

#[tokio::test]
async fn an_old_factory_refuses_newer_fields_in_its_own_words() {
    let factory = FactoryMock::builder()
        .factory_version(Version::new(0, 8, 4))
        .start()
        .await;
    let schematic = factory_client::Schematic::builder()
        .bootloader(factory_client::schematic::Bootloader::Grub)
        .build()
        .unwrap();

    let error = factory
        .client()
        .create_schematic(&schematic)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidSchematic);
    assert!(error.message().starts_with("yaml: unmarshal errors:"));
    assert!(error.message().contains("field bootloader not found"));
}

#[tokio::test]
async fn an_old_factory_answers_with_the_id_alone_and_without_a_server_name() {
    let factory = FactoryMock::builder()
        .factory_version(Version::new(0, 8, 4))
        .start()
        .await;
    let client = factory.client();

    let created = client.create_schematic(&schematic()).await.unwrap();

    assert_eq!(created.canonical, None);
    assert_eq!(created.id, schematic().id_by(Encoder::V3));
    assert_eq!(client.factory_version().await.unwrap(), None);
    let error = client.schematic(&created.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn faults_queue_up_and_events_tell_what_happened() {
    let factory = FactoryMock::start().await;
    let mut events = Box::pin(factory.events());
    factory.fail_next(Route::Versions, Fault::Garbage);

    let error = factory.client().versions().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(factory.client().versions().await.is_ok());

    let created = factory
        .client()
        .create_schematic(&schematic())
        .await
        .unwrap();
    assert_eq!(
        events.next().await,
        Some(MockEvent::SchematicCreated(created.id.clone()))
    );
    assert_eq!(factory.schematic(&created.id), Some(schematic()));
}
