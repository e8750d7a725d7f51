//! What every request has in common.

use std::time::Duration;

use argocd_client::{Client, Credentials, ErrorKind, RetryPolicy, TlsTrust};
use http::Method;
use serde_json::json;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::{TOKEN, client, none, ok, patient, refusal, requests, server, url};

#[tokio::test]
async fn a_read_carries_the_token_and_asks_for_json() {
    let server = server().await;
    Mock::given(method("GET"))
        .and(path("/api/version"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .and(header("accept", "application/json"))
        .respond_with(ok(
            json!({"Version": "v3.0.6+db93798", "Platform": "linux/amd64"}),
        ))
        .mount(&server)
        .await;

    let version = client(&server).version().await.unwrap();

    assert_eq!(version.number(), Some((3, 0, 6)));
    let agent = server.received_requests().await.unwrap()[0].headers["user-agent"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(agent.starts_with("lungmen-argocd/"), "{agent}");
}

#[tokio::test]
async fn every_write_has_exactly_the_content_type_that_the_server_compares() {
    let server = server().await;
    Mock::given(path("/api/v1/x"))
        .respond_with(ok(json!({})))
        .mount(&server)
        .await;

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        client(&server)
            .raw(method, "/api/v1/x", &[], None)
            .await
            .unwrap();
    }

    for request in server.received_requests().await.unwrap() {
        assert_eq!(
            request.headers["content-type"], "application/json",
            "{}",
            request.method
        );
    }
}

#[tokio::test]
async fn a_root_path_comes_before_the_api() {
    let server = server().await;
    Mock::given(path("/argocd/api/version"))
        .respond_with(ok(json!({"Version": "v3.5.1"})))
        .mount(&server)
        .await;

    let client = Client::builder(
        url(&format!("{}/argocd/", server.uri())),
        Credentials::Anonymous,
    )
    .retry(RetryPolicy::never())
    .build()
    .unwrap();

    assert_eq!(client.version().await.unwrap().version, "v3.5.1");
}

#[tokio::test]
async fn html_with_status_200_is_not_an_argo_cd_api() {
    let server = server().await;
    let page = ResponseTemplate::new(200).set_body_raw("<html></html>", "text/html");
    Mock::given(path("/api/version"))
        .respond_with(page)
        .mount(&server)
        .await;

    let error = client(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotArgoCd);
    assert!(error.message().contains("text/html"));
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let server = server().await;
    let redirect = ResponseTemplate::new(307).insert_header(
        "location",
        "https://argocd.example.com/api/version?x=canary",
    );
    Mock::given(path("/api/version"))
        .respond_with(redirect)
        .expect(1)
        .mount(&server)
        .await;

    let error = client(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Redirected);
    assert!(
        error
            .message()
            .contains("https://argocd.example.com/api/version;")
    );
    assert!(!error.to_string().contains("canary"));
}

#[tokio::test]
async fn reads_are_repeated_and_unsafe_writes_are_not() {
    let server = server().await;
    Mock::given(path("/api/v1/x"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;

    let read = patient(&server)
        .raw(Method::GET, "/api/v1/x", &[], None)
        .await
        .unwrap_err();
    let write = patient(&server)
        .raw(Method::POST, "/api/v1/x", &[], None)
        .await
        .unwrap_err();

    assert_eq!(read.kind(), ErrorKind::Unavailable);
    assert!(write.may_have_taken_effect());
    let sent = requests(&server).await;
    assert_eq!(
        sent.iter().filter(|line| line.starts_with("GET")).count(),
        3
    );
    assert_eq!(
        sent.iter().filter(|line| line.starts_with("POST")).count(),
        1
    );
}

#[tokio::test]
async fn a_transient_failure_is_survived() {
    let server = server().await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(ResponseTemplate::new(502))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;

    assert!(patient(&server).clusters().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_attempts() {
    let server = server().await;
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "3600");
    Mock::given(path("/api/version"))
        .respond_with(busy)
        .mount(&server)
        .await;

    let error = patient(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn a_slow_answer_times_out() {
    let server = server().await;
    let slow = ok(json!({})).set_delay(Duration::from_secs(5));
    Mock::given(path("/api/version"))
        .respond_with(slow)
        .mount(&server)
        .await;

    let error = client(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn nobody_listening_is_a_connection_failure() {
    let client = Client::builder(url("http://127.0.0.1:1"), Credentials::Anonymous)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();

    let error = client.version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_described_and_not_quoted() {
    let server = server().await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(ok(json!(["canary"])))
        .mount(&server)
        .await;

    let error = client(&server).clusters().list().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn a_missing_endpoint_is_unsupported() {
    let server = server().await;
    let not_found = ResponseTemplate::new(404).set_body_string("Not Found");
    Mock::given(path("/api/v1/stream/applicationsets"))
        .respond_with(not_found)
        .mount(&server)
        .await;

    let error = client(&server)
        .raw(Method::GET, "/api/v1/stream/applicationsets", &[], None)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.status().unwrap().as_u16(), 404);
}

#[tokio::test]
async fn rights_are_asked_with_a_star_and_never_with_a_url() {
    let server = server().await;
    Mock::given(path("/api/v1/account/can-i/clusters/create/*"))
        .respond_with(ok(json!({"value": "yes"})))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/account/can-i/clusters/delete/*"))
        .respond_with(ok(json!({"value": "no"})))
        .mount(&server)
        .await;
    let client = client(&server);

    assert!(client.can_i("clusters", "create", "*").await.unwrap());
    assert!(!client.can_i("clusters", "delete", "*").await.unwrap());
    let error = client
        .can_i("clusters", "create", "https://h:6443")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_raw_request_encodes_its_query_and_stays_below_the_api() {
    let server = server().await;
    Mock::given(path("/api/v1/repositories"))
        .and(query_param("repo", "https://g/r.git"))
        .respond_with(none())
        .mount(&server)
        .await;
    let client = client(&server);

    client
        .raw(
            Method::GET,
            "/api/v1/repositories",
            &[("repo", "https://g/r.git")],
            None,
        )
        .await
        .unwrap();

    assert_eq!(
        requests(&server).await,
        ["GET /api/v1/repositories?repo=https%3A%2F%2Fg%2Fr.git"]
    );
    for bad in ["/download/x", "/api/v1//x", "/api/v1/x?y"] {
        assert_eq!(
            client
                .raw(Method::GET, bad, &[], None)
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::InvalidInput,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn additional_headers_are_sent_and_not_shown() {
    let server = server().await;
    Mock::given(header("x-proxy-key", "canary"))
        .respond_with(ok(json!({})))
        .mount(&server)
        .await;

    let builder = Client::builder(url(&server.uri()), Credentials::Anonymous)
        .header("X-Proxy-Key", "canary")
        .retry(RetryPolicy::never());
    builder.build().unwrap().version().await.unwrap();
}

#[test]
fn bad_settings_are_refused_when_the_client_is_built() {
    let kinds = [
        Client::builder(url("ftp://host"), Credentials::Anonymous).build(),
        Client::builder(url("https://host"), Credentials::token("no jwt")).build(),
        Client::builder(url("https://host"), Credentials::Anonymous)
            .header("bad name", "x")
            .build(),
        Client::builder(url("https://host"), Credentials::Anonymous)
            .trust(TlsTrust::Authorities(Vec::new()))
            .build(),
    ]
    .map(|result| result.unwrap_err().kind());

    assert_eq!(kinds, [ErrorKind::Configuration; 4]);
}

#[tokio::test]
async fn a_refused_right_keeps_the_words_of_the_server() {
    let server = server().await;
    let text = "permission denied: clusters, create, https://10.5.0.2:6443, sub: ci, iat: 2026-01-01T00:00:00Z";
    Mock::given(path("/api/v1/x"))
        .respond_with(refusal(403, 7, text))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/session/userinfo"))
        .respond_with(ok(json!({"loggedIn": true, "username": "ci"})))
        .mount(&server)
        .await;

    let error = client(&server)
        .raw(Method::GET, "/api/v1/x", &[], None)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.message(), text);
}

#[tokio::test]
async fn settings_are_read_with_absent_and_null_fields() {
    let server = server().await;
    let settings = json!({"url": "https://argocd.example.com", "appsInAnyNamespaceEnabled": true, "kustomizeOptions": null, "help": {}});
    Mock::given(path("/api/v1/settings"))
        .respond_with(ok(settings))
        .mount(&server)
        .await;

    let settings = client(&server).settings().await.unwrap();

    assert!(settings.apps_in_any_namespace_enabled);
    assert!(!settings.user_logins_disabled);
}
