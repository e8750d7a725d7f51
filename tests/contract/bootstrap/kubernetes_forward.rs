//! Port-forwards through the API server, and what the checks do with them.

use std::time::Duration;

use argocd_client::mock::ArgoCdMock;
use lungmen_bootstrap::kubernetes::{
    CheckName, CheckState, Client, ClusterHealth, Kubeconfig, VerifySpec,
};
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
use lungmen_bootstrap::services::ErrorKind;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn mock() -> KubernetesMock {
    KubernetesMock::builder()
        .timings(KubernetesTimings::instant())
        .start()
        .await
}

fn spec() -> VerifySpec {
    VerifySpec::new(["10.0.2.10".parse().unwrap()])
        .interval(Duration::from_millis(5))
        .deadline_each(Duration::from_secs(10))
}

fn state(health: &ClusterHealth, name: CheckName) -> CheckState {
    let check = health.checks.iter().find(|check| check.name == name);
    check.unwrap().state.clone()
}

fn pod(namespace: &str, name: &str, ready: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name}},
        "spec": {"containers": [{"name": "c", "image": "c"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

#[tokio::test]
async fn coredns_that_is_ready_and_does_not_answer_fails_its_check() {
    let mock = mock().await;
    mock.break_dns();
    let spec = spec().deadline(CheckName::ClusterDns, Duration::from_millis(300));

    let error = mock.client().verify(&spec).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.target(), "cluster-dns");
    assert!(error.message().contains("SERVFAIL"), "{error}");

    mock.repair_dns();
    let health = mock.client().verify(&spec).await.unwrap();
    assert_eq!(state(&health, CheckName::ClusterDns), CheckState::Passed);
}

#[tokio::test]
async fn a_cluster_with_another_dns_domain_is_asked_for_its_own_names() {
    let mock = KubernetesMock::builder()
        .timings(KubernetesTimings::instant())
        .dns_domain("lungmen.akn")
        .start()
        .await;
    let strict = spec().deadline(CheckName::ClusterDns, Duration::from_millis(300));

    let error = mock.client().verify(&strict).await.unwrap_err();
    assert!(error.message().contains("NXDOMAIN"), "{error}");

    mock.client()
        .verify(&strict.dns_domain("lungmen.akn"))
        .await
        .unwrap();
}

#[tokio::test]
async fn host_names_are_compared_without_their_domain() {
    let mock = mock().await;
    let address = "10.0.2.10".parse().unwrap();
    let named = |name: &str| {
        spec()
            .host_name(address, name)
            .deadline(CheckName::NodeNames, Duration::from_millis(300))
    };

    mock.client()
        .verify(&named("TAL01.example.org"))
        .await
        .unwrap();
    let error = mock.client().verify(&named("tal02")).await.unwrap_err();

    assert_eq!(error.target(), "node-names");
    assert!(error.message().contains("expected \"tal02\""), "{error}");
}

#[tokio::test]
async fn what_a_cluster_works_without_is_reported_and_not_waited_for() {
    let mock = mock().await;
    mock.client().verify(&spec()).await.unwrap();
    mock.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}))
        .unwrap();
    mock.put(&pod("web", "shop", "False")).unwrap();
    mock.put(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": "web"},
        "spec": {"type": "ClusterIP", "selector": {"app.kubernetes.io/name": "shop"}}}))
        .unwrap();
    mock.put(
        &json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": "web"}, "spec": {"rules": [{"host": "shop.example.org"}]}}),
    )
    .unwrap();

    let health = mock
        .client()
        .verify(&spec().kubernetes_version("1.99.0"))
        .await
        .unwrap();

    for (name, text) in [
        (CheckName::AllPods, "web/shop"),
        (CheckName::Services, "web/shop (no ready pod)"),
        (CheckName::Ingresses, "web/shop"),
        (CheckName::Versions, "expected v1.99.0"),
    ] {
        match state(&health, name) {
            CheckState::Warned(reason) => assert!(reason.contains(text), "{name}: {reason}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let survey = health.survey.unwrap();
    assert_eq!(survey.namespaces["web"].unready, ["shop"]);
    assert_eq!(survey.namespaces["kube-system"].ready, 7);
    assert_eq!(survey.ingresses[0].hosts, ["shop.example.org"]);
}

#[tokio::test]
async fn argo_cd_without_an_address_is_reached_through_the_cluster() {
    let (mock, argocd) = (mock().await, ArgoCdMock::start().await);
    mock.client().verify(&spec()).await.unwrap();
    mock.put(&pod("argocd", "argocd-server", "True")).unwrap();
    let address = argocd.endpoint().socket_addrs(|| None).unwrap()[0];
    mock.serve_port(("app.kubernetes.io/name", "argocd-server"), 8080, address);

    let forward = mock
        .client()
        .forward("argocd", "app.kubernetes.io/name=argocd-server", 8080)
        .await
        .unwrap();
    let endpoint = format!("http://{}", forward.address()).parse().unwrap();
    let token = argocd_client::Credentials::token(argocd.token().expose_secret());
    let client = argocd_client::Client::builder(endpoint, token)
        .build()
        .unwrap();

    let clusters = client.clusters().list().await.unwrap();
    assert_eq!(clusters[0].name, "in-cluster");

    let address = forward.address();
    drop(forward);
    tokio::task::yield_now().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn pods_that_cannot_be_reached_have_kinds() {
    let mock = mock().await;
    mock.client().verify(&spec()).await.unwrap();
    mock.put(&pod("argocd", "waiting", "False")).unwrap();
    mock.put(&pod("argocd", "silent", "True")).unwrap();
    let client = mock.client();
    let viewer = mock.kubeconfig_of(&mock.endpoint(), "viewer", None);
    let viewer = Client::builder(Kubeconfig::parse(&viewer).unwrap())
        .build()
        .unwrap();

    let missing = client
        .connect_pod("argocd", "nobody", 80)
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(missing.target(), "argocd/nobody:80");
    let refused = viewer
        .connect_pod("argocd", "silent", 80)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let waiting = client
        .forward("argocd", "app.kubernetes.io/name=waiting", 80)
        .await
        .unwrap_err();
    assert_eq!(waiting.kind(), ErrorKind::NotReady);

    let mut silent = client.connect_pod("argocd", "silent", 80).await.unwrap();
    // The write may find the connection closed already.
    drop(silent.write_all(b"hello").await);
    let mut answer = Vec::new();
    assert_eq!(silent.read_to_end(&mut answer).await.unwrap_or(0), 0);
}
