//! Logging in, losing the session, and getting a new one.

use std::time::Duration;

use argocd_client::mock::{ArgoCdMock, Fault, Route};
use argocd_client::{Client, Credentials, ErrorKind, RetryPolicy};
use secrecy::ExposeSecret;
use serde_json::json;
use wiremock::Mock;
use wiremock::matchers::{body_json, header, method, path};

use super::{TOKEN, client, none, ok, refusal, requests, server, url};

fn with_password(endpoint: impl AsRef<str>, password: &str) -> Client {
    Client::builder(
        url(endpoint.as_ref()),
        Credentials::password("admin", password),
    )
    .retry(RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(2)))
    .build()
    .unwrap()
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_once() {
    let server = server().await;
    Mock::given(method("POST"))
        .and(path("/api/v1/session"))
        .and(body_json(
            json!({"username": "admin", "password": "secret"}),
        ))
        .respond_with(ok(json!({"token": TOKEN})))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/clusters"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(none())
        .expect(2)
        .mount(&server)
        .await;
    let client = with_password(server.uri(), "secret");

    client.clusters().list().await.unwrap();
    client.clone().clusters().list().await.unwrap();
}

#[tokio::test]
async fn a_refused_login_is_not_repeated() {
    let server = server().await;
    let refused = refusal(401, 16, "Invalid username or password");
    Mock::given(path("/api/v1/session"))
        .respond_with(refused)
        .expect(1)
        .mount(&server)
        .await;

    let error = with_password(server.uri(), "wrong")
        .clusters()
        .list()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!((error.operation(), error.target()), ("log in", "admin"));
    assert!(!format!("{error:?}").contains("wrong"));
}

#[tokio::test]
async fn a_lost_session_is_replaced_and_the_request_repeated() {
    let argocd = ArgoCdMock::builder()
        .account("admin", "secret")
        .start()
        .await;
    let client = with_password(argocd.endpoint(), "secret");
    client.clusters().list().await.unwrap();

    argocd.expire_sessions();
    client.clusters().list().await.unwrap();

    argocd.assert_called(Route::Login, 2);
    argocd.assert_called(Route::ClusterList, 3);
}

#[tokio::test]
async fn an_invalid_token_cannot_be_replaced() {
    let argocd = ArgoCdMock::start().await;
    let client = argocd.client();
    argocd.revoke_all_tokens();

    let error = client.clusters().list().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().starts_with("invalid session"));
    argocd.assert_called(Route::ClusterList, 1);
}

#[tokio::test]
async fn a_session_that_the_server_renews_is_adopted() {
    let argocd = ArgoCdMock::builder()
        .account("admin", "secret")
        .session_duration(Duration::from_secs(60))
        .start()
        .await;
    let client = with_password(argocd.endpoint(), "secret");

    for _ in 0..3 {
        client.clusters().list().await.unwrap();
    }

    argocd.assert_called(Route::Login, 1);
}

#[tokio::test]
async fn a_renewed_token_is_used_by_the_next_request() {
    let server = server().await;
    let renewed = "eyJhbGciOiJIUzI1NiJ9.bmV3.c2ln";
    Mock::given(path("/api/v1/clusters"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(none().insert_header("grpc-metadata-renew-token", renewed))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/clusters"))
        .and(header("authorization", format!("Bearer {renewed}")))
        .respond_with(none())
        .expect(1)
        .mount(&server)
        .await;
    let client = client(&server);

    client.clusters().list().await.unwrap();
    client.clusters().list().await.unwrap();
}

#[tokio::test]
async fn a_403_for_anonymous_is_a_lost_session() {
    let argocd = ArgoCdMock::builder().anonymous_access().start().await;
    let client = argocd.client();
    argocd.revoke_all_tokens();

    let error = client.projects().project("default").await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("anonymous"));
}

#[tokio::test]
async fn a_401_of_the_cluster_does_not_cost_the_session() {
    let argocd = ArgoCdMock::builder()
        .account("admin", "secret")
        .target_check(async |_| {
            Err("the server has asked for the client to provide credentials".to_owned())
        })
        .start()
        .await;
    let client = with_password(argocd.endpoint(), "secret");

    let error = client
        .clusters()
        .register(&super::spec())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TargetUnauthenticated);
    argocd.assert_called(Route::Login, 1);
    argocd.assert_called(Route::ClusterCreate, 1);
}

#[tokio::test]
async fn the_token_can_travel_as_grpc_metadata() {
    let server = server().await;
    Mock::given(header("grpc-metadata-token", TOKEN))
        .respond_with(none())
        .mount(&server)
        .await;
    let client = Client::builder(url(&server.uri()), Credentials::token(TOKEN))
        .token_as_grpc_metadata()
        .retry(RetryPolicy::never())
        .build()
        .unwrap();

    client.clusters().list().await.unwrap();

    let request = &server.received_requests().await.unwrap()[0];
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_session_is_probed_without_an_error() {
    let argocd = ArgoCdMock::start().await;
    let client = argocd.client();

    let info = client.user_info().await.unwrap();
    assert!(info.logged_in);
    assert_eq!(info.username, "ci");

    argocd.revoke_all_tokens();
    assert!(!client.user_info().await.unwrap().logged_in);
}

#[tokio::test]
async fn no_token_is_shown_by_the_client_or_its_errors() {
    let argocd = ArgoCdMock::start().await;
    argocd.fail_always(Route::ClusterList, Fault::Disconnect);
    let client = argocd.client();

    let error = client.clusters().list().await.unwrap_err();

    let shown = format!("{client:?} {error} {error:?}");
    assert!(!shown.contains(argocd.token().expose_secret()));
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn an_anonymous_client_learns_the_version_only() {
    let server = server().await;
    Mock::given(path("/api/version"))
        .respond_with(ok(json!({"Version": "v3.5.1"})))
        .mount(&server)
        .await;
    let client = Client::builder(url(&server.uri()), Credentials::Anonymous)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();

    let version = client.version().await.unwrap();

    assert_eq!(
        (version.version.as_str(), version.platform.as_str()),
        ("v3.5.1", "")
    );
    assert_eq!(requests(&server).await, ["GET /api/version"]);
}
