//! The registration of a cluster, in all its ways to go.

use std::time::Duration;

use argocd_client::ErrorKind;
use argocd_client::cluster::{
    AwsAuth, CREDENTIALS_ANNOTATION, ClusterSpec, ExecProvider, OnExisting, RegistrationOutcome,
    ServerUrl,
};
use argocd_client::mock::{ArgoCdMock, Fault, Route};
use base64::Engine as _;
use secrecy::ExposeSecret;
use serde_json::json;
use wiremock::Mock;
use wiremock::matchers::{method, path};

use super::{
    CA, SERVER, body_of, client, cluster_server, items, none, ok, refusal, requests, server,
    shown_cluster, spec,
};

#[tokio::test]
async fn a_new_cluster_is_looked_up_by_address_and_name_and_then_created() {
    let server = server().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/clusters"))
        .respond_with(none())
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/clusters"))
        .respond_with(ok(shown_cluster()))
        .mount(&server)
        .await;

    let registration = client(&server).clusters().register(&spec()).await.unwrap();

    assert_eq!(registration.outcome, RegistrationOutcome::Created);
    assert_eq!(registration.cluster.kubernetes_version(), "v1.33.4");
    assert_eq!(
        requests(&server).await,
        [
            "GET /api/v1/clusters?server=https%3A%2F%2F10.5.0.2%3A6443",
            "GET /api/v1/clusters?name=lungmen",
            "POST /api/v1/clusters",
        ]
    );
    let ca = base64::engine::general_purpose::STANDARD.encode(CA);
    assert_eq!(
        body_of(&server, "POST").await,
        json!({
            "server": SERVER, "name": "lungmen",
            "config": {"bearerToken": "TOKEN", "tlsClientConfig": {"insecure": false, "caData": ca}},
            "labels": {"environment": "prod"},
        })
    );
}

#[tokio::test]
async fn refusals_of_a_creation_have_kinds() {
    let check = "error getting server version: failed to get server version: ";
    for (status, code, text, kind) in [
        (500, 2, format!("{check}Get \"https://10.5.0.2:6443/version?timeout=32s\": dial tcp 10.5.0.2:6443: connect: connection refused"), ErrorKind::TargetUnreachable),
        (500, 2, format!("{check}tls: failed to verify certificate: x509: certificate signed by unknown authority"), ErrorKind::TargetCertificate),
        (401, 16, format!("{check}the server has asked for the client to provide credentials"), ErrorKind::TargetUnauthenticated),
        (403, 7, "permission denied: clusters, create, https://10.5.0.2:6443, sub: ci, iat: 2026-01-01T00:00:00Z".to_owned(), ErrorKind::Forbidden),
        (400, 3, "cannot register cluster: in-cluster has been disabled".to_owned(), ErrorKind::Rejected),
    ] {
        let server = server().await;
        Mock::given(method("GET")).and(path("/api/v1/clusters")).respond_with(none()).mount(&server).await;
        Mock::given(method("POST")).respond_with(refusal(status, code, &text)).expect(1).mount(&server).await;
        Mock::given(path("/api/v1/session/userinfo")).respond_with(ok(json!({"loggedIn": true}))).mount(&server).await;

        let error = client(&server).clusters().register(&spec()).await.unwrap_err();

        assert_eq!(error.kind(), kind, "{text}");
        assert_eq!((error.operation(), error.target()), ("create cluster", SERVER));
        assert!(!error.may_have_taken_effect(), "{text}");
    }
}

#[tokio::test]
async fn a_bad_specification_is_refused_before_anything_is_sent() {
    let server = server().await;
    let spec = ClusterSpec::new(
        "a/b",
        "https://localhost:6443".parse().unwrap(),
        "t".into(),
        CA,
    );

    let error = client(&server)
        .clusters()
        .register(&spec)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn the_second_registration_changes_nothing_when_credentials_are_remembered() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    let spec = spec().remember_credentials();

    assert_eq!(
        clusters.register(&spec).await.unwrap().outcome,
        RegistrationOutcome::Created
    );
    assert_eq!(
        clusters.register(&spec).await.unwrap().outcome,
        RegistrationOutcome::Unchanged
    );

    argocd.assert_called(Route::ClusterCreate, 1);
    // The only update makes Argo CD try the stored credentials; it changes nothing.
    let updates: Vec<_> = argocd
        .calls()
        .into_iter()
        .filter(|call| call.route == Some(Route::ClusterUpdate))
        .collect();
    assert_eq!(updates.len(), 1);
    assert_eq!(
        updates[0].body,
        Some(json!({"server": SERVER, "name": "lungmen"}))
    );
}

#[tokio::test]
async fn new_credentials_replace_the_old_ones_and_nothing_else() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    clusters
        .register(&spec().label("team", "a").remember_credentials())
        .await
        .unwrap();
    let rotated = ClusterSpec::new("lungmen", cluster_server(), "ROTATED".into(), CA)
        .label("tier", "1")
        .remember_credentials();

    let registration = clusters.register(&rotated).await.unwrap();

    assert_eq!(
        registration.outcome,
        RegistrationOutcome::Updated(vec!["annotations", "config", "labels"])
    );
    let stored = argocd.cluster(SERVER).unwrap();
    assert_eq!(stored.bearer_token.unwrap().expose_secret(), "ROTATED");
    assert_eq!(stored.ca_pem.unwrap(), CA);
    assert!(!stored.has_client_certificate);
    assert_eq!(
        stored.labels.keys().collect::<Vec<_>>(),
        ["environment", "team", "tier"]
    );
}

