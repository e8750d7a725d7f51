//! Clusters: one request each.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::cluster::{ClusterUpdate, ConnectionStatus};
use argocd_client::{ErrorKind, Poll};
use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::{
    SERVER, body_of, client, cluster_server, items, none, ok, patient, refusal, requests, rights,
    server, shown_cluster, spec,
};

const ENCODED: &str = "/api/v1/clusters/https%3A%2F%2F10.5.0.2%3A6443";
const FAST: Poll = Poll::every(Duration::from_millis(2)).deadline(Duration::from_millis(150));

#[tokio::test]
async fn clusters_are_listed() {
    let server = server().await;
    let two = [
        shown_cluster(),
        json!({"server": "https://kubernetes.default.svc", "name": "in-cluster", "config": {}, "info": {}}),
    ];
    Mock::given(method("GET"))
        .and(path("/api/v1/clusters"))
        .respond_with(items(&two))
        .mount(&server)
        .await;

    let clusters = client(&server).clusters().list().await.unwrap();

    assert_eq!(clusters.len(), 2);
    assert_eq!(
        clusters[0].connection().status(),
        ConnectionStatus::Successful
    );
    assert_eq!(clusters[1].connection().status(), ConnectionStatus::Unset);
}

#[tokio::test]
async fn a_cluster_is_found_by_exact_filters_and_not_by_path() {
    let server = server().await;
    Mock::given(query_param("server", SERVER))
        .respond_with(items(&[shown_cluster()]))
        .mount(&server)
        .await;
    Mock::given(query_param("name", "lungmen"))
        .respond_with(items(&[shown_cluster()]))
        .mount(&server)
        .await;
    Mock::given(query_param("name", "other"))
        .respond_with(none())
        .mount(&server)
        .await;
    let clusters = client(&server).clusters();

    assert!(clusters.find(&cluster_server()).await.unwrap().is_some());
    assert!(clusters.find_by_name("lungmen").await.unwrap().is_some());
    assert!(clusters.find_by_name("other").await.unwrap().is_none());
    assert_eq!(
        requests(&server).await,
        [
            "GET /api/v1/clusters?server=https%3A%2F%2F10.5.0.2%3A6443",
            "GET /api/v1/clusters?name=lungmen",
            "GET /api/v1/clusters?name=other",
        ]
    );
}

#[tokio::test]
async fn a_missing_cluster_is_certainly_missing() {
    let server = server().await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;

    rights(&server, "clusters/get/*", true).await;

    let error = client(&server)
        .clusters()
        .cluster(&cluster_server())
        .await
        .unwrap_err();

    assert!(error.is_not_found());
    assert_eq!(error.target(), SERVER);
}

#[tokio::test]
async fn a_cluster_that_the_account_may_not_see_is_not_called_missing() {
    let server = server().await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;
    rights(&server, "clusters/get/*", false).await;
    let clusters = client(&server).clusters();

    let read = clusters.cluster(&cluster_server()).await.unwrap_err();
    let deleted = clusters.delete(&cluster_server()).await.unwrap_err();

    assert_eq!(read.kind(), ErrorKind::NotFoundOrForbidden);
    assert_eq!(deleted.kind(), ErrorKind::NotFoundOrForbidden);
}

#[tokio::test]
async fn an_update_lists_its_fields_and_sends_nothing_else() {
    let server = server().await;
    Mock::given(method("PUT"))
        .and(path(ENCODED))
        .respond_with(ok(shown_cluster()))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(items(&[shown_cluster()]))
        .mount(&server)
        .await;
    let update = ClusterUpdate::new()
        .labels(BTreeMap::from([("a".to_owned(), "1".to_owned())]))
        .credentials(&spec());

    client(&server)
        .clusters()
        .update(&cluster_server(), &update)
        .await
        .unwrap();

    assert_eq!(
        requests(&server).await,
        [
            "GET /api/v1/clusters?server=https%3A%2F%2F10.5.0.2%3A6443".to_owned(),
            format!("PUT {ENCODED}?updatedFields=config&updatedFields=labels"),
        ]
    );
    let body = body_of(&server, "PUT").await;
    assert_eq!(
        body.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["server", "config", "labels"]
    );
    assert!(body["config"]["tlsClientConfig"].get("certData").is_none());
}

