//! Waiting for applications, on the stateful mock.

use std::time::Duration;

use argocd_client::application::{
    AppRef, HealthStatus, OperationPhase, Target, TargetWait, WaitFor, WaitOutcome,
};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Fault, Route, faults};
use argocd_client::{ErrorKind, Poll};
use serde_json::{Value, json};
use wiremock::Mock;
use wiremock::matchers::path;

use super::{client, cluster_server, ok, server, spec};

pub(super) const FAST: Poll =
    Poll::every(Duration::from_millis(3)).deadline(Duration::from_millis(400));
pub(super) const PATIENT: Poll =
    Poll::every(Duration::from_millis(3)).deadline(Duration::from_secs(10));

pub(super) fn target() -> Target {
    Target::new(cluster_server(), "lungmen")
}

pub(super) fn seed(name: &str) -> ApplicationSeed {
    ApplicationSeed::new(name).on_cluster("lungmen")
}

#[tokio::test]
async fn an_application_is_waited_for_until_it_is_synced_and_healthy() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("cilium"));

    let outcome = argocd
        .client()
        .applications()
        .wait(&AppRef::new("cilium"), &WaitFor::default(), PATIENT)
        .await
        .unwrap();

    let application = outcome.into_ready().unwrap();
    assert_eq!(application.status.health.status, HealthStatus::Healthy);
}

#[tokio::test]
async fn a_satisfied_application_needs_one_look() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("cilium").delays(Duration::ZERO, Duration::ZERO));
    let applications = argocd.client().applications();
    applications
        .wait(&AppRef::new("cilium"), &WaitFor::default(), PATIENT)
        .await
        .unwrap()
        .into_ready()
        .unwrap();
    let before = argocd.calls().len();

    applications
        .wait(&AppRef::new("cilium"), &WaitFor::default(), PATIENT)
        .await
        .unwrap()
        .into_ready()
        .unwrap();

    assert_eq!(argocd.calls().len(), before + 1);
}

#[tokio::test]
async fn a_resource_that_turns_degraded_ends_the_wait() {
    let server = server().await;
    let with_resource = |health: &str| {
        ok(json!({
            "metadata": {"name": "a"}, "spec": {},
            "status": {
                "sync": {"status": "Synced"}, "health": {"status": "Progressing"},
                "resources": [{"kind": "Deployment", "name": "web", "health": {"status": health}}],
            },
        }))
    };
    Mock::given(path("/api/v1/applications/a"))
        .respond_with(with_resource("Progressing"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications/a"))
        .respond_with(with_resource("Degraded"))
        .mount(&server)
        .await;

    let outcome = client(&server)
        .applications()
        .wait(&AppRef::new("a"), &WaitFor::default(), PATIENT)
        .await
        .unwrap();

    assert!(
        matches!(&outcome, WaitOutcome::Degraded { resources, .. } if resources == &["Deployment/web"]),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.into_ready().unwrap_err().kind(),
        ErrorKind::OperationFailed
    );
}

#[tokio::test]
async fn an_application_that_disappears_is_deleted() {
    let argocd = ArgoCdMock::start().await;

    let outcome = argocd
        .client()
        .applications()
        .wait(&AppRef::new("gone"), &WaitFor::default(), FAST)
        .await
        .unwrap();

    assert!(matches!(outcome, WaitOutcome::Deleted));
}

#[tokio::test]
async fn a_failed_operation_ends_the_wait_long_before_its_deadline() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("cilium").fails_to_sync("one or more objects failed to apply"));

    let outcome = argocd
        .client()
        .applications()
        .wait(&AppRef::new("cilium"), &WaitFor::default(), PATIENT)
        .await
        .unwrap();

    let WaitOutcome::OperationFailed { phase, message, .. } = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(*phase, OperationPhase::Failed);
    assert_eq!(message, "one or more objects failed to apply");
    assert_eq!(
        outcome.into_ready().unwrap_err().kind(),
        ErrorKind::OperationFailed
    );
}

#[tokio::test]
async fn running_out_of_time_says_what_is_missing() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("cilium").ends_as(HealthStatus::Progressing, "0 of 1 replicas"));

    let outcome = argocd
        .client()
        .applications()
        .wait(&AppRef::new("cilium"), &WaitFor::default(), FAST)
        .await
        .unwrap();

    let WaitOutcome::TimedOut { reason, last } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        reason,
        "timed out after 400ms waiting for application cilium to be ready; last status: \
         cilium is Synced, Progressing: 0 of 1 replicas"
    );
    assert!(last.is_some());
}

