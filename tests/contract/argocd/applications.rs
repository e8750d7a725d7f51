//! Applications: one request each.

use std::time::Duration;

use argocd_client::application::{
    AppRef, ApplicationFilter, ApplicationSource, Cascade, Destination, HealthStatus,
    NewApplication, OperationPhase, Refresh, SyncRequest, SyncStatus, Target, WaitFor,
};
use argocd_client::repository::RepositorySpec;
use argocd_client::{ErrorKind, Poll};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, ResponseTemplate};

use super::{client, cluster_server, items, none, ok, patient, refusal, requests, rights, server};

fn application(name: &str, destination: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "argocd", "managedFields": [{"manager": "x"}]},
        "spec": {"source": {"repoURL": "https://git.example.com/r.git", "path": "p"}, "destination": destination, "project": "default"},
        "status": {
            "sync": {"status": "Synced", "revision": "3f2c"}, "health": {"status": "Healthy"},
            "operationState": {"operation": {"sync": {"revision": "3f2c"}}, "phase": "Succeeded", "startedAt": "2025-08-20T10:01:10Z", "finishedAt": "2025-08-20T10:01:20Z"},
            "reconciledAt": "2025-08-20T10:03:05Z", "summary": {}, "sourceHydrator": {},
        },
    })
}

fn cilium() -> AppRef {
    AppRef::new("cilium")
        .in_namespace("argocd")
        .in_project("default")
}

#[tokio::test]
async fn applications_of_a_cluster_are_those_with_its_address_or_its_name() {
    let server = server().await;
    let all = [
        application(
            "by-name",
            &json!({"name": "lungmen", "namespace": "kube-system"}),
        ),
        application("by-server", &json!({"server": "https://10.5.0.2:6443/"})),
        application(
            "elsewhere",
            &json!({"server": "https://kubernetes.default.svc"}),
        ),
        application("nowhere", &json!({})),
    ];
    Mock::given(method("GET"))
        .and(path("/api/v1/applications"))
        .respond_with(items(&all))
        .mount(&server)
        .await;

    let found = client(&server)
        .applications()
        .list_for(&Target::new(cluster_server(), "lungmen"))
        .await
        .unwrap();

    assert_eq!(
        found
            .iter()
            .map(|app| app.metadata.name.as_str())
            .collect::<Vec<_>>(),
        ["by-name", "by-server"]
    );
    assert_eq!(found[0].status.sync.status, SyncStatus::Synced);
    assert_eq!(
        found[0].status.operation_state.as_ref().unwrap().phase,
        OperationPhase::Succeeded
    );
    assert_eq!(requests(&server).await, ["GET /api/v1/applications"]);
}

#[tokio::test]
async fn filters_are_those_that_the_server_knows() {
    let server = server().await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(none())
        .mount(&server)
        .await;
    let filter = ApplicationFilter::all()
        .project("a")
        .project("b")
        .selector("argocd.argoproj.io/cluster=lungmen")
        .namespace("apps");

    assert!(
        client(&server)
            .applications()
            .list(&filter)
            .await
            .unwrap()
            .is_empty()
    );

    assert_eq!(
        requests(&server).await,
        [
            "GET /api/v1/applications?projects=a&projects=b&selector=argocd.argoproj.io%2Fcluster%3Dlungmen&appNamespace=apps"
        ]
    );
}

#[tokio::test]
async fn an_application_is_read_with_its_namespace_and_project() {
    let server = server().await;
    Mock::given(path("/api/v1/applications/cilium"))
        .and(query_param("appNamespace", "argocd"))
        .and(query_param("project", "default"))
        .and(query_param_is_missing("refresh"))
        .respond_with(ok(application("cilium", &json!({"name": "lungmen"}))))
        .mount(&server)
        .await;

    let application = client(&server)
        .applications()
        .application(&cilium())
        .await
        .unwrap();

    assert_eq!(application.status.health.status, HealthStatus::Healthy);
}

