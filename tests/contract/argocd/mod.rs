//! Contract tests of the Argo CD client.

mod applications;
mod clusters;
mod command_line;
mod dead_credentials;
mod faults;
mod grpc;
mod mock;
mod operations;
mod pod_logs;
mod recorded;
mod registration;
mod rights;
mod server_side_diff;
mod session;
mod single_sign_on;
mod transport;
mod typed;
mod wait;
mod wait_stream;
mod watch;

use std::time::Duration;

use argocd_client::cluster::{ClusterSpec, ServerUrl};
use argocd_client::{Client, Credentials, RetryPolicy};
use serde_json::{Value, json};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A token in the only form that the server looks at.
pub(super) const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbjpsb2dpbiJ9.c2ln";
pub(super) const SERVER: &str = "https://10.5.0.2:6443";
pub(super) const CA: &str = include_str!("../../data/argocd/ca.pem");

/// A scripted server: every test mounts what it expects, anything else is named in the failure.
pub(super) async fn server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(Unexpected)
        .with_priority(250)
        .mount(&server)
        .await;
    server
}

struct Unexpected;

impl Respond for Unexpected {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        ResponseTemplate::new(418)
            .set_body_string(format!("unexpected {} {}", request.method, request.url))
    }
}

/// A client of the scripted server: one attempt of a quarter of a second.
pub(super) fn client(server: &MockServer) -> Client {
    Client::builder(url(&server.uri()), Credentials::token(TOKEN))
        .retry(RetryPolicy::never())
        .timeout(Duration::from_millis(250))
        .cluster_timeout(Duration::from_millis(250))
        .build()
        .unwrap()
}

/// The same client, with three attempts and short delays.
pub(super) fn patient(server: &MockServer) -> Client {
    Client::builder(url(&server.uri()), Credentials::token(TOKEN))
        .retry(
            RetryPolicy::default()
                .attempts(3)
                .delays(Duration::from_millis(1), Duration::from_millis(2)),
        )
        .timeout(Duration::from_millis(250))
        .cluster_timeout(Duration::from_millis(250))
        .build()
        .unwrap()
}

pub(super) fn url(text: &str) -> url::Url {
    text.parse().unwrap()
}

/// Lets the account see every object, or only some, where the client asks.
pub(super) async fn rights(server: &MockServer, object: &str, allowed: bool) {
    let value = if allowed { "yes" } else { "no" };
    Mock::given(path(format!("/api/v1/account/can-i/{object}")))
        .respond_with(ok(json!({"value": value})))
        .mount(server)
        .await;
    Mock::given(path("/api/v1/session/userinfo"))
        .respond_with(ok(json!({"loggedIn": true})))
        .mount(server)
        .await;
}

pub(super) fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A rejection in the shape of the gateway.
pub(super) fn refusal(status: u16, code: i64, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(json!({"error": message, "code": code, "message": message}))
}

pub(super) fn cluster_server() -> ServerUrl {
    ServerUrl::parse(SERVER).unwrap()
}

pub(super) fn spec() -> ClusterSpec {
    ClusterSpec::new("lungmen", cluster_server(), "TOKEN".into(), CA).label("environment", "prod")
}

/// What the server shows right after a registration.
pub(super) fn shown_cluster() -> Value {
    json!({
        "server": SERVER, "name": "lungmen", "config": {"tlsClientConfig": {"insecure": false}},
        "connectionState": {"status": "Successful", "message": "", "attemptedAt": "2025-08-20T10:00:00Z"},
        "serverVersion": "v1.33.4",
        "info": {
            "connectionState": {"status": "Successful", "message": "", "attemptedAt": "2025-08-20T10:00:00Z"},
            "serverVersion": "v1.33.4", "cacheInfo": {}, "applicationsCount": 0,
        },
        "labels": {"environment": "prod"},
    })
}

pub(super) fn items(items: &[Value]) -> ResponseTemplate {
    ok(json!({"metadata": {}, "items": items}))
}

pub(super) fn none() -> ResponseTemplate {
    ok(json!({"metadata": {}, "items": null}))
}

/// Method, path and query of every request, in order.
pub(super) async fn requests(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let line = |request: &Request| {
        let query = request
            .url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        format!("{} {}{query}", request.method, request.url.path())
    };
    requests.iter().map(line).collect()
}

/// The body of the only request with this method.
pub(super) async fn body_of(server: &MockServer, method: &str) -> Value {
    let requests = server.received_requests().await.unwrap();
    let found = requests
        .iter()
        .find(|request| request.method.as_str() == method)
        .unwrap();
    serde_json::from_slice(&found.body).unwrap()
}