#[tokio::test]
async fn all_applications_of_a_registered_cluster_become_ready() {
    let argocd = ArgoCdMock::builder()
        .application_per_cluster(ApplicationSeed::new("{{name}}-cni"))
        .application_per_cluster(ApplicationSeed::new("{{name}}-csi").on_server("{{server}}"))
        .start()
        .await;
    let client = argocd.client();
    client.clusters().register(&spec()).await.unwrap();
    let mut seen = Vec::new();
    let wait = TargetWait::new(PATIENT)
        .at_least(2)
        .stable_for(Duration::from_millis(10));

    let report = client
        .applications()
        .wait_for_target_observed(&target(), &wait, |state| seen.push(state.cause.clone()))
        .await
        .unwrap();

    assert!(report.is_ready(), "{report}");
    assert_eq!(
        report
            .rows
            .iter()
            .map(|row| row.name.as_str())
            .collect::<Vec<_>>(),
        ["lungmen-cni", "lungmen-csi"]
    );
    assert_eq!(seen.last().unwrap(), "2 of 2 applications ready");
    let cluster = client
        .clusters()
        .wait_until_monitored(&cluster_server(), FAST)
        .await
        .unwrap();
    assert_eq!(cluster.applications_count(), 2);
}

#[tokio::test]
async fn the_report_tells_which_application_is_not_ready_and_why() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("good"));
    argocd.add_application(seed("ill").ends_as(
        HealthStatus::Degraded,
        "back-off restarting failed container",
    ));
    argocd.add_application(seed("lost").has_condition(
        "InvalidSpecError",
        "there are no clusters with this name: lungmen",
    ));
    argocd.add_application(
        ApplicationSeed::new("elsewhere")
            .on_cluster("in-cluster")
            .fails_to_sync("x"),
    );

    let report = argocd
        .client()
        .applications()
        .wait_for_target(&target(), &TargetWait::new(FAST))
        .await
        .unwrap();

    assert!(!report.is_ready());
    let pending: Vec<String> = report.pending().map(ToString::to_string).collect();
    assert_eq!(
        pending,
        [
            "ill is Synced, Degraded: back-off restarting failed container",
            "lost is Unknown, Healthy: InvalidSpecError: there are no clusters with this name: lungmen",
        ]
    );
    assert!(
        report
            .to_string()
            .starts_with("NAMESPACE  NAME  PROJECT  SYNC"),
        "{report}"
    );
}

#[tokio::test]
async fn no_application_at_all_is_not_ready_unless_that_is_accepted() {
    let argocd = ArgoCdMock::start().await;
    let applications = argocd.client().applications();

    let report = applications
        .wait_for_target(&target(), &TargetWait::new(FAST))
        .await
        .unwrap();
    assert_eq!(report.summary(), "0 of 1 applications ready; only 0 exist");

    assert!(
        applications
            .wait_for_target(&target(), &TargetWait::new(FAST).at_least(0))
            .await
            .unwrap()
            .is_ready()
    );
}

#[tokio::test]
async fn a_server_that_hiccups_is_waited_out_and_a_refusal_is_not() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("cilium"));
    for _ in 0..6 {
        argocd.fail_next(Route::ApplicationList, Fault::Disconnect);
    }
    let applications = argocd.client().applications();

    let report = applications
        .wait_for_target(&target(), &TargetWait::new(PATIENT))
        .await
        .unwrap();
    assert!(report.is_ready());

    argocd.fail_always(
        Route::ApplicationList,
        faults::rejected(7, "permission denied: applications, get"),
    );
    let error = applications
        .wait_for_target(&target(), &TargetWait::new(FAST))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline_with_its_cause() {
    let argocd = ArgoCdMock::start().await;
    argocd.fail_always(
        Route::ApplicationList,
        Fault::Status(502, "bad gateway".into()),
    );

    let error = argocd
        .client()
        .applications()
        .wait_for_target(&target(), &TargetWait::new(FAST))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("bad gateway")
    );
}

#[tokio::test]
async fn null_lists_are_empty_lists() {
    let server = server().await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(ok(json!({"metadata": {}, "items": Value::Null})))
        .mount(&server)
        .await;

    let report = client(&server)
        .applications()
        .report(&target(), &WaitFor::default())
        .await
        .unwrap();

    assert!(report.rows.is_empty());
}

#[tokio::test]
async fn an_application_that_appears_after_the_first_was_ready_is_waited_for() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("first").delays(Duration::ZERO, Duration::ZERO));
    let plan = TargetWait::new(PATIENT).stable_for(Duration::from_millis(300));
    let mut is_late = true;

    let report = argocd
        .client()
        .applications()
        .wait_for_target_observed(&target(), &plan, |state| {
            if state.cause.starts_with("1 of 1 applications ready") && std::mem::take(&mut is_late)
            {
                argocd.add_application(seed("second"));
            }
        })
        .await
        .unwrap();

    assert!(report.is_ready() && !is_late);
    let names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
}

#[tokio::test]
async fn applications_that_keep_changing_are_not_ready_at_the_deadline() {
    let argocd = ArgoCdMock::start().await;
    argocd.add_application(seed("first").delays(Duration::ZERO, Duration::ZERO));
    let plan = TargetWait::new(FAST).stable_for(Duration::from_secs(60));

    let report = argocd
        .client()
        .applications()
        .wait_for_target(&target(), &plan)
        .await
        .unwrap();

    assert!(report.changing && !report.is_ready());
    assert_eq!(
        report.summary(),
        "1 of 1 applications ready; not the same ones for long enough"
    );
}