#[tokio::test]
async fn a_missing_application_is_missing_or_hidden() {
    let server = server().await;
    Mock::given(path("/api/v1/applications/x"))
        .and(query_param("project", "default"))
        .respond_with(refusal(404, 5, "applications.argoproj.io \"x\" not found"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications/x"))
        .and(query_param_is_missing("project"))
        .respond_with(refusal(403, 7, "permission denied"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/session/userinfo"))
        .respond_with(ok(json!({"loggedIn": true})))
        .mount(&server)
        .await;
    let applications = client(&server).applications();

    assert!(
        applications
            .application(&AppRef::new("x").in_project("default"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    let hidden = applications
        .application(&AppRef::new("x"))
        .await
        .unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFoundOrForbidden);
}

#[tokio::test]
async fn an_application_is_created_and_may_be_created_again() {
    let server = server().await;
    Mock::given(method("POST"))
        .and(path("/api/v1/applications"))
        .respond_with(ResponseTemplate::new(502))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/applications"))
        .and(body_json(json!({
            "metadata": {"name": "cilium", "namespace": "argocd", "labels": {"a": "1"}},
            "spec": {
                "project": "default",
                "destination": {"name": "lungmen", "namespace": "kube-system"},
                "source": {"repoURL": "https://helm.cilium.io", "targetRevision": "1.16.0", "chart": "cilium"},
                "syncPolicy": {"automated": {"prune": true}},
            },
        })))
        .respond_with(ok(application("cilium", &json!({"name": "lungmen"}))))
        .mount(&server)
        .await;
    let new = NewApplication::new(
        "cilium",
        "default",
        ApplicationSource::helm("https://helm.cilium.io", "cilium", "1.16.0"),
        Destination::name("lungmen").namespace("kube-system"),
    )
    .in_namespace("argocd")
    .label("a", "1")
    .sync_policy(json!({"automated": {"prune": true}}));

    patient(&server).applications().create(&new).await.unwrap();
}

#[tokio::test]
async fn refusals_of_a_creation_have_kinds() {
    let source = ApplicationSource::git("https://git.example.com/r.git", "p", "HEAD");
    let new = NewApplication::new("a", "default", source, Destination::name("lungmen"));
    for (text, kind) in [
        (
            "existing application spec is different, use upsert flag to force update",
            ErrorKind::AlreadyExists,
        ),
        (
            "application destination spec for a is invalid: there are no clusters with this name: lungmen",
            ErrorKind::Rejected,
        ),
    ] {
        let server = server().await;
        Mock::given(method("POST"))
            .respond_with(refusal(400, 3, text))
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(none())
            .mount(&server)
            .await;

        assert_eq!(
            client(&server)
                .applications()
                .create(&new)
                .await
                .unwrap_err()
                .kind(),
            kind
        );
    }
}

#[tokio::test]
async fn a_sync_is_sent_once_and_its_refusals_have_kinds() {
    for (status, code, text, kind) in [
        (
            400,
            9,
            "another operation is already in progress",
            ErrorKind::OperationInProgress,
        ),
        (
            403,
            7,
            "cannot sync: blocked by sync window",
            ErrorKind::SyncWindow,
        ),
        (
            400,
            9,
            "Cannot sync to main: auto-sync currently set to HEAD",
            ErrorKind::Rejected,
        ),
        (504, 4, "deadline", ErrorKind::Timeout),
    ] {
        let server = server().await;
        Mock::given(method("POST"))
            .and(path("/api/v1/applications/cilium/sync"))
            .and(body_json(json!({"name": "cilium", "appNamespace": "argocd", "project": "default", "prune": true})))
            .respond_with(refusal(status, code, text))
            .expect(1)
            .mount(&server)
            .await;

        let error = patient(&server)
            .applications()
            .sync(&cilium(), &SyncRequest::new().prune())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), kind);
    }
}

#[tokio::test]
async fn a_refresh_has_the_deadline_of_its_caller() {
    let server = server().await;
    let slow = ok(application("cilium", &json!({}))).set_delay(Duration::from_millis(400));
    Mock::given(path("/api/v1/applications/cilium"))
        .and(query_param("refresh", "hard"))
        .respond_with(slow)
        .mount(&server)
        .await;
    let applications = client(&server).applications();

    assert!(
        applications
            .refresh(&cilium(), Refresh::Hard, Duration::from_secs(10))
            .await
            .is_ok()
    );
    let error = applications
        .refresh(&cilium(), Refresh::Hard, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_deletion_says_what_happens_to_the_resources() {
    let server = server().await;
    Mock::given(method("DELETE"))
        .respond_with(ok(json!({})))
        .mount(&server)
        .await;
    let applications = client(&server).applications();

    for cascade in [Cascade::Delete, Cascade::Foreground, Cascade::Orphan] {
        assert!(
            applications
                .delete(&AppRef::new("a"), cascade)
                .await
                .unwrap()
        );
    }

    assert_eq!(
        requests(&server).await,
        [
            "DELETE /api/v1/applications/a?cascade=true",
            "DELETE /api/v1/applications/a?cascade=true&propagationPolicy=foreground",
            "DELETE /api/v1/applications/a?cascade=false",
        ]
    );
}

#[tokio::test]
async fn deleting_a_missing_application_is_no_failure_when_its_absence_is_proved() {
    for (proved, kind) in [(true, None), (false, Some(ErrorKind::NotFoundOrForbidden))] {
        let server = server().await;
        Mock::given(method("DELETE"))
            .respond_with(refusal(403, 7, "permission denied"))
            .mount(&server)
            .await;
        Mock::given(path("/api/v1/applications"))
            .respond_with(none())
            .mount(&server)
            .await;
        rights(&server, "applications/get/*/a", proved).await;

        let deleted = client(&server)
            .applications()
            .delete(&AppRef::new("a"), Cascade::Delete)
            .await;

        assert_eq!(deleted.as_ref().err().map(argocd_client::Error::kind), kind);
        assert!(!deleted.unwrap_or_default());
    }
}

#[tokio::test]
async fn a_mistyped_name_is_not_called_deleted_without_the_right_to_see_it() {
    let server = server().await;
    Mock::given(path("/api/v1/applications/cilum"))
        .respond_with(refusal(403, 7, "permission denied"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(none())
        .mount(&server)
        .await;
    rights(&server, "applications/get/*/cilum", false).await;

    let error = client(&server)
        .applications()
        .wait(&AppRef::new("cilum"), &WaitFor::default(), Poll::default())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotFoundOrForbidden);
    assert!(
        error.message().contains("may not get applications */cilum"),
        "{error}"
    );
}

#[tokio::test]
async fn sets_projects_and_repositories_are_listed_and_created() {
    let server = server().await;
    let set = json!({"metadata": {"name": "clusters"}, "spec": {"generators": [{"clusters": {}}]}, "status": {}});
    Mock::given(method("GET"))
        .and(path("/api/v1/applicationsets"))
        .respond_with(items(std::slice::from_ref(&set)))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/applicationsets"))
        .and(body_json(&set))
        .respond_with(ok(set.clone()))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applicationsets/generate"))
        .and(body_json(json!({"applicationSet": set})))
        .respond_with(ok(
            json!({"applications": [application("a", &json!({"name": "lungmen"}))]}),
        ))
        .mount(&server)
        .await;
    let project = json!({"metadata": {"name": "default"}, "spec": {"destinations": [{"server": "*", "namespace": "*"}], "sourceRepos": null}});
    Mock::given(path("/api/v1/projects/default"))
        .respond_with(ok(project.clone()))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/projects"))
        .and(body_json(json!({"project": project})))
        .respond_with(ok(project.clone()))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/repositories"))
        .and(body_json(json!({"repo": "https://g/r.git", "type": "git", "username": "ci", "password": "p"})))
        .respond_with(ok(json!({"repo": "https://g/r.git", "type": "git", "connectionState": {"status": "Successful"}})))
        .mount(&server)
        .await;
    let client = client(&server);

    assert_eq!(
        client.application_sets().list().await.unwrap()[0]
            .metadata
            .name,
        "clusters"
    );
    assert_eq!(
        client.application_sets().create(&set).await.unwrap().spec["generators"],
        json!([{"clusters": {}}])
    );
    assert_eq!(
        client
            .application_sets()
            .generate(&set)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        client
            .projects()
            .project("default")
            .await
            .unwrap()
            .spec
            .destinations[0]
            .server,
        "*"
    );
    client.projects().create(&project).await.unwrap();
    let spec = RepositorySpec::git("https://g/r.git").password("ci", "p".into());
    assert_eq!(
        client.repositories().create(&spec).await.unwrap().kind,
        "git"
    );
}
