//! Following applications over the stream.

use std::pin::pin;
use std::time::Duration;

use argocd_client::application::{ApplicationEvent, ApplicationFilter, WatchRequest};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Fault, Route, faults};
use futures_util::{Stream, StreamExt};
use serde_json::json;
use wiremock::matchers::{header, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::{client, ok, server};

fn fast() -> WatchRequest {
    WatchRequest::new().reconnect_delays(Duration::from_millis(1), Duration::from_millis(2))
}

/// The next event in words, within five seconds.
async fn next(
    events: &mut (impl Stream<Item = argocd_client::Result<ApplicationEvent>> + Unpin),
) -> String {
    let event = tokio::time::timeout(Duration::from_secs(5), events.next())
        .await
        .expect("an event in time");
    match event {
        Some(Ok(ApplicationEvent::Listed(all))) => format!("listed {}", all.len()),
        Some(Ok(ApplicationEvent::Applied(app))) => {
            format!("applied {} {}", app.metadata.name, app.status.health.status)
        }
        Some(Ok(ApplicationEvent::Deleted(app))) => format!("deleted {}", app.metadata.name),
        Some(Ok(other)) => format!("{other:?}"),
        Some(Err(error)) => format!("error {:?}", error.kind()),
        None => "end".to_owned(),
    }
}

#[tokio::test]
async fn a_watch_lists_first_and_then_follows() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(
        ApplicationSeed::new("old")
            .on_cluster("in-cluster")
            .delays(Duration::from_secs(60), Duration::ZERO),
    );
    let mut events = pin!(argocd.client().applications().watch(fast()));
    assert_eq!(next(&mut events).await, "listed 1");

    // The stream opens only with its first event, so it is made until one arrives.
    let change = async {
        loop {
            argocd.add_application(
                ApplicationSeed::new("new")
                    .on_cluster("in-cluster")
                    .delays(Duration::from_secs(60), Duration::ZERO),
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let first = tokio::select! {
        event = next(&mut events) => event,
        () = change => unreachable!(),
    };

    assert_eq!(first, "applied new ");
    argocd.remove_application("argocd", "old");
    let mut event = next(&mut events).await;
    while event.starts_with("applied new") {
        event = next(&mut events).await;
    }
    assert_eq!(event, "deleted old");
}

#[tokio::test]
async fn a_quiet_watch_lists_again_and_asks_for_changes_since_its_list() {
    let server = server().await;
    Mock::given(path("/api/v1/applications"))
        .and(query_param("projects", "default"))
        .respond_with(ok(
            json!({"metadata": {"resourceVersion": "123456"}, "items": []}),
        ))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/stream/applications"))
        .and(query_param("resourceVersion", "123456"))
        .and(query_param("projects", "default"))
        .and(header("accept", "text/event-stream"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .mount(&server)
        .await;
    let request = fast()
        .filter(ApplicationFilter::all().project("default"))
        .relist_every(Duration::from_millis(20));

    let mut events = pin!(client(&server).applications().watch(request));

    assert_eq!(next(&mut events).await, "listed 0");
    assert_eq!(next(&mut events).await, "listed 0");
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_after_a_new_list() {
    let server = server().await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(ok(json!({"metadata": {}, "items": null})))
        .mount(&server)
        .await;
    let body = "data: {\"result\":{\"type\":\"MODIFIED\",\"application\":{\"metadata\":{\"name\":\"a\"},\"status\":{\"health\":{\"status\":\"Healthy\"}}}}}\n\n:\n\n";
    Mock::given(path("/api/v1/stream/applications"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "text/event-stream"))
        .mount(&server)
        .await;

    let mut events = pin!(client(&server).applications().watch(fast()));

    for expected in [
        "listed 0",
        "applied a Healthy",
        "listed 0",
        "applied a Healthy",
    ] {
        assert_eq!(next(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_lost_session_in_the_stream_ends_the_watch() {
    let server = server().await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(ok(json!({"metadata": {}, "items": null})))
        .mount(&server)
        .await;
    let error = json!({"error": {"grpc_code": 16, "http_code": 401, "message": "invalid session: token is revoked, please re-login", "http_status": "Unauthorized"}});
    Mock::given(path("/api/v1/stream/applications"))
        .respond_with(
            ResponseTemplate::new(200).set_body_raw(format!("{error}\n"), "application/json"),
        )
        .mount(&server)
        .await;

    let mut events = pin!(client(&server).applications().watch(fast()));

    for expected in ["listed 0", "error Unauthenticated", "end"] {
        assert_eq!(next(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_refusal_before_the_first_event_ends_the_watch_and_a_broken_connection_does_not() {
    let argocd = ArgoCdMock::start().await;
    argocd.fail_next(Route::ApplicationWatch, Fault::Disconnect);
    argocd.fail_next(
        Route::ApplicationWatch,
        faults::rejected(7, "permission denied: applications, get"),
    );

    let mut events = pin!(argocd.client().applications().watch(fast()));

    for expected in ["listed 0", "listed 0", "error Forbidden", "end"] {
        assert_eq!(next(&mut events).await, expected);
    }
}
