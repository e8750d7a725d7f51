//! The checks against the faked cluster, over TLS, from its first second on.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use lungmen_bootstrap::kubernetes::{
    Check, CheckName, CheckState, Client, Cni, Component, Kubeconfig, VerifySpec, Warning,
};
use lungmen_bootstrap::mock::Fault;
use lungmen_bootstrap::mock::kubernetes::{
    KubernetesEvent, KubernetesMock, KubernetesMockBuilder, KubernetesTimings, Route,
};
use lungmen_bootstrap::services::{Error, ErrorKind};
use serde_json::json;

const ENDPOINT: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";

fn config() -> KubernetesMockBuilder {
    KubernetesMock::builder()
        .name("kubernetes.lungmen.akn.chezmoi.sh")
        .timings(KubernetesTimings::fast())
}

async fn started(config: KubernetesMockBuilder) -> KubernetesMock {
    config.start().await
}

fn spec() -> VerifySpec {
    VerifySpec::new(["10.0.2.10".parse().unwrap()])
        .interval(Duration::from_millis(5))
        .deadline_each(Duration::from_secs(10))
}

/// A client that dials the fake but knows it by the name of the endpoint.
fn client(mock: &KubernetesMock) -> Client {
    let kubeconfig = mock.kubeconfig(&ENDPOINT.parse().unwrap());
    Client::builder(Kubeconfig::parse(&kubeconfig).unwrap())
        .dial(mock.address())
        .build()
        .unwrap()
}

async fn complete(mock: &KubernetesMock) {
    client(mock).verify(&spec()).await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_verified_from_a_closed_port_to_coredns() {
    let mock = started(config()).await;
    let seen = Mutex::new(Vec::<Check>::new());

    let health = client(&mock)
        .verify_observed(&spec(), |check| seen.lock().unwrap().push(check.clone()))
        .await
        .unwrap();

    assert_eq!(health.version.git_version, "v1.33.4");
    let names: Vec<_> = health.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, CheckName::ALL);
    assert!(
        health
            .checks
            .iter()
            .all(|check| check.state == CheckState::Passed)
    );
    assert_eq!(health.nodes[0].name, "tal01");
    assert_eq!(health.nodes[0].os_image, "Talos (v1.10.7)");
    assert!(health.nodes[0].control_plane && health.nodes[0].ready);
    assert!(health.warnings.is_empty(), "{:?}", health.warnings);
    let seen = seen.into_inner().unwrap();
    let first = seen.first().unwrap();
    assert_eq!(first.name, CheckName::ApiReachable);
    assert!(
        matches!(&first.state, CheckState::Waiting(cause) if cause.contains("refused")),
        "{first}"
    );
}

#[tokio::test]
async fn a_cluster_of_several_nodes_is_verified_by_address() {
    let mock = started(
        config()
            .control_plane("tal01", "10.0.2.10".parse().unwrap())
            .worker("tal02", "10.0.2.20".parse().unwrap()),
    )
    .await;
    let spec = spec().workers(["10.0.2.20".parse().unwrap()]);

    let health = client(&mock).verify(&spec).await.unwrap();

    assert_eq!(health.nodes.len(), 2);
    assert!(!health.nodes[1].control_plane);
}

#[tokio::test]
async fn a_node_that_never_registers_ends_in_a_deadline_naming_it() {
    let mock = started(config().timings(KubernetesTimings::instant())).await;
    let spec = VerifySpec::new(["10.0.2.11".parse().unwrap()])
        .interval(Duration::from_millis(5))
        .deadline(CheckName::NodesRegistered, Duration::from_millis(300));

    let error = client(&mock).verify(&spec).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.target(), CheckName::NodesRegistered.id());
    assert!(
        error.message().contains("10.0.2.11 has not registered"),
        "{error}"
    );
}

