//! Logins and the server's own state, against hand-written answers.

use lungmen_bootstrap::openbao::Credentials;
use lungmen_bootstrap::services::ErrorKind;
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::openbao::{always, client_with, refused, secret};

#[tokio::test]
async fn each_login_sends_what_its_method_wants() {
    let logins = [
        (
            Credentials::app_role("role", "canary".into()),
            "/v1/auth/approle/login",
            json!({"role_id": "role", "secret_id": "canary"}),
        ),
        (
            Credentials::password("alice", "canary".into()),
            "/v1/auth/userpass/login/alice",
            json!({"password": "canary"}),
        ),
        (
            Credentials::jwt("boot", "canary".into()),
            "/v1/auth/jwt/login",
            json!({"role": "boot", "jwt": "canary"}),
        ),
        (
            Credentials::kubernetes("boot", "canary".into()),
            "/v1/auth/kubernetes/login",
            json!({"role": "boot", "jwt": "canary"}),
        ),
    ];
    for (credentials, endpoint, body) in logins {
        let server = MockServer::start().await;
        let auth = json!({"auth": {"client_token": "s.session", "mfa_requirement": null}});
        Mock::given(method("POST"))
            .and(path(endpoint))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(200).set_body_json(auth))
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(header("x-vault-token", "s.session"))
            .respond_with(secret(json!({"k": "v"}), 1))
            .mount(&server)
            .await;
        Mock::given(path("/v1/auth/token/revoke-self"))
            .and(header("x-vault-token", "s.session"))
            .respond_with(ResponseTemplate::new(204))
            .expect(1)
            .mount(&server)
            .await;
        let client = client_with(&server.uri(), credentials);

        client.kv("secret").read("a").await.unwrap();
        client.logout().await.unwrap();
        client.logout().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_login_is_unauthenticated() {
    let server = always(refused(400, "invalid role or secret ID")).await;
    let client = client_with(
        &server.uri(),
        Credentials::app_role("role", "canary".into()),
    );

    let error = client.login().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(error.message(), "invalid role or secret ID");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn health_is_read_whatever_the_status_says() {
    let states = [
        (
            200,
            json!({"initialized": true, "sealed": false, "standby": false, "version": "2.7.2", "cluster_name": "c"}),
        ),
        (
            429,
            json!({"initialized": true, "sealed": false, "standby": true, "version": "2.7.2", "cluster_name": "c"}),
        ),
        (
            503,
            json!({"initialized": true, "sealed": true, "standby": true, "version": "2.7.2"}),
        ),
        (
            501,
            json!({"initialized": false, "sealed": true, "standby": true, "version": "2.7.2"}),
        ),
    ];
    for (status, body) in states {
        let server = always(ResponseTemplate::new(status).set_body_json(&body)).await;
        let client = client_with(&server.uri(), Credentials::token("s.canary".into()));

        let health = client.health().await.unwrap();

        assert_eq!(health.is_usable(), status == 200 || status == 429);
        let request = &server.received_requests().await.unwrap()[0];
        assert!(!request.headers.contains_key("x-vault-token"));
    }
}
