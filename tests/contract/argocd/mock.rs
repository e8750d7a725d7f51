//! The mock behaves as the real server does, also where that is unpleasant.

use std::pin::pin;
use std::time::Duration;

use argocd_client::application::{
    AppRef, ApplicationSource, Cascade, Destination, NewApplication, SyncRequest, WaitFor,
};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Fault, MockEvent, Route, faults};
use argocd_client::{Client, Credentials, ErrorKind, Poll, RetryPolicy, TlsTrust};
use futures_util::StreamExt;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{SERVER, cluster_server, spec};

/// Sends text as it is and returns the answer as it is.
async fn exchange(argocd: &ArgoCdMock, request: &str) -> String {
    let endpoint = argocd.endpoint();
    let address = format!(
        "{}:{}",
        endpoint.host_str().unwrap(),
        endpoint.port().unwrap()
    );
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn request(argocd: &ArgoCdMock, line: &str, headers: &str) -> String {
    let token = argocd.token();
    let token = token.expose_secret();
    exchange(argocd, &format!("{line} HTTP/1.1\r\nhost: argocd\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_as_the_router_refuses_them() {
    let argocd = ArgoCdMock::start().await;

    for (line, status) in [
        ("GET /api/v1/nonsense", "404"),
        ("PATCH /api/v1/clusters", "405"),
        ("GET /api/v1/clusters/https://h:6443", "307"),
    ] {
        let answer = request(&argocd, line, "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_refused_as_the_server_refuses_it() {
    let argocd = ArgoCdMock::start().await;
    for headers in [
        "",
        "content-type: application/json; charset=utf-8\r\n",
        "content-type: text/plain\r\n",
    ] {
        let answer = request(&argocd, "DELETE /api/v1/clusters/x", headers).await;
        assert!(
            answer.starts_with("HTTP/1.1 415") && answer.ends_with("Invalid content type\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_unescaped_colon_is_not_found_and_other_paths_are_pages() {
    let argocd = ArgoCdMock::start().await;

    let colon = request(&argocd, "GET /api/v1/clusters/https:%2F%2Fh:6443", "").await;
    let page = request(&argocd, "GET /applications", "").await;

    assert!(colon.starts_with("HTTP/1.1 404") && colon.ends_with("Not Found\n"));
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/html"));
}

#[tokio::test]
async fn a_missing_cluster_is_a_403_and_reads_are_redacted() {
    let argocd = ArgoCdMock::start().await;
    let client = argocd.client();
    client.clusters().register(&spec()).await.unwrap();

    let missing = client
        .raw(
            Method::GET,
            "/api/v1/clusters/https%3A%2F%2Fnone",
            &[],
            None,
        )
        .await
        .unwrap_err();
    let shown = client
        .raw(
            Method::GET,
            "/api/v1/clusters/lungmen",
            &[("id.type", "name")],
            None,
        )
        .await
        .unwrap();

    assert_eq!(missing.kind(), ErrorKind::NotFoundOrForbidden);
    assert_eq!(
        shown["config"],
        json!({"tlsClientConfig": {"insecure": false}})
    );
    assert!(!shown.to_string().contains("TOKEN"));
}

#[tokio::test]
async fn a_put_without_fields_destroys_the_credentials() {
    let argocd = ArgoCdMock::start().await;
    let client = argocd.client();
    client.clusters().register(&spec()).await.unwrap();

    let path = "/api/v1/clusters/https%3A%2F%2F10.5.0.2%3A6443";
    client
        .raw(
            Method::PUT,
            path,
            &[],
            Some(&json!({"server": SERVER, "name": "lungmen"})),
        )
        .await
        .unwrap();

    let stored = argocd.cluster(SERVER).unwrap();
    assert!(stored.bearer_token.is_none() && stored.labels.is_empty());
}

#[tokio::test]
async fn a_second_creation_must_be_identical() {
    let argocd = ArgoCdMock::start().await;
    let client = argocd.client();
    let mut body = json!({"server": "https://h:6443", "name": "h", "config": {"bearerToken": "a", "tlsClientConfig": {"insecure": false}}});
    let create = async |body: &serde_json::Value| {
        client
            .raw(Method::POST, "/api/v1/clusters", &[], Some(body))
            .await
    };

    create(&body).await.unwrap();
    create(&body).await.unwrap();
    body["config"]["bearerToken"] = json!("b");
    let error = create(&body).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        error.message().ends_with(
            "difference in keys \"ID,Config,BearerToken,ObjectMeta,Name,ObjectMeta,Namespace\""
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_check_of_the_target_gets_the_credentials_and_decides() {
    let argocd = ArgoCdMock::builder()
        .target_check(async |probe| {
            let known = probe
                .bearer_token
                .is_some_and(|token| token.expose_secret() == "TOKEN")
                && probe.ca_pem.is_some();
            if known {
                Ok("v1.34.1".to_owned())
            } else {
                Err(format!(
                    "dial tcp {}: connect: connection refused",
                    probe.server
                ))
            }
        })
        .start()
        .await;
    let clusters = argocd.client().clusters();

    let cluster = clusters.register(&spec()).await.unwrap().cluster;
    assert_eq!(cluster.kubernetes_version(), "v1.34.1");

    let other = argocd_client::ClusterSpec::new(
        "other",
        ServerUrl::parse("https://other:6443").unwrap(),
        "x".into(),
        super::CA,
    );
    let error = clusters.register(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetUnreachable);
    assert!(argocd.cluster("https://other:6443").is_none());
}

#[tokio::test]
async fn versions_differ_where_the_real_ones_do() {
    for (version, kubernetes) in [
        ("v2.14.21", "1.33"),
        ("v3.3.2", "1.33"),
        ("v3.3.3", "v1.33.4"),
        ("v3.5.1+abc", "v1.33.4"),
    ] {
        let argocd = ArgoCdMock::builder().version(version).start().await;
        argocd.add_application(
            ApplicationSeed::new("a")
                .on_cluster("lungmen")
                .delays(Duration::ZERO, Duration::ZERO),
        );
        let client = argocd.client();
        let mut events = pin!(argocd.events());
        while events.next().await != Some(MockEvent::ApplicationHealthy { name: "a".into() }) {}

        let cluster = client.clusters().register(&spec()).await.unwrap().cluster;
        let listed = client
            .applications()
            .list_for(&argocd_client::application::Target::new(
                cluster_server(),
                "lungmen",
            ))
            .await
            .unwrap();

        assert_eq!(client.version().await.unwrap().version, version);
        assert_eq!(cluster.kubernetes_version(), kubernetes, "{version}");
        assert_eq!(
            listed[0].status.resources[0].health.is_some(),
            version.starts_with("v2"),
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_cluster_without_applications_is_soon_not_monitored() {
    let argocd = ArgoCdMock::builder()
        .monitor_delay(Duration::ZERO)
        .start()
        .await;
    let clusters = argocd.client().clusters();
    clusters.register(&spec()).await.unwrap();

    let cluster = clusters.cluster(&cluster_server()).await.unwrap();
    assert_eq!(
        cluster.connection().status(),
        ConnectionStatus::NotMonitored
    );

    argocd.set_connection_failure(
        SERVER,
        Some("failed to sync cluster https://10.5.0.2:6443: i/o timeout"),
    );
    let cluster = clusters.cluster(&cluster_server()).await.unwrap();
    assert_eq!(cluster.connection().status(), ConnectionStatus::Failed);
}

#[tokio::test]
async fn rights_can_be_taken_away() {
    let argocd = ArgoCdMock::builder()
        .deny("clusters", "create")
        .start()
        .await;
    let client = argocd.client();

    assert!(!client.can_i("clusters", "create", "*").await.unwrap());
    let error = client.clusters().register(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(
        error
            .message()
            .starts_with("permission denied: clusters, create, https://10.5.0.2:6443, sub: ci")
    );

    argocd.allow("clusters", "create");
    client.clusters().register(&spec()).await.unwrap();
    argocd.deny("clusters", "get");
    assert!(client.clusters().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn over_tls_the_certificate_is_checked() {
    let argocd = ArgoCdMock::builder()
        .tls()
        .root_path("/argocd")
        .start()
        .await;
    assert!(argocd.endpoint().as_str().starts_with("https://127.0.0.1:"));
    argocd.client().version().await.unwrap();

    let other_ca = TlsTrust::from_pem(super::CA).unwrap();
    let client = Client::builder(argocd.endpoint(), Credentials::Anonymous)
        .trust(other_ca)
        .build()
        .unwrap();
    let started = std::time::Instant::now();
    let error = client.version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(!error.is_retryable());
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "a certificate failure was repeated"
    );
}

#[tokio::test]
async fn plain_http_to_a_tls_server_is_redirected() {
    let argocd = ArgoCdMock::builder().tls().start().await;
    let plain = argocd.endpoint().as_str().replace("https://", "http://");

    let error = Client::builder(super::url(&plain), Credentials::Anonymous)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
        .version()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Redirected);
}

#[tokio::test]
async fn faults_come_as_ordered() {
    let argocd = ArgoCdMock::start().await;
    let client = Client::builder(argocd.endpoint(), Credentials::Token(argocd.token()))
        .retry(RetryPolicy::never())
        .timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let faults = [
        (
            Fault::Status(502, "bad gateway".into()),
            ErrorKind::Unavailable,
        ),
        (
            faults::rejected(16, "invalid session: token is revoked, please re-login"),
            ErrorKind::Unauthenticated,
        ),
        (
            Fault::RetryAfter(Duration::from_secs(7)),
            ErrorKind::Unavailable,
        ),
        (Fault::Delay(Duration::from_secs(5)), ErrorKind::Timeout),
        (Fault::Disconnect, ErrorKind::Interrupted),
        (Fault::DropResponse, ErrorKind::Interrupted),
        (Fault::TruncateBody(10), ErrorKind::Interrupted),
        (Fault::Garbage, ErrorKind::Decode),
    ];
    for (fault, kind) in faults {
        argocd.fail_next(Route::ClusterList, fault.clone());
        assert_eq!(
            client.clusters().list().await.unwrap_err().kind(),
            kind,
            "{fault:?}"
        );
    }
    assert!(client.clusters().list().await.is_ok());
}

#[tokio::test]
async fn events_tell_the_whole_story_and_calls_hide_the_secrets() {
    let argocd = ArgoCdMock::builder()
        .application_per_cluster(ApplicationSeed::new("{{name}}"))
        .start()
        .await;
    argocd.client().clusters().register(&spec()).await.unwrap();

    let events: Vec<MockEvent> = argocd.events().take(4).collect().await;

    let name = || "lungmen".to_owned();
    assert_eq!(
        events,
        [
            MockEvent::ClusterRegistered {
                server: SERVER.into(),
                name: name()
            },
            MockEvent::ApplicationCreated { name: name() },
            MockEvent::ApplicationSynced { name: name() },
            MockEvent::ApplicationHealthy { name: name() },
        ]
    );
    assert!(!format!("{:?} {argocd:?}", argocd.calls()).contains("\"TOKEN\""));
}

#[tokio::test]
async fn a_label_decides_which_clusters_get_applications() {
    let labels = [("tier".to_owned(), "1".to_owned())].into();
    let argocd = ArgoCdMock::builder()
        .application_per_cluster_with(labels, ApplicationSeed::new("{{name}}"))
        .start()
        .await;
    let clusters = argocd.client().clusters();

    clusters.register(&spec()).await.unwrap();
    assert!(argocd.applications().is_empty());
    clusters.register(&spec().label("tier", "1")).await.unwrap();
    assert_eq!(argocd.applications().len(), 1);
    clusters
        .delete_with_applications(&cluster_server())
        .await
        .unwrap();
    assert!(argocd.applications().is_empty());
}

fn web(destination: Destination) -> NewApplication {
    let source = ApplicationSource::git("https://git.example.com/r.git", "web", "HEAD");
    NewApplication::new("web", "default", source, destination)
}

#[tokio::test]
async fn an_application_is_created_once_and_must_have_a_known_destination() {
    let argocd = ArgoCdMock::start().await;
    let applications = argocd.client().applications();
    let automated =
        web(Destination::name("in-cluster")).sync_policy(json!({"automated": {"prune": true}}));

    applications.create(&automated).await.unwrap();
    applications.create(&automated).await.unwrap();
    let different = applications
        .create(&automated.clone().label("a", "1"))
        .await
        .unwrap_err();
    assert_eq!(different.kind(), ErrorKind::AlreadyExists);
    assert_eq!(argocd.applications().len(), 1);

    let error = applications
        .create(&web(Destination::name("nowhere")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(
        error
            .message()
            .ends_with("there are no clusters with this name: nowhere"),
        "{error}"
    );

    let poll = Poll::every(Duration::from_millis(3)).deadline(Duration::from_secs(10));
    let outcome = applications
        .wait(&AppRef::new("web"), &WaitFor::default(), poll)
        .await
        .unwrap();
    outcome.into_ready().unwrap();
}

#[tokio::test]
async fn a_second_sync_is_refused_while_the_first_runs() {
    let argocd = ArgoCdMock::start().await;
    let applications = argocd.client().applications();
    applications
        .create(&web(Destination::name("in-cluster")))
        .await
        .unwrap();
    let web = AppRef::new("web")
        .in_namespace("argocd")
        .in_project("default");

    let started = applications.sync(&web, &SyncRequest::new()).await.unwrap();
    assert!(started.operation.is_some());
    let error = applications
        .sync(&web, &SyncRequest::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperationInProgress);

    let missing = applications
        .sync(
            &AppRef::new("none").in_project("default"),
            &SyncRequest::new(),
        )
        .await
        .unwrap_err();
    assert!(missing.is_not_found());
    let poll = Poll::every(Duration::from_millis(2)).deadline(Duration::from_secs(10));
    let gone = applications
        .delete_and_wait(&web, Cascade::Delete, poll)
        .await;
    assert!(gone.unwrap());
    assert!(!applications.delete(&web, Cascade::Delete).await.unwrap());
}
