//! The OpenBao client against hand-written answers: exact requests, success, refusals by kind, redirects, retries.

use std::time::Duration;

use lungmen_bootstrap::openbao::{Client, Credentials, Kv, SecretMap};
use lungmen_bootstrap::services::{ErrorKind, RetryPolicy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use wiremock::matchers::{any, body_json, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(super) fn client_with(address: &str, credentials: Credentials) -> Client {
    Client::builder(address.parse().unwrap(), credentials)
        .timeout(Duration::from_millis(300))
        .retry(RetryPolicy::default().deadline(Duration::from_secs(5)))
        .build()
        .unwrap()
}

fn kv(server: &MockServer) -> Kv {
    client_with(&server.uri(), Credentials::token("s.canary".into())).kv("secret")
}

fn envelope(data: Value) -> Value {
    json!({"request_id": "d6fc06f8", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
        "wrap_info": null, "warnings": null, "auth": null})
}

fn version(number: u64) -> Value {
    json!({"created_time": "2026-11-22T08:00:38.860320048Z", "custom_metadata": null, "deletion_time": "",
        "destroyed": false, "version": number})
}

pub(super) fn secret(values: Value, number: u64) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(envelope(
        json!({"data": values, "metadata": version(number)}),
    ))
}

pub(super) fn refused(status: u16, text: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"errors": [text]}))
}

fn absent() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(json!({"errors": []}))
}

fn values(pairs: &[(&str, &str)]) -> SecretMap {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
        .collect()
}

