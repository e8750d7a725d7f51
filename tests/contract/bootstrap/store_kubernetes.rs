//! The store in a Kubernetes cluster.

use std::sync::Arc;
use std::time::Duration;

use lungmen_bootstrap::claim::{choose_bootstrap, claim};
use lungmen_bootstrap::kubernetes::VerifySpec;
use lungmen_bootstrap::lease::{Lease, LeaseOptions};
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
use lungmen_bootstrap::services::ErrorKind;
use lungmen_bootstrap::store::{KubernetesStore, SecretStore};
use serde_json::json;

use super::store_scenario::{self as scenario, bundle, wanted};

async fn cluster() -> KubernetesMock {
    let mock = KubernetesMock::builder()
        .timings(KubernetesTimings::fast())
        .start()
        .await;
    let spec = VerifySpec::new([]).interval(Duration::from_millis(5));
    mock.client().verify(&spec).await.unwrap();
    mock
}

fn store(mock: &KubernetesMock) -> KubernetesStore {
    KubernetesStore::new(mock.client(), "kube-system", "lungmen.akn")
}

#[tokio::test]
async fn it_keeps_what_every_store_promises() {
    let mock = cluster().await;
    scenario::holds(Arc::new(store(&mock))).await;
}

#[tokio::test]
async fn keys_of_others_in_the_secret_stay() {
    let mock = cluster().await;
    let store = store(&mock);
    claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
    let mut secret = mock
        .object("secrets", "kube-system", "lungmen.akn")
        .unwrap();
    secret["data"]["note"] = "eA==".into();
    secret["metadata"]["labels"]["owner"] = "me".into();
    mock.put(&secret).unwrap();

    choose_bootstrap(&store, "tal01", 1).await.unwrap();

    let kept = mock
        .object("secrets", "kube-system", "lungmen.akn")
        .unwrap();
    assert_eq!(kept["data"]["note"], "eA==");
    assert_eq!(kept["metadata"]["labels"]["owner"], "me");
    assert_eq!(kept["type"], "Opaque");
}

#[tokio::test]
async fn the_lease_object_shows_its_holder() {
    let mock = cluster().await;
    let lease = Lease::acquire(Arc::new(store(&mock)), LeaseOptions::default(), |_| {})
        .await
        .unwrap();

    let object = mock.object("leases", "kube-system", "lungmen.akn").unwrap();
    let holder = lease.holder();
    assert_eq!(
        object["spec"]["holderIdentity"],
        format!("{}@{}", holder.run, holder.host)
    );
    assert_eq!(object["spec"]["leaseDurationSeconds"], 30);

    lease.release().await.unwrap();
    let object = mock.object("leases", "kube-system", "lungmen.akn").unwrap();
    assert_eq!(object["spec"]["holderIdentity"], "");
}

#[tokio::test]
async fn a_secret_of_others_is_refused_and_stays() {
    let mock = cluster().await;
    let foreign = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "lungmen.akn", "namespace": "kube-system"}, "data": {"password": "aHVudGVyMg=="}});
    mock.put(&foreign).unwrap();

    let error = claim(&store(&mock), &wanted("lungmen.akn"), bundle)
        .await
        .unwrap_err();

    assert!(error.to_string().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
    let kept = mock
        .object("secrets", "kube-system", "lungmen.akn")
        .unwrap();
    assert_eq!(kept["data"], foreign["data"]);
}

#[tokio::test]
async fn the_preflight_names_a_missing_right_or_namespace() {
    let mock = cluster().await;
    let nobody = mock.kubeconfig_of(&mock.endpoint(), "nobody", None);
    let client = lungmen_bootstrap::kubernetes::Client::builder(
        lungmen_bootstrap::kubernetes::Kubeconfig::parse(&nobody).unwrap(),
    )
    .dial(mock.address())
    .build()
    .unwrap();

    let forbidden = KubernetesStore::new(client, "kube-system", "a")
        .preflight()
        .await
        .unwrap_err();
    let missing = KubernetesStore::new(mock.client(), "nowhere", "a")
        .preflight()
        .await
        .unwrap_err();

    assert_eq!(forbidden.kind(), ErrorKind::Forbidden);
    assert!(forbidden.message().contains("secrets"), "{forbidden}");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
