//! Every operation: the exact request, the decoded answer, a refusal, a timeout.

use std::time::Duration;

use proxmox_client::ErrorKind;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::operation_table::{Operation, operations};
use super::{TOKEN, builder, client};

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn every_operation_sends_exactly_this_and_decodes_the_answer() {
    for operation in operations() {
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "data": operation.answer }));
        let server = server(answer).await;

        let returned = (operation.call)(client(&server.uri())).await;

        let returned = returned.unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        assert!(
            returned.contains(operation.returns),
            "{}: {returned}",
            operation.name
        );
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1, "{}", operation.name);
        let request = &requests[0];
        let (method, path, body) = operation.request;
        let query = request
            .url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        assert_eq!(request.method.as_str(), method, "{}", operation.name);
        assert_eq!(
            format!("{}{query}", request.url.path()),
            format!("/api2/json{path}"),
            "{}",
            operation.name
        );
        assert_eq!(
            String::from_utf8_lossy(&request.body),
            body,
            "{}",
            operation.name
        );
        assert_eq!(request.headers["authorization"], TOKEN);
        assert_eq!(request.headers["accept"], "application/json");
        assert!(!request.headers.contains_key("cookie"));
    }
}

#[tokio::test]
async fn every_operation_reports_a_refusal_with_path_and_privilege() {
    let refusal =
        json!({ "data": null, "message": "Permission check failed (/vms/1, VM.Audit)\n" });
    let server = server(ResponseTemplate::new(403).set_body_json(refusal)).await;

    for operation in operations() {
        let error = (operation.call)(client(&server.uri())).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Forbidden, "{}", operation.name);
        assert_eq!(
            error.missing_permissions()[0].path,
            "/vms/1",
            "{}",
            operation.name
        );
        assert!(!error.may_have_taken_effect(), "{}", operation.name);
        assert!(!error.operation().is_empty(), "{}", operation.name);
    }
}

#[tokio::test]
async fn every_operation_times_out_and_only_reading_is_repeated() {
    // The guest agent has a longer limit of its own.
    let timed = operations()
        .into_iter()
        .filter(|operation| !operation.request.1.contains("/agent/"));

    futures_util::future::join_all(timed.map(times_out)).await;
}

async fn times_out(operation: Operation) {
    let server = server(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let impatient = builder(&server.uri())
        .timeout(Duration::from_millis(700))
        .retry(super::quick().attempts(2))
        .build()
        .unwrap();

    let error = (operation.call)(impatient).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", operation.name);
    assert!(error.may_have_taken_effect());
    let sent = server.received_requests().await.unwrap().len();
    let expected = if operation.request.0 == "GET" { 2 } else { 1 };
    assert_eq!(sent, expected, "{}", operation.name);
}

#[tokio::test]
async fn an_answer_of_another_shape_is_described_but_not_quoted() {
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "data": { "canary": [] } }));
    let server = server(answer).await;

    let error = client(&server.uri()).nodes().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error} {error:?}").contains("canary"));
}
