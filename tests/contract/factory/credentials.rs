use factory_client::mock::{FactoryMock, Route};
use factory_client::{Client, Credentials, ErrorKind, RetryPolicy};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{POLL, builder, iso, schematic, stored};

#[tokio::test]
async fn credentials_go_to_the_factory_and_never_along_a_redirect() {
    let factory = FactoryMock::builder()
        .account("alice", "s3cret")
        .redirect_images()
        .start()
        .await;
    let (factory, client, image) = stored(factory).await;

    client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap();

    let calls = factory.calls();
    let (storage, own): (Vec<_>, Vec<_>) = calls
        .iter()
        .partition(|call| call.route == Some(Route::Storage));
    assert_eq!(storage.len(), 1);
    assert!(own.iter().all(|call| call.is_authorized));
    assert!(storage.iter().all(|call| !call.is_authorized));
}

#[tokio::test]
async fn basic_and_bearer_credentials_are_sent_in_their_header() {
    for (credentials, expected) in [
        (
            Credentials::password("alice", "s3cret"),
            "Basic YWxpY2U6czNjcmV0",
        ),
        (Credentials::token("t0ken"), "Bearer t0ken"),
    ] {
        let server = MockServer::start().await;
        Mock::given(path("/versions"))
            .and(header("authorization", expected))
            .respond_with(ResponseTemplate::new(200).set_body_string("[]"))
            .expect(1)
            .mount(&server)
            .await;
        let client = builder(&server).credentials(credentials).build().unwrap();

        assert!(client.versions().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn missing_credentials_are_reported_with_the_text_of_the_challenge() {
    let factory = FactoryMock::builder().account("alice", "pw").start().await;
    let anonymous = Client::builder(factory.endpoint())
        .retry(RetryPolicy::never())
        .build()
        .unwrap();

    let error = anonymous.create_schematic(&schematic()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(
        error.message(),
        "authentication required to access this schematic"
    );
    // These need none.
    assert!(anonymous.versions().await.is_ok());
}

#[tokio::test]
async fn another_owner_is_forbidden() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .respond_with(ResponseTemplate::new(403))
        .expect(1)
        .mount(&server)
        .await;
    let image = iso(&schematic().local_id().unwrap());

    let client = builder(&server).build().unwrap();
    let error = client.prewarm(&image, POLL).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn neither_errors_nor_debug_output_show_a_secret() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(
            ResponseTemplate::new(400)
                .set_body_string("cannot fetch https://storage/x?token=canary-token&y=1"),
        )
        .mount(&server)
        .await;
    let client = builder(&server)
        .credentials(Credentials::password("alice", "canary-password"))
        .build()
        .unwrap();

    let error = client.versions().await.unwrap_err();

    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "/versions"))
        .expect(6)
        .mount(&server)
        .await;

    let error = builder(&server)
        .build()
        .unwrap()
        .versions()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
}
