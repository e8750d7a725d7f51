//! Tokens, logins, renewals.

use proxmox_client::ErrorKind;
use proxmox_client::credentials::{ApiToken, Password};
use proxmox_client::mock::{Acl, PveMock, Route};
use proxmox_client::vm::VmSpec;
use serde_json::json;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{node, poll, vm_id};

async fn with_user() -> PveMock {
    PveMock::builder()
        .user("root@pam", "hunter2 & more", Acl::administrator())
        .start()
        .await
}

fn logged_in(mock: &PveMock, password: &str) -> proxmox_client::Client {
    let login = Password::new("root@pam", password.to_owned().into()).unwrap();
    mock.client_builder(login).build().unwrap()
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_ticket_once() {
    let mock = with_user().await;
    let client = logged_in(&mock, "hunter2 & more");

    client.version().await.unwrap();
    client.nodes().await.unwrap();

    mock.assert_called(Route::LogIn, 1);
    assert!(!format!("{:?}", mock.calls()).contains("hunter2"));
}

#[tokio::test]
async fn a_change_carries_the_csrf_token() {
    let mock = with_user().await;
    let client = logged_in(&mock, "hunter2 & more");

    let task = client
        .node(node())
        .create_vm(&VmSpec::new(vm_id(), "tal01"))
        .await
        .unwrap();

    task.wait(poll()).await.unwrap();
}

#[tokio::test]
async fn an_expired_ticket_leads_to_one_new_login() {
    let mock = with_user().await;
    let client = logged_in(&mock, "hunter2 & more");
    client.version().await.unwrap();

    mock.expire_tickets();
    client.version().await.unwrap();

    mock.assert_called(Route::LogIn, 2);
}

#[tokio::test]
async fn concurrent_calls_share_one_login() {
    let mock = with_user().await;
    let client = logged_in(&mock, "hunter2 & more");

    let results = futures_util::future::join_all((0..8).map(|_| client.version())).await;

    assert!(results.iter().all(Result::is_ok));
    mock.assert_called(Route::LogIn, 1);
}

#[tokio::test]
async fn a_wrong_password_or_token_is_unauthenticated_and_asked_once() {
    let mock = with_user().await;
    let error = logged_in(&mock, "wrong").version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(error.message(), "authentication failure");
    mock.assert_called(Route::LogIn, 1);

    let token = ApiToken::new(mock.token_id(), "wrong".into()).unwrap();
    let client = mock.client_builder(token).build().unwrap();
    let error = client.version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(error.message(), "Authentication failed!");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_second_factor_is_answered_with_the_challenge() {
    let server = MockServer::start().await;
    let challenge = "PVE:!tfa!%7B%22totp%22%3Atrue%7D:66A1B2C3::c2ln";
    let ticket = |ticket: &str, tfa: u8| {
        ResponseTemplate::new(200).set_body_json(json!({ "data": {
            "username": "root@pam", "ticket": ticket, "CSRFPreventionToken": "x:y", "NeedTFA": tfa,
        }}))
    };
    Mock::given(path("/api2/json/access/ticket"))
        .and(body_string_contains(
            "tfa-challenge=PVE%3A%21tfa%21%257B%2522",
        ))
        .and(body_string_contains("password=totp%3A123456"))
        .respond_with(ticket("PVE:root@pam:66A1B2C4::c2ln", 0))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path("/api2/json/access/ticket"))
        .respond_with(ticket(challenge, 1))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(wiremock::matchers::header(
            "cookie",
            "PVEAuthCookie=PVE%3Aroot%40pam%3A66A1B2C4%3A%3Ac2ln",
        ))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "data": { "version": "9.1" } })),
        )
        .mount(&server)
        .await;
    let login = || Password::new("root@pam", "pw".into()).unwrap();

    let with_code = login().totp("123456".into());
    let client = super::builder_with(&server.uri(), with_code)
        .build()
        .unwrap();
    client.version().await.unwrap();

    let without = super::builder_with(&server.uri(), login()).build().unwrap();
    let error = without.version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("second factor"), "{error}");
}