#[tokio::test]
async fn a_deadline_quotes_the_warnings_of_the_cluster() {
    let mock = started(config().timings(KubernetesTimings::instant()).without_cni()).await;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "kube-system"},
        "type": "Warning", "reason": "NetworkNotReady", "message": "no cni", "lastTimestamp": "2026-11-22T08:00:00Z",
        "involvedObject": {"kind": "Node", "name": "tal01"}});
    mock.put(&event).unwrap();
    let spec = spec()
        .cni(Cni::DaemonSet("cilium".to_owned()))
        .deadline(CheckName::Cni, Duration::from_millis(300));

    let error = client(&mock).verify(&spec).await.unwrap_err();

    assert!(
        error.message().contains("daemonset cilium does not exist"),
        "{error}"
    );
    assert!(
        error.message().contains("tal01: NetworkNotReady no cni"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_without_cni_is_verified_as_far_as_that_goes() {
    let mock = started(config().without_cni().without_kube_proxy()).await;
    let spec = spec().cni(Cni::None).disabled(Component::KubeProxy);

    let health = client(&mock).verify(&spec).await.unwrap();

    let skipped: Vec<_> = health
        .checks
        .iter()
        .filter(|check| matches!(check.state, CheckState::Skipped(_)))
        .map(|check| check.name)
        .collect();
    assert_eq!(
        skipped,
        [
            CheckName::Cni,
            CheckName::NodesReady,
            CheckName::KubeProxy,
            CheckName::CoreDns,
            CheckName::ClusterDns
        ]
    );
    assert!(!health.nodes[0].ready);
}

#[tokio::test]
async fn differences_that_do_not_matter_for_health_are_warnings() {
    let mock = started(config().tainted_control_planes().talos_version("1.10.6")).await;
    let spec = spec().kubernetes_version("v1.33.5").talos_version("1.10.7");

    let health = client(&mock).verify(&spec).await.unwrap();

    let texts: Vec<String> = health.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        texts,
        [
            "the API server runs v1.33.4, expected v1.33.5",
            "tal01 is the only node and does not schedule workloads; set cluster.allowSchedulingOnControlPlanes: true",
            "the kubelet of tal01 runs v1.33.4, expected v1.33.5",
            "tal01 runs Talos (v1.10.6), expected Talos (v1.10.7)",
        ]
    );
}

#[tokio::test]
async fn another_clusters_certificate_ends_the_wait_at_once() {
    let ours = started(config()).await;
    let theirs = started(config().timings(KubernetesTimings::instant())).await;
    let kubeconfig = ours.kubeconfig(&ENDPOINT.parse().unwrap());
    let client = Client::builder(Kubeconfig::parse(&kubeconfig).unwrap())
        .dial(theirs.address())
        .build()
        .unwrap();

    let error = client.verify(&spec()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
}

#[tokio::test]
async fn a_name_the_certificate_does_not_have_is_a_certificate_failure() {
    let mock = started(config()).await;
    complete(&mock).await;
    let kubeconfig = mock.kubeconfig(&"https://elsewhere.example:6443".parse().unwrap());
    let parsed = Kubeconfig::parse(&kubeconfig).unwrap();
    let wrong = Client::builder(parsed.clone())
        .dial(mock.address())
        .build()
        .unwrap();
    let right = Client::builder(parsed)
        .dial(mock.address())
        .server_name("kubernetes.lungmen.akn.chezmoi.sh")
        .build()
        .unwrap();

    assert_eq!(
        wrong.version().await.unwrap_err().kind(),
        ErrorKind::Certificate
    );
    assert!(right.version().await.is_ok());
}

#[tokio::test]
async fn nobody_is_anonymous_and_only_administrators_may_look() {
    let mock = started(config()).await;
    complete(&mock).await;
    let user = |name, group| -> Client {
        let text = mock.kubeconfig_of(&mock.endpoint(), name, group);
        Client::builder(Kubeconfig::parse(&text).unwrap())
            .build()
            .unwrap()
    };
    let unknown = client(&mock).with_token("unknown".into()).unwrap();
    let strict = spec().credentials_deadline(Duration::from_millis(20));

    let anonymous = unknown.verify(&strict).await.unwrap_err();
    let nobody = user("alice", None).verify(&strict).await.unwrap_err();

    assert_eq!(anonymous.kind(), ErrorKind::Unauthenticated, "{anonymous}");
    assert_eq!(nobody.kind(), ErrorKind::Forbidden, "{nobody}");
    assert!(
        user("admin", Some("system:masters"))
            .version()
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn broken_watches_and_forgotten_history_are_survived() {
    let mock = started(config()).await;
    for fault in [
        Fault::Disconnect,
        Fault::Status(503, "etcd".to_owned()),
        Fault::Disconnect,
    ] {
        mock.fail_next(Route::Nodes, fault.clone());
        mock.fail_next(Route::Pods, fault);
    }
    let mut registered = mock
        .events()
        .filter(|event| std::future::ready(*event == KubernetesEvent::NodesRegistered))
        .boxed();
    let verifying = client(&mock);
    let spec = spec();

    let (health, ()) = tokio::join!(verifying.verify(&spec), async {
        registered.next().await.unwrap();
        mock.compact();
    });

    assert_eq!(health.unwrap().checks.len(), CheckName::ALL.len());
}

#[tokio::test]
async fn a_cluster_with_the_authority_of_a_talos_secrets_bundle_is_verified() {
    let bundle = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/talos/secrets.yaml"
    ))
    .unwrap();
    let bundle: serde_yaml::Value = serde_yaml::from_slice(&bundle).unwrap();
    let pem = |key: &str| {
        let encoded = bundle["certs"]["k8s"][key].as_str().unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    };
    assert!(pem("key").contains("EC PRIVATE KEY"));
    let config = KubernetesMock::builder()
        .certificate_authority(pem("crt"), pem("key").into())
        .name("kubernetes.lungmen.akn.chezmoi.sh")
        .timings(KubernetesTimings::fast());
    let mock = started(config).await;

    complete(&mock).await;
    let access = client(&mock).argocd_manager().install().await.unwrap();

    assert_eq!(access.certificate_authority, pem("crt"));
    let expires = client(&mock).kubeconfig().expires().unwrap();
    assert!(expires > jiff::Timestamp::now());
}

#[tokio::test]
async fn a_stopped_server_refuses_connections() {
    let mock = started(config()).await;
    complete(&mock).await;

    mock.stop().await;

    let error: Error = client(&mock).version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn what_the_mock_does_not_model_is_rejected_by_name() {
    let mock = started(config()).await;
    complete(&mock).await;
    let client = client(&mock);
    let refused = [
        "/api/v1/nodes?unknown=parameter",
        "/api/v1/pods?resourceVersion=1&resourceVersionMatch=Exact",
        "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    ];

    for path in refused {
        let error = client.read(path).await.unwrap_err();
        assert_eq!(
            error.status(),
            Some(http::StatusCode::NOT_IMPLEMENTED),
            "{path}: {error}"
        );
        assert!(
            error.message().starts_with("KubernetesMock does not model"),
            "{error}"
        );
    }

    let absent = client
        .read("/api/v1/namespaces/kube-system/secrets/none")
        .await
        .unwrap_err();
    assert_eq!(absent.message(), "secrets \"none\" not found");
    let field = client
        .read("/api/v1/pods?fieldSelector=spec.x%3Dy")
        .await
        .unwrap_err();
    assert_eq!(field.message(), "field label not supported: spec.x");
    for path in ["/metrics", "/apis/batch/v1/jobs"] {
        let unknown = client.read(path).await.unwrap_err();
        assert!(unknown.is_not_found(), "{unknown}");
    }
    mock.assert_called(Route::Unknown, 2);
}

#[tokio::test]
async fn nodes_that_are_added_later_register_and_are_in_the_certificate() {
    let mock = started(config()).await;
    complete(&mock).await;
    let (second, worker) = ("10.0.2.11".parse().unwrap(), "10.0.2.20".parse().unwrap());

    mock.add_control_plane("tal02", second).await;
    mock.add_worker("wrk01", worker).await;
    mock.add_worker("wrk01", worker).await;

    let kubeconfig = mock.kubeconfig(&"https://10.0.2.11:6443".parse().unwrap());
    let client = Client::builder(Kubeconfig::parse(&kubeconfig).unwrap())
        .dial(mock.address())
        .build()
        .unwrap();
    let spec = VerifySpec::new(["10.0.2.10".parse().unwrap(), second])
        .workers([worker])
        .interval(Duration::from_millis(5))
        .deadline_each(Duration::from_secs(10));
    let health = client.verify(&spec).await.unwrap();
    assert_eq!(health.nodes.len(), 3);
    assert!(health.nodes.iter().all(|node| node.ready));
}
