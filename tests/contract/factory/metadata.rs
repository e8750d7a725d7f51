use std::time::Duration;

use factory_client::mock::{FactoryMock, Fault, Route};
use factory_client::version::{latest_of_minor, latest_stable};
use factory_client::{ErrorKind, Schematic, TalosVersion};
use http::Method;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{builder, client, schematic, version};

async fn serving(route: &str, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(route))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn versions_come_as_plain_text_and_are_sorted_as_versions() {
    let list = "[\"v1.2.0\",\"v1.10.7\",\"v1.9.5\",\"v1.14.0-rc.1\"]\n";
    let answer = ResponseTemplate::new(200).set_body_raw(list, "text/plain; charset=utf-8");
    let server = serving("/versions", answer).await;

    let versions = client(&server).versions().await.unwrap();

    let texts: Vec<String> = versions.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["v1.2.0", "v1.9.5", "v1.10.7", "v1.14.0-rc.1"]);
    assert_eq!(latest_stable(&versions), Some(&version()));
    assert_eq!(latest_of_minor(&versions, 1, 14), None);
}

#[tokio::test]
async fn a_null_list_is_an_empty_one() {
    let server = MockServer::start().await;
    Mock::given(query_param("broken", "true"))
        .respond_with(ResponseTemplate::new(200).set_body_string("null\n"))
        .mount(&server)
        .await;
    Mock::given(path("/version/v1.10.7/extensions/official"))
        .respond_with(ResponseTemplate::new(200).set_body_string("null\n"))
        .mount(&server)
        .await;
    let client = client(&server);

    assert_eq!(client.broken_versions().await.unwrap(), []);
    assert_eq!(client.official_extensions(&version()).await.unwrap(), []);
}

#[tokio::test]
async fn a_list_of_something_else_cannot_be_decoded_and_is_not_quoted() {
    let server = serving(
        "/versions",
        ResponseTemplate::new(200).set_body_string("{\"secret\":1}"),
    )
    .await;

    let error = client(&server).versions().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn extensions_have_optional_fields() {
    let list = "[{\"name\":\"siderolabs/a\",\"ref\":\"ghcr.io/siderolabs/a:1\",\"digest\":\"sha256:1\",\"new\":1}]";
    let server = serving(
        "/version/v1.10.7/extensions/official",
        ResponseTemplate::new(200).set_body_string(list),
    )
    .await;

    let extensions = client(&server)
        .official_extensions(&version())
        .await
        .unwrap();

    assert_eq!(extensions[0].name, "siderolabs/a");
    assert_eq!(extensions[0].reference, "ghcr.io/siderolabs/a:1");
    assert_eq!(extensions[0].description, "");
}

#[tokio::test]
async fn an_unknown_version_has_a_kind_of_its_own_and_is_not_repeated() {
    let factory = FactoryMock::start().await;
    let unknown = TalosVersion::new(1, 99, 0);

    let error = factory
        .client()
        .official_extensions(&unknown)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::VersionNotAvailable);
    assert!(error.is_not_found());
    factory.assert_called(Route::Extensions, 1);
}

#[tokio::test]
async fn passing_failures_of_the_service_are_repeated() {
    let factory = FactoryMock::start().await;
    for fault in [
        Fault::Status(500, "internal server error".to_owned()),
        Fault::Status(502, "bad gateway".to_owned()),
        Fault::Disconnect,
    ] {
        factory.fail_next(Route::Versions, fault);
    }

    let versions = factory.client().versions().await.unwrap();

    assert!(versions.contains(&version()));
    factory.assert_called(Route::Versions, 4);
}

#[tokio::test]
async fn a_request_that_takes_too_long_times_out() {
    let answer = ResponseTemplate::new(200)
        .set_body_string("[]")
        .set_delay(Duration::from_secs(5));
    let server = serving("/versions", answer).await;
    let client = builder(&server)
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();

    let error = client.versions().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let client = factory_client::Client::builder("http://127.0.0.1:1".parse().unwrap())
        .retry(factory_client::RetryPolicy::never())
        .build()
        .unwrap();

    let error = client.versions().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn a_head_request_for_versions_is_not_allowed() {
    let factory = FactoryMock::start().await;

    let (status, _) = factory
        .client()
        .raw(Method::HEAD, "/versions")
        .await
        .unwrap();

    assert_eq!(status.as_u16(), 405);
}

#[tokio::test]
async fn a_base_url_may_have_a_path_prefix() {
    let factory = FactoryMock::builder()
        .path_prefix("/talos/factory")
        .start()
        .await;
    let client = factory.client();

    let created = client.create_schematic(&schematic()).await.unwrap();

    assert!(client.versions().await.unwrap().contains(&version()));
    assert!(client.open(&super::iso(&created.id)).await.is_ok());
    assert!(
        factory
            .calls()
            .iter()
            .all(|call| call.path.starts_with("/talos/factory/"))
    );
}

#[tokio::test]
async fn the_factory_tells_its_version_and_health() {
    let factory = FactoryMock::start().await;
    let client = factory.client();

    let version = client.factory_version().await.unwrap().unwrap();

    assert_eq!(version.version.to_string(), "1.3.3");
    assert!(!version.is_enterprise);
    assert!(client.is_ready().await.unwrap());
    factory.fail_next(Route::Ready, Fault::Status(503, "not ready".to_owned()));
    assert!(!client.is_ready().await.unwrap());
}

#[tokio::test]
async fn keys_and_binaries_are_listed() {
    let factory = FactoryMock::start().await;
    let client = factory.client();

    let certificate = client.signing_certificate().await.unwrap();
    let key = client.image_signing_key().await.unwrap();

    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(key.starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(client.talosctl_urls(&version()).await.unwrap().is_empty());
    let newer = TalosVersion::new(1, 11, 6);
    assert_eq!(client.talosctl_urls(&newer).await.unwrap().len(), 1);
}

#[tokio::test]
async fn validation_uses_the_catalogue_of_this_factory() {
    let factory = FactoryMock::builder()
        .talos_version(version(), ["siderolabs/qemu-guest-agent"])
        .start()
        .await;
    let schematic = Schematic::builder()
        .extensions(["siderolabs/qemu-guest-agent", "siderolabs/qemu-guest-agnet"])
        .build()
        .unwrap();

    let diagnostics = factory
        .client()
        .validate(&schematic, &version())
        .await
        .unwrap();

    let errors: Vec<_> = diagnostics.errors().collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].path, "systemExtensions.officialExtensions[1]");
    assert_eq!(
        errors[0].help.as_deref(),
        Some("did you mean siderolabs/qemu-guest-agent?")
    );
}
