//! Logins by single sign-on against the mock and an identity provider.

use std::time::Duration;

use argocd_client::mock::ArgoCdMock;
use argocd_client::oidc::OidcTokens;
use argocd_client::{Client, Credentials, ErrorKind};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer};

use super::{ok, server};

/// An identity provider and an Argo CD that names it.
async fn with_provider() -> (ArgoCdMock, MockServer) {
    let provider = server().await;
    let description = json!({
        "authorization_endpoint": format!("{}/authorize", provider.uri()),
        "token_endpoint": format!("{}/token", provider.uri()),
        "scopes_supported": ["openid", "offline_access"], "response_types_supported": ["code"],
    });
    Mock::given(path("/.well-known/openid-configuration"))
        .respond_with(ok(description))
        .mount(&provider)
        .await;
    let argocd = ArgoCdMock::builder()
        .oidc(json!({
            "name": "SSO", "issuer": provider.uri(), "clientID": "argocd", "cliClientID": "argocd-cli",
            "idTokenClaims": {"groups": {"essential": true}},
        }))
        .start()
        .await;
    (argocd, provider)
}

fn query(url: &url::Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found
        .unwrap_or_else(|| panic!("{name} in {url}"))
        .1
        .into_owned()
}

/// What a browser does at the end of a login; the status of the answer.
async fn come_back(redirect: &str, query: &str) -> String {
    let url: url::Url = redirect.parse().unwrap();
    let mut browser = TcpStream::connect(("127.0.0.1", url.port().unwrap()))
        .await
        .unwrap();
    let request = format!(
        "GET {}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        url.path()
    );
    browser.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    browser.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_login_by_single_sign_on_comes_back_to_the_local_port() {
    let (argocd, provider) = with_provider().await;
    let token = argocd.token().expose_secret().to_owned();
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("grant_type=authorization_code"))
        .and(body_string_contains("code_verifier="))
        .and(body_string_contains("client_id=argocd-cli"))
        .respond_with(ok(json!({"id_token": token, "refresh_token": "r1"})))
        .mount(&provider)
        .await;
    let anonymous = Client::builder(argocd.endpoint(), Credentials::anonymous())
        .build()
        .unwrap();

    let login = anonymous.oidc_login().port(0).start().await.unwrap();
    let url = login.url().clone();
    let (redirect, state) = (query(&url, "redirect_uri"), query(&url, "state"));
    let browser = async {
        let forged = come_back(&redirect, "code=x&state=forged").await;
        let real = come_back(&redirect, &format!("code=c&state={state}")).await;
        (forged, real)
    };
    let (tokens, answers) = tokio::join!(login.finish(Duration::from_secs(10)), browser);
    let tokens = tokens.unwrap();
    let client = Client::builder(argocd.endpoint(), Credentials::oidc(tokens.clone()))
        .build()
        .unwrap();

    assert_eq!(answers, ("400".to_owned(), "200".to_owned()));
    assert_eq!(
        query(&url, "scope"),
        "openid profile email groups offline_access"
    );
    assert_eq!(query(&url, "code_challenge_method"), "S256");
    assert_eq!(
        query(&url, "claims"),
        r#"{"id_token":{"groups":{"essential":true}}}"#
    );
    assert!(tokens.can_refresh());
    assert!(client.user_info().await.unwrap().logged_in);
}

/// A client that goes on with an access token that has expired, and the refresh token `r1`.
async fn with_an_expired_login(argocd: &ArgoCdMock) -> (Client, OidcTokens) {
    let client = |credentials| {
        let builder = Client::builder(argocd.endpoint(), credentials);
        builder.build().unwrap()
    };
    let login = client(Credentials::anonymous()).oidc_login();
    let resumed = login.resume("eyJh.eyJz.b2xk".into(), Some("r1".into()));
    let tokens = resumed.await.unwrap();
    (client(Credentials::oidc(tokens.clone())), tokens)
}

#[tokio::test]
async fn an_expired_login_is_refreshed_once() {
    let (argocd, provider) = with_provider().await;
    let token = argocd.token().expose_secret().to_owned();
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("refresh_token=r1"))
        .respond_with(ok(json!({"id_token": token, "refresh_token": "r2"})))
        .expect(1)
        .mount(&provider)
        .await;
    let (client, tokens) = with_an_expired_login(&argocd).await;

    client.clusters().list().await.unwrap();
    client.clusters().list().await.unwrap();

    assert_eq!(tokens.refresh_token().await.unwrap().expose_secret(), "r2");
}

#[tokio::test]
async fn a_refused_refresh_asks_for_a_new_login() {
    let (argocd, provider) = with_provider().await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .respond_with(
            wiremock::ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"})),
        )
        .mount(&provider)
        .await;
    let (client, _tokens) = with_an_expired_login(&argocd).await;

    let error = client.clusters().list().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("log in again"), "{error}");
}

#[tokio::test]
async fn a_pasted_address_finishes_a_login_without_a_listener() {
    let (argocd, provider) = with_provider().await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .respond_with(ok(json!({"id_token": "eyJh.eyJz.c2ln"})))
        .mount(&provider)
        .await;
    let anonymous = Client::builder(argocd.endpoint(), Credentials::anonymous())
        .build()
        .unwrap();
    let start = || anonymous.oidc_login().without_listener().start();

    let login = start().await.unwrap();
    let state = query(login.url(), "state");
    let pasted = format!("http://localhost:8085/auth/callback?code=c&state={state}\n");
    let tokens = login.finish_with(&pasted).await.unwrap();
    let foreign = start()
        .await
        .unwrap()
        .finish_with(&pasted)
        .await
        .unwrap_err();
    let refused = start().await.unwrap();
    let state = query(refused.url(), "state");
    let refused = refused
        .finish_with(&format!("?error=access_denied&state={state}"))
        .await
        .unwrap_err();

    assert!(!tokens.can_refresh());
    assert_eq!(foreign.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_server_without_single_sign_on_says_so() {
    let argocd = ArgoCdMock::start().await;
    let anonymous = Client::builder(argocd.endpoint(), Credentials::anonymous())
        .build()
        .unwrap();

    let error = anonymous.oidc_login().port(0).start().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
