//! Waiting for many applications by one stream, and without a stream.

use std::time::Duration;

use argocd_client::application::{ApplicationFilter, HealthStatus, TargetWait};
use argocd_client::mock::ArgoCdMock;
use argocd_client::{ErrorKind, Poll};
use serde_json::json;
use wiremock::Mock;
use wiremock::matchers::path;

use super::wait::{FAST, PATIENT, seed, target};
use super::{client, ok, server};

/// How many requests went to the list and to the stream of applications.
fn asked(argocd: &ArgoCdMock) -> (usize, usize) {
    let calls = argocd.calls();
    let of = |path: &str| {
        let calls = calls.iter();
        calls.filter(|call| call.path == path).count()
    };
    (
        of("/api/v1/applications"),
        of("/api/v1/stream/applications"),
    )
}

#[tokio::test]
async fn five_hundred_applications_are_waited_for_by_one_stream() {
    let argocd = ArgoCdMock::start().await;
    for index in 0..500 {
        let delay = Duration::from_millis(300 + index);
        argocd.add_application(seed(&format!("app-{index}")).delays(delay, delay));
    }
    let poll = Poll::every(Duration::from_millis(20)).deadline(Duration::from_secs(60));
    let wait = TargetWait::new(poll).at_least(500);

    let report = argocd
        .client()
        .applications()
        .wait_for_target(&target(), &wait)
        .await
        .unwrap();

    assert!(report.is_ready(), "{}", report.summary());
    let (lists, streams) = asked(&argocd);
    assert_eq!(streams, 1);
    // The first, one after the stream was opened, one before the end, and every half minute.
    assert!(lists <= 5, "{lists}");
}

#[tokio::test]
async fn applications_are_listed_at_intervals_where_nothing_streams() {
    let server = server().await;
    let list = |health: &str| {
        ok(json!({"items": [{
            "metadata": {"name": "a"}, "spec": {"destination": {"name": "lungmen"}},
            "status": {"sync": {"status": "Synced"}, "health": {"status": health}},
        }]}))
    };
    Mock::given(path("/api/v1/applications"))
        .respond_with(list("Progressing"))
        .up_to_n_times(3)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(list("Healthy"))
        .mount(&server)
        .await;

    let report = client(&server)
        .applications()
        .wait_for_target(&target(), &TargetWait::new(PATIENT))
        .await
        .unwrap();

    assert!(report.is_ready(), "{report}");
}

#[tokio::test]
async fn a_ready_state_that_only_the_stream_reported_is_listed_before_the_wait_ends() {
    let server = server().await;
    let application = |name: &str, health: &str| {
        json!({
            "metadata": {"name": name}, "spec": {"destination": {"name": "lungmen"}},
            "status": {"sync": {"status": "Synced"}, "health": {"status": health}},
        })
    };
    Mock::given(path("/api/v1/applications"))
        .respond_with(ok(json!({"items": [application("a", "Progressing")]})))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    // The stream has dropped that another application appeared.
    let both = json!({"items": [application("a", "Healthy"), application("b", "Progressing")]});
    Mock::given(path("/api/v1/applications"))
        .respond_with(ok(both))
        .mount(&server)
        .await;
    let event = json!({"result": {"type": "MODIFIED", "application": application("a", "Healthy")}});
    Mock::given(path("/api/v1/stream/applications"))
        .respond_with(
            wiremock::ResponseTemplate::new(200)
                .set_body_raw(format!("data: {event}\n\n"), "text/event-stream"),
        )
        .mount(&server)
        .await;

    let report = client(&server)
        .applications()
        .wait_for_target(&target(), &TargetWait::new(FAST))
        .await
        .unwrap();

    assert_eq!(report.rows.len(), 2);
    assert!(!report.is_ready(), "{report}");
}

#[tokio::test]
async fn applications_with_a_label_are_waited_for_together() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("one").label("team", "web"));
    argocd.add_application(seed("two").label("team", "web"));
    argocd.add_application(seed("ill").ends_as(HealthStatus::Degraded, "x"));
    let applications = argocd.client().applications();
    let team = ApplicationFilter::all().selector("team=web");
    let mut last = String::new();

    let report = applications
        .wait_for_selected(&team, &TargetWait::new(PATIENT).at_least(2), |state| {
            last = state.waiting_for.to_string();
        })
        .await
        .unwrap();

    assert!(report.is_ready(), "{report}");
    assert_eq!(report.rows.len(), 2);
    assert_eq!(last, "the applications of selector=team=web to be ready");
    let broken = ApplicationFilter::all().selector("team in (");
    let error = applications
        .wait_for_selected(&broken, &TargetWait::new(FAST), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