#[tokio::test]
async fn an_empty_update_would_replace_everything_and_is_not_sent() {
    let server = server().await;

    let error = client(&server)
        .clusters()
        .update(&cluster_server(), &ClusterUpdate::new())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn updating_a_missing_cluster_does_not_claim_a_missing_right() {
    let server = server().await;
    Mock::given(method("PUT"))
        .respond_with(refusal(403, 7, "permission denied"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/session/userinfo"))
        .respond_with(ok(json!({"loggedIn": true})))
        .mount(&server)
        .await;

    let error = client(&server)
        .clusters()
        .update(&cluster_server(), &ClusterUpdate::new().name("x"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotFoundOrForbidden);
}

#[tokio::test]
async fn deleting_a_missing_cluster_sends_no_deletion() {
    let server = server().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;
    rights(&server, "clusters/get/*", true).await;

    assert!(
        !client(&server)
            .clusters()
            .delete(&cluster_server())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_cluster_with_applications_is_deleted_only_on_demand() {
    let server = server().await;
    let mut cluster = shown_cluster();
    cluster["info"]["applicationsCount"] = json!(3);
    Mock::given(method("GET"))
        .and(path("/api/v1/clusters"))
        .respond_with(items(&[cluster]))
        .mount(&server)
        .await;
    Mock::given(method("DELETE"))
        .and(path(ENCODED))
        .respond_with(ok(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(none())
        .mount(&server)
        .await;
    let clusters = client(&server).clusters();

    let error = clusters.delete(&cluster_server()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.message().contains('3'));

    assert!(
        clusters
            .delete_with_applications(&cluster_server())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn an_application_that_the_cached_count_does_not_know_prevents_the_deletion() {
    for destination in [
        json!({"server": format!("{SERVER}/")}),
        json!({"name": "lungmen"}),
    ] {
        let server = server().await;
        Mock::given(path("/api/v1/clusters"))
            .respond_with(items(&[shown_cluster()]))
            .mount(&server)
            .await;
        let application = json!({"metadata": {"name": "cilium", "namespace": "argocd"}, "spec": {"destination": destination}});
        Mock::given(path("/api/v1/applications"))
            .respond_with(items(&[application]))
            .mount(&server)
            .await;

        let error = client(&server)
            .clusters()
            .delete(&cluster_server())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::NotReady);
        assert!(error.message().contains("argocd/cilium"), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_is_not_deleted_while_rights_hide_applications() {
    let server = server().await;
    Mock::given(path("/api/v1/clusters"))
        .respond_with(items(&[shown_cluster()]))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(none())
        .mount(&server)
        .await;
    rights(&server, "applications/get/*/*", false).await;

    let error = client(&server)
        .clusters()
        .delete(&cluster_server())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_succeeds_at_the_second_attempt() {
    let server = server().await;
    let listed = Mock::given(method("GET")).and(path("/api/v1/clusters"));
    listed
        .respond_with(items(&[shown_cluster()]))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;
    Mock::given(method("DELETE"))
        .respond_with(ResponseTemplate::new(504))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("DELETE"))
        .respond_with(refusal(403, 7, "permission denied"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/applications"))
        .respond_with(none())
        .mount(&server)
        .await;
    rights(&server, "applications/get/*/*", true).await;

    assert!(
        patient(&server)
            .clusters()
            .delete(&cluster_server())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn credentials_are_rotated_once_even_when_the_answer_is_lost() {
    let server = server().await;
    let rotation = || Mock::given(method("POST")).and(path(format!("{ENCODED}/rotate-auth")));
    rotation()
        .respond_with(ok(json!({})))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    rotation()
        .respond_with(ResponseTemplate::new(504))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(items(&[shown_cluster()]))
        .mount(&server)
        .await;
    let clusters = patient(&server).clusters();

    clusters.rotate_auth(&cluster_server()).await.unwrap();
    let error = clusters.rotate_auth(&cluster_server()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.may_have_taken_effect());
    let rotations = requests(&server).await;
    let rotations = rotations
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!(rotations, 2);
}

#[tokio::test]
async fn a_cache_is_invalidated() {
    let server = server().await;
    let mut cluster = shown_cluster();
    cluster["refreshRequestedAt"] = json!("2025-08-20T10:05:00Z");
    Mock::given(method("POST"))
        .and(path(format!("{ENCODED}/invalidate-cache")))
        .respond_with(ok(cluster))
        .mount(&server)
        .await;

    let cluster = client(&server)
        .clusters()
        .invalidate_cache(&cluster_server())
        .await
        .unwrap();

    assert!(cluster.refresh_requested_at.is_some());
}

#[tokio::test]
async fn an_unmonitored_cluster_is_registered_but_not_monitored() {
    let server = server().await;
    let mut cluster = shown_cluster();
    cluster["info"]["connectionState"] = json!({"status": "Unknown", "message": "Cluster has no applications and is not being monitored.", "attemptedAt": "2025-08-20T10:00:10Z"});
    Mock::given(path("/api/v1/clusters"))
        .respond_with(items(&[cluster]))
        .mount(&server)
        .await;
    let clusters = client(&server).clusters();

    let found = clusters
        .wait_until_registered(&cluster_server(), FAST)
        .await
        .unwrap();
    assert_eq!(found.connection().status(), ConnectionStatus::NotMonitored);

    let error = clusters
        .wait_until_monitored(&cluster_server(), FAST)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error.message().contains("no application targets"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failed_connection_ends_the_wait_with_its_cause() {
    let server = server().await;
    let mut cluster = shown_cluster();
    cluster["info"]["connectionState"] = json!({
        "status": "Failed", "attemptedAt": null,
        "message": "failed to sync cluster https://10.5.0.2:6443: failed to load initial state: the server has asked for the client to provide credentials",
    });
    Mock::given(path("/api/v1/clusters"))
        .respond_with(items(&[cluster]))
        .mount(&server)
        .await;

    let error = client(&server)
        .clusters()
        .wait_until_monitored(&cluster_server(), FAST)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TargetUnauthenticated);
}