pub(super) async fn always(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

async fn count(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn a_read_is_one_request_with_token_namespace_and_request_header() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/prefix/v1/kv/data/talos/lungmen.akn"))
        .and(header("x-vault-token", "s.canary"))
        .and(header("x-vault-namespace", "team/prod"))
        .and(header("x-vault-request", "true"))
        .respond_with(secret(json!({"talosconfig": "context: lungmen.akn\n"}), 2))
        .expect(1)
        .mount(&server)
        .await;
    let address = format!("{}/prefix/", server.uri()).parse().unwrap();
    let client = Client::builder(address, Credentials::token("s.canary".into()))
        .namespace("/team/prod/")
        .build()
        .unwrap();

    let found = client.kv("kv").read("talos/lungmen.akn").await.unwrap();

    assert_eq!(found.version.version, 2);
    assert_eq!(
        found.data["talosconfig"].expose_secret(),
        "context: lungmen.akn\n"
    );
}

#[tokio::test]
async fn a_create_is_a_check_and_set_of_zero() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/secret/data/a%20b/c%23d"))
        .and(header("content-type", "application/json"))
        .and(body_json(
            json!({"options": {"cas": 0}, "data": {"talosconfig": "x\n"}}),
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(envelope(version(1))))
        .expect(1)
        .mount(&server)
        .await;

    let written = kv(&server)
        .create("a b/c#d", &values(&[("talosconfig", "x\n")]))
        .await
        .unwrap();

    assert_eq!(written.version, 1);
}

#[tokio::test]
async fn a_failed_check_and_set_is_already_exists_for_creates_and_a_conflict_for_updates() {
    let server = always(refused(
        400,
        "check-and-set parameter did not match the current version",
    ))
    .await;
    let kv = kv(&server);

    let create = kv.create("a", &values(&[("k", "v")])).await.unwrap_err();
    let update = kv.update("a", &values(&[("k", "v")]), 3).await.unwrap_err();

    assert!(create.is_already_exists());
    assert_eq!(update.kind(), ErrorKind::Conflict);
    assert_eq!(create.target(), "secret/a");
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn rejections_are_distinguished() {
    let deleted = |destroyed: bool| {
        let mut about = version(3);
        about["deletion_time"] = if destroyed {
            ""
        } else {
            "2026-11-22T08:00:39Z"
        }
        .into();
        about["destroyed"] = destroyed.into();
        ResponseTemplate::new(404).set_body_json(envelope(json!({"data": null, "metadata": about})))
    };
    let cases = [
        (absent(), ErrorKind::NotFound),
        (deleted(false), ErrorKind::Deleted),
        (deleted(true), ErrorKind::Deleted),
        (
            refused(
                404,
                "no handler for route \"secret/data/a\". route entry not found.",
            ),
            ErrorKind::NoSuchMount,
        ),
        (refused(404, "namespace not found"), ErrorKind::NoSuchMount),
        (
            refused(403, "1 error occurred:\n\t* permission denied\n\n"),
            ErrorKind::Forbidden,
        ),
        (refused(503, "Vault is sealed"), ErrorKind::Sealed),
        (
            ResponseTemplate::new(400)
                .set_body_string("Client sent an HTTP request to an HTTPS server."),
            ErrorKind::Rejected,
        ),
    ];
    for (answer, kind) in cases {
        let server = always(answer).await;

        let error = kv(&server).read("a").await.unwrap_err();

        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(count(&server).await, 1, "{error}");
        assert!(!format!("{error} {error:?}").contains("s.canary"));
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(
            ResponseTemplate::new(429)
                .insert_header("retry-after", "1")
                .set_body_json(json!({"errors": []})),
        )
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(secret(json!({"k": "v"}), 1))
        .mount(&server)
        .await;
    let began = std::time::Instant::now();

    kv(&server).read("a").await.unwrap();

    assert!(began.elapsed() >= Duration::from_millis(950));
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn a_write_that_may_have_taken_effect_is_not_sent_again_and_a_read_is() {
    let server = always(refused(500, "internal error")).await;

    let write = kv(&server)
        .create("a", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert_eq!(count(&server).await, 1);
    let read = kv(&server).read("a").await.unwrap_err();

    assert!(write.may_have_taken_effect());
    assert_eq!(read.kind(), ErrorKind::Server);
    assert_eq!(count(&server).await, 5);
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let server = always(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;

    let error = kv(&server)
        .create("a", &values(&[("k", "v")]))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_redirect_to_the_active_node_is_followed_once_with_method_and_body() {
    let active = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/secret/data/a"))
        .and(header("x-vault-token", "s.canary"))
        .and(body_json(
            json!({"options": {"cas": 0}, "data": {"k": "v"}}),
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(envelope(version(1))))
        .expect(1)
        .mount(&active)
        .await;
    let location = format!("{}/v1/secret/data/a", active.uri());
    let standby = always(ResponseTemplate::new(307).insert_header("location", location)).await;

    kv(&standby)
        .create("a", &values(&[("k", "v")]))
        .await
        .unwrap();

    let looping =
        always(ResponseTemplate::new(307).insert_header("location", "/v1/secret/data/a")).await;
    let error = kv(&looping)
        .create("a", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Standby);
}

#[tokio::test]
async fn the_index_of_a_write_goes_with_the_next_read() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("x-vault-index", "aW5kZXg=")
                .set_body_json(envelope(version(1))),
        )
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(header("x-vault-index", "aW5kZXg="))
        .respond_with(secret(json!({"k": "v"}), 1))
        .expect(1)
        .mount(&server)
        .await;
    let kv = kv(&server);

    kv.create("a", &values(&[("k", "v")])).await.unwrap();

    assert!(kv.read("a").await.is_ok());
}

#[tokio::test]
async fn a_list_uses_the_portable_form_and_an_empty_folder_is_empty() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/secret/metadata/talos"))
        .and(query_param("list", "true"))
        .and(header_exists("x-vault-token"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(envelope(json!({"keys": ["a", "b/"]}))),
        )
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(absent())
        .mount(&server)
        .await;
    let kv = kv(&server);

    assert_eq!(kv.list("talos/").await.unwrap(), ["a", "b/"]);
    assert!(kv.list("empty").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_too_large_for_raft_is_not_even_sent() {
    let server = always(absent()).await;
    let large = "x".repeat(1_000_000);

    let error = kv(&server)
        .create("a", &values(&[("k", &large)]))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(count(&server).await, 0);
}
