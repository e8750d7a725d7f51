//! What a real server taught: names that hide, and waits that must outlast it.

use std::time::{Duration, Instant};

use argocd_client::application::{
    AppRef, Appearance, ApplicationFilter, ApplicationSource, Cascade, Destination, NewApplication,
    Refresh, Target, WaitFor,
};
use argocd_client::cluster::NUDGE_LABEL;
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Fault, GitRepository, Route};
use argocd_client::{ErrorKind, Poll};
use http::Method;
use serde_json::{Value, json};
use wiremock::Mock;
use wiremock::matchers::{method, path};

use super::{SERVER, client, cluster_server, items, ok, patient, requests, server, spec};

const POLL: Poll = Poll::every(Duration::from_millis(3)).deadline(Duration::from_secs(5));

fn repository() -> GitRepository {
    GitRepository::new("https://git.example.test/apps.git")
        .revision("main", "77b3efc188c2e6488850cf435e05d9e5a63d0795")
        .folder(
            "ok",
            [json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ok-config"}})],
        )
}

fn one() -> NewApplication {
    let source = ApplicationSource::git("https://git.example.test/apps.git", "ok", "main");
    NewApplication::new(
        "one",
        "default",
        source,
        Destination::name("in-cluster").namespace("default"),
    )
}

#[tokio::test]
async fn an_application_is_created_again_after_a_refresh() {
    let argocd = ArgoCdMock::builder().git(repository()).start().await;
    let applications = argocd.client().applications();
    applications.create(&one()).await.unwrap();
    let reference = AppRef::new("one");
    applications
        .refresh(&reference, Refresh::Normal, Duration::from_secs(5))
        .await
        .unwrap();
    // The server itself refuses the identical body now.
    let raw = json!({
        "metadata": {"name": "one"},
        "spec": {
            "project": "default", "destination": {"name": "in-cluster", "namespace": "default"},
            "source": {"repoURL": "https://git.example.test/apps.git", "path": "ok", "targetRevision": "main"},
        },
    });
    let refused = argocd
        .client()
        .raw(Method::POST, "/api/v1/applications", &[], Some(&raw))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let again = applications.create(&one()).await.unwrap();
    let differs = applications
        .create(&one().label("a", "b"))
        .await
        .unwrap_err();

    assert!(
        again
            .metadata
            .annotations
            .contains_key("argocd.argoproj.io/hydrate")
    );
    assert_eq!(differs.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn an_update_of_an_application_keeps_what_others_added() {
    let argocd = ArgoCdMock::builder().git(repository()).start().await;
    let applications = argocd.client().applications();
    applications
        .create(&one().label("team", "a").finalizer("example.test/theirs"))
        .await
        .unwrap();

    let changed = applications
        .create_or_update(&one().label("tier", "1").finalizer("example.test/ours"))
        .await
        .unwrap();

    assert_eq!(
        changed.metadata.labels.keys().collect::<Vec<_>>(),
        ["team", "tier"]
    );
    assert_eq!(
        changed.metadata.finalizers,
        ["example.test/ours", "example.test/theirs"]
    );
}

#[tokio::test]
async fn an_application_that_is_being_deleted_cannot_be_created() {
    let argocd = ArgoCdMock::builder().git(repository()).start().await;
    let applications = argocd.client().applications();
    applications.create(&one()).await.unwrap();
    argocd.stop_controller();
    assert!(
        applications
            .delete(&AppRef::new("one"), Cascade::Delete)
            .await
            .unwrap()
    );

    let error = applications.create_or_update(&one()).await.unwrap_err();
    let outcome = applications
        .wait(
            &AppRef::new("one"),
            &WaitFor::nothing(),
            POLL.deadline(Duration::from_millis(40)),
        )
        .await
        .unwrap();

    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(format!("{outcome:?}").contains("the application is being deleted"));
}

#[tokio::test]
async fn a_wrong_name_is_not_gone_for_an_account_that_may_not_see_it() {
    let argocd = ArgoCdMock::builder()
        .restricted_account("limited")
        .policy("p, limited, applications, get, team/*, allow")
        .start()
        .await;
    argocd.add_application(ApplicationSeed::new("web").on_cluster("in-cluster"));
    let applications = argocd.client_of("limited").applications();

    let hidden = applications
        .delete(&AppRef::new("web"), Cascade::Delete)
        .await
        .unwrap_err();
    let unknown = applications
        .wait(&AppRef::new("wbe"), &WaitFor::default(), POLL)
        .await
        .unwrap_err();
    let proved = applications
        .delete(&AppRef::new("wbe").in_project("team"), Cascade::Delete)
        .await
        .unwrap();

    assert_eq!(hidden.kind(), ErrorKind::NotFoundOrForbidden);
    assert_eq!(unknown.kind(), ErrorKind::NotFoundOrForbidden);
    assert!(!proved);
}

#[tokio::test]
async fn application_sets_that_missed_a_new_cluster_are_nudged() {
    let argocd = ArgoCdMock::builder()
        .application_per_cluster(ApplicationSeed::new("{{name}}-cni"))
        .late_application_sets(Duration::from_secs(3600))
        .start()
        .await;
    let client = argocd.client();
    client.clusters().register(&spec()).await.unwrap();
    let target = Target::new(cluster_server(), "lungmen");
    let mut causes = Vec::new();

    let found = client
        .applications()
        .wait_until_generated_observed(&target, POLL, |state| causes.push(state.cause.clone()))
        .await
        .unwrap();

    let Appearance::Applications(applications) = found else {
        panic!("{found:?}")
    };
    assert_eq!(applications[0].metadata.name, "lungmen-cni");
    assert_eq!(
        causes[0],
        "application lungmen-cni is generated but does not exist yet"
    );
    assert!(
        argocd
            .cluster(SERVER)
            .unwrap()
            .labels
            .contains_key(NUDGE_LABEL)
    );
}

#[tokio::test]
async fn none_is_said_only_when_no_set_generates_anything() {
    let argocd = ArgoCdMock::builder()
        .application_per_cluster_with(
            [("tier".to_owned(), "1".to_owned())].into(),
            ApplicationSeed::new("{{name}}-cni"),
        )
        .restricted_account("limited")
        .policy("p, limited, applications, get, */*, allow\np, limited, clusters, *, *, allow")
        .start()
        .await;
    argocd.client().clusters().register(&spec()).await.unwrap();
    let target = Target::new(cluster_server(), "lungmen");

    let known = argocd
        .client()
        .applications()
        .wait_until_generated(&target, POLL)
        .await;
    let short = POLL.deadline(Duration::from_millis(60));
    let unknown = argocd
        .client_of("limited")
        .applications()
        .wait_until_generated(&target, short)
        .await
        .unwrap();
    argocd.fail_always(Route::ApplicationList, Fault::Disconnect);
    let silent = argocd
        .client_of("limited")
        .applications()
        .wait_until_generated(&target, short)
        .await
        .unwrap_err();

    assert_eq!(known.unwrap(), Appearance::None);
    let Appearance::Unproven(why) = unknown else {
        panic!("{unknown:?}");
    };
    assert!(why.contains("may not see every application set"), "{why}");
    assert_eq!(silent.kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_refresh_that_nobody_answers_ends_at_its_deadline() {
    let argocd = ArgoCdMock::builder().git(repository()).start().await;
    let applications = argocd.client().applications();
    applications.create(&one()).await.unwrap();
    argocd.stop_controller();
    let started = Instant::now();

    let error = applications
        .refresh(
            &AppRef::new("one"),
            Refresh::Normal,
            Duration::from_millis(200),
        )
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn names_that_mean_another_endpoint_are_refused_before_anything_is_sent() {
    let server = server().await;
    let applications = client(&server).applications();

    for name in ["a/b", "a:b", "..", ""] {
        let error = applications
            .application(&AppRef::new(name))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_selector_that_cannot_be_read_is_rejected_at_once() {
    let argocd = ArgoCdMock::start().await;

    let error = argocd
        .client()
        .applications()
        .list(&ApplicationFilter::all().selector("a===b"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    argocd.assert_called(Route::ApplicationList, 1);
}

#[tokio::test]
async fn a_wrong_root_path_is_not_an_argo_cd() {
    let argocd = ArgoCdMock::builder().root_path("/argocd").start().await;
    let mut wrong = argocd.endpoint();
    wrong.set_path("/cd");

    let error = argocd_client::Client::builder(wrong, argocd_client::Credentials::Anonymous)
        .build()
        .unwrap()
        .version()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotArgoCd);
    assert!(error.message().contains("root path"), "{error}");
}

#[tokio::test]
async fn a_call_that_an_old_server_does_not_offer_is_unsupported() {
    let argocd = ArgoCdMock::builder().version("v2.14.21").start().await;

    let error = argocd
        .client()
        .application_sets()
        .events("clusters", None)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// The exchanges of a recorded server, by number.
fn recorded(seq: u64) -> Value {
    let recording: Value = serde_json::from_str(super::recorded::RECORDED).unwrap();
    let exchanges = recording["exchanges"].as_array().unwrap();
    let found = exchanges.iter().find(|exchange| exchange["seq"] == seq);
    found.unwrap()["response_body"].clone()
}

#[tokio::test]
async fn the_recorded_refusal_of_an_identical_application_is_looked_into() {
    let server = server().await;
    Mock::given(method("POST"))
        .respond_with(wiremock::ResponseTemplate::new(400).set_body_json(recorded(147)))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(items(&[recorded(148)]))
        .mount(&server)
        .await;
    let source = ApplicationSource::git("https://git.example.test/apps.git", "ok", "main");
    let destination: Destination =
        serde_json::from_value(recorded(148)["spec"]["destination"].clone()).unwrap();
    let wanted = NewApplication::new("one", "default", source, destination)
        .label("a", "b")
        .sync_policy(json!({"syncOptions": ["CreateNamespace=true"]}));

    let created = patient(&server)
        .applications()
        .create(&wanted)
        .await
        .unwrap();

    assert_eq!(created.metadata.uid, recorded(148)["metadata"]["uid"]);
}

#[tokio::test]
async fn the_recorded_application_that_is_being_deleted_is_not_ready() {
    let server = server().await;
    Mock::given(path("/api/v1/applications/degraded"))
        .respond_with(ok(recorded(327)))
        .mount(&server)
        .await;

    let outcome = client(&server)
        .applications()
        .wait(
            &AppRef::new("degraded"),
            &WaitFor::nothing().synced().degraded(),
            POLL.deadline(Duration::from_millis(500)),
        )
        .await
        .unwrap();

    let error = outcome.into_ready().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error
            .message()
            .ends_with("the application is being deleted"),
        "{error}"
    );
}