#[tokio::test]
async fn without_a_hash_credentials_are_sent_again() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    clusters.register(&spec()).await.unwrap();

    assert_eq!(
        clusters.register(&spec()).await.unwrap().outcome,
        RegistrationOutcome::Updated(vec!["config"])
    );
    let reused = clusters
        .register(&spec().on_existing(OnExisting::Reuse))
        .await
        .unwrap();
    assert_eq!(reused.outcome, RegistrationOutcome::Unchanged);
    let error = clusters
        .register(&spec().on_existing(OnExisting::Fail))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        !argocd
            .cluster(SERVER)
            .unwrap()
            .annotations
            .contains_key(CREDENTIALS_ANNOTATION)
    );
}

#[tokio::test]
async fn a_name_that_belongs_to_another_cluster_is_a_conflict() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    let other = ClusterSpec::new(
        "lungmen",
        "https://10.9.9.9:6443".parse().unwrap(),
        "t".into(),
        CA,
    );
    clusters.register(&other).await.unwrap();

    let error = clusters.register(&spec()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("https://10.9.9.9:6443"));
    argocd.assert_called(Route::ClusterCreate, 1);
}

#[tokio::test]
async fn an_address_under_another_name_is_renamed_only_on_demand() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    clusters.register(&spec()).await.unwrap();
    let renamed = ClusterSpec::new("akn", cluster_server(), "TOKEN".into(), CA)
        .on_existing(OnExisting::Reuse);

    let error = clusters.register(&renamed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("lungmen"));

    let registration = clusters.register(&renamed.allow_rename()).await.unwrap();
    assert_eq!(
        registration.outcome,
        RegistrationOutcome::Updated(vec!["name"])
    );
    assert_eq!(argocd.cluster(SERVER).unwrap().name, "akn");
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_not_repeated() {
    let argocd = ArgoCdMock::start().await;
    argocd.fail_next(Route::ClusterCreate, Fault::DropResponse);

    let registration = argocd.client().clusters().register(&spec()).await.unwrap();

    assert_eq!(registration.outcome, RegistrationOutcome::Created);
    argocd.assert_called(Route::ClusterCreate, 1);
}

#[tokio::test]
async fn a_gateway_timeout_without_effect_is_reported() {
    let argocd = ArgoCdMock::start().await;
    argocd.fail_always(
        Route::ClusterCreate,
        Fault::Status(504, "gateway timeout".into()),
    );

    let error = argocd
        .client()
        .clusters()
        .register(&spec())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(argocd.cluster(SERVER).is_none());
}

#[tokio::test]
async fn somebody_who_registers_at_the_same_time_is_no_accident() {
    let server = server().await;
    let list = || Mock::given(method("GET")).and(path("/api/v1/clusters"));
    list()
        .respond_with(none())
        .up_to_n_times(2)
        .mount(&server)
        .await;
    let mut theirs = shown_cluster();
    theirs["labels"] = json!({"by": "other"});
    list().respond_with(items(&[theirs])).mount(&server).await;
    let different = "existing cluster spec is different; use upsert flag to force update; difference in keys \"Labels\"";
    Mock::given(method("POST"))
        .respond_with(refusal(400, 3, different))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .respond_with(ok(shown_cluster()))
        .mount(&server)
        .await;

    let registration = client(&server).clusters().register(&spec()).await.unwrap();

    assert_eq!(
        registration.outcome,
        RegistrationOutcome::Updated(vec!["config", "labels"])
    );
    assert_eq!(
        body_of(&server, "PUT").await["labels"],
        json!({"by": "other", "environment": "prod"})
    );
}

#[tokio::test]
async fn a_slow_cluster_may_take_longer_than_an_ordinary_request() {
    let argocd = ArgoCdMock::start().await;
    let slow = Duration::from_millis(300);
    argocd.fail_next(Route::ClusterCreate, Fault::Delay(slow));
    let client = argocd_client::Client::builder(
        argocd.endpoint(),
        argocd_client::Credentials::Token(argocd.token()),
    )
    .timeout(Duration::from_millis(200))
    .build()
    .unwrap();

    assert!(client.clusters().register(&spec()).await.is_ok());
}

#[tokio::test]
async fn logins_by_aws_and_by_a_program_are_created_and_kept_when_read() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    let at = |host: &str| ServerUrl::parse(&format!("https://{host}.example.com")).unwrap();
    let aws = AwsAuth::new("eks").role_arn("arn:aws:iam::1:role/argocd");
    let exec = ExecProvider::azure().env("AZURE_CLIENT_SECRET", "canary");

    let eks = ClusterSpec::with_aws("eks", at("eks"), aws.clone(), CA).remember_credentials();
    let aks = ClusterSpec::with_exec("aks", at("aks"), exec, CA).remember_credentials();
    for spec in [&eks, &aks] {
        clusters.register(spec).await.unwrap();
        // A label is changed without the login, which a list does not show whole.
        let labelled = spec.clone().label("team", "web");
        let outcome = clusters.register(&labelled).await.unwrap().outcome;
        assert_eq!(outcome, RegistrationOutcome::Updated(vec!["labels"]));
        let again = clusters.register(&labelled).await.unwrap().outcome;
        assert_eq!(again, RegistrationOutcome::Unchanged);
    }

    let shown = clusters.cluster(&at("eks")).await.unwrap();
    assert_eq!(shown.config.aws, Some(aws));
    let created = argocd.calls().into_iter().filter_map(|call| call.body);
    let created: Vec<_> = created
        .filter(|body| body["name"] == "aks" && body["config"].is_object())
        .collect();
    assert_eq!(created.len(), 1);
    assert_eq!(
        created[0]["config"]["execProviderConfig"]["args"],
        json!(["azure"])
    );
    let shown = format!(
        "{:?}{:?}",
        clusters.cluster(&at("aks")).await.unwrap(),
        argocd.calls()
    );
    assert!(!shown.contains("canary"));
}
