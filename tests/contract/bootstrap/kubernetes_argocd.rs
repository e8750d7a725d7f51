//! The account of Argo CD on the faked cluster.

use std::time::Duration;

use lungmen_bootstrap::kubernetes::ManagerObject;
use lungmen_bootstrap::mock::Fault;
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings, Route};
use lungmen_bootstrap::services::ErrorKind;
use secrecy::ExposeSecret;
use serde_json::json;

async fn cluster() -> KubernetesMock {
    let mock = KubernetesMock::builder()
        .timings(KubernetesTimings::fast())
        .start()
        .await;
    let spec =
        lungmen_bootstrap::kubernetes::VerifySpec::new([]).interval(Duration::from_millis(5));
    mock.client().verify(&spec).await.unwrap();
    mock
}

#[tokio::test]
async fn the_account_is_made_once_and_then_left_alone() {
    let mock = cluster().await;
    let manager = mock.client().argocd_manager();

    let first = manager.install().await.unwrap();
    let second = manager.install().await.unwrap();

    assert_eq!(first.created.len(), 4);
    assert!(second.created.is_empty());
    assert_eq!(
        first.bearer_token.expose_secret(),
        second.bearer_token.expose_secret()
    );
    assert_eq!(first.server, mock.endpoint());
    assert!(first.certificate_authority.contains("BEGIN CERTIFICATE"));
    assert!(manager.observe().await.unwrap().is_complete());
    assert!(!format!("{first:?}").contains(first.bearer_token.expose_secret()));
}

#[tokio::test]
async fn the_objects_are_those_of_argocd_cluster_add() {
    let mock = cluster().await;

    mock.client().argocd_manager().install().await.unwrap();

    let role = mock
        .object("clusterroles", "", "argocd-manager-role")
        .unwrap();
    assert_eq!(
        role["rules"],
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}])
    );
    let secret = mock
        .object("secrets", "kube-system", "argocd-manager-long-lived-token")
        .unwrap();
    assert_eq!(secret["type"], "kubernetes.io/service-account-token");
    assert_eq!(
        secret["metadata"]["annotations"]["kubernetes.io/service-account.name"],
        "argocd-manager"
    );
    let applied: Vec<_> = mock
        .calls()
        .into_iter()
        .filter(|call| call.method == "PATCH")
        .collect();
    assert_eq!(applied.len(), 4);
    assert!(
        applied
            .iter()
            .all(|call| call.query == "force=true&fieldManager=lungmen-bootstrap")
    );
}

#[tokio::test]
async fn the_new_token_may_do_everything_and_an_unknown_one_is_nobody() {
    let mock = cluster().await;
    let client = mock.client();
    let access = client.argocd_manager().install().await.unwrap();

    let as_argocd = client.with_token(access.bearer_token.clone()).unwrap();

    assert!(
        as_argocd
            .argocd_manager()
            .observe()
            .await
            .unwrap()
            .is_complete()
    );
    let refused = client
        .argocd_manager()
        .permits_everything(&"x".into())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_binding_to_another_role_is_replaced() {
    let mock = cluster().await;
    mock.put(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "argocd-manager-role-binding"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": []}))
        .unwrap();
    let manager = mock.client().argocd_manager();
    let before = manager.observe().await.unwrap();
    assert!(before.outdated.contains(&ManagerObject::ClusterRoleBinding));

    manager.install().await.unwrap();

    assert!(manager.observe().await.unwrap().is_complete());
}

#[tokio::test]
async fn interruptions_are_repeated_and_refusals_are_not() {
    let mock = cluster().await;
    mock.fail_next(Route::ServiceAccounts, Fault::Disconnect);
    mock.fail_next(Route::Rbac, Fault::Status(503, "starting".to_owned()));
    let manager = mock.client().argocd_manager();
    manager.install().await.unwrap();

    mock.fail_always(Route::Rbac, Fault::Status(403, "no".to_owned()));
    let error = manager.install().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_token_that_never_comes_ends_in_a_deadline() {
    let mut timings = KubernetesTimings::fast();
    timings.token = Duration::from_secs(60);
    let mock = KubernetesMock::builder().timings(timings).start().await;
    let spec =
        lungmen_bootstrap::kubernetes::VerifySpec::new([]).interval(Duration::from_millis(5));
    let client = mock.client();
    client.verify(&spec).await.unwrap();

    let error = client
        .argocd_manager()
        .token_deadline(Duration::from_millis(200))
        .install()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error.message().contains("kube-controller-manager"),
        "{error}"
    );
}

#[tokio::test]
async fn removal_takes_everything_and_the_token_with_it() {
    let mock = cluster().await;
    let client = mock.client();
    let manager = client.argocd_manager();
    let access = manager.install().await.unwrap();

    assert_eq!(manager.delete().await.unwrap().len(), 4);
    assert!(manager.delete().await.unwrap().is_empty());

    assert_eq!(manager.observe().await.unwrap().missing.len(), 4);
    let error = manager
        .permits_everything(&access.bearer_token)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

fn service_account() -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "argocd-manager", "namespace": "kube-system"}})
}

#[tokio::test]
async fn an_account_that_was_created_again_gets_a_new_token() {
    let mock = cluster().await;
    let manager = mock.client().argocd_manager();
    let first = manager.install().await.unwrap();
    let secret = mock
        .object("secrets", "kube-system", "argocd-manager-long-lived-token")
        .unwrap();

    mock.delete("serviceaccounts", "kube-system", "argocd-manager");
    mock.put(&service_account()).unwrap();
    // As a backup that is restored: the Secret of the old account, with its uid and its token.
    mock.put(&secret).unwrap();
    assert!(manager.find().await.unwrap().is_none());
    let second = manager.install().await.unwrap();

    assert_ne!(
        first.bearer_token.expose_secret(),
        second.bearer_token.expose_secret()
    );
    assert!(
        manager
            .permits_everything(&second.bearer_token)
            .await
            .unwrap()
    );
    let stale = manager.permits_everything(&first.bearer_token).await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_reported_before_anything_is_created() {
    let secrets = [
        (
            json!({"type": "Opaque", "data": {"token": "aGk="}}),
            "Opaque",
        ),
        (
            json!({"type": "kubernetes.io/service-account-token", "metadata": {"annotations":
                {"kubernetes.io/service-account.name": "default"}}}),
            "\"default\"",
        ),
    ];
    for (content, expected) in secrets {
        let mock = cluster().await;
        let mut secret = content;
        secret["apiVersion"] = "v1".into();
        secret["kind"] = "Secret".into();
        secret["metadata"]["name"] = "argocd-manager-long-lived-token".into();
        secret["metadata"]["namespace"] = "kube-system".into();
        let mut owner = service_account();
        owner["metadata"]["name"] = "default".into();
        mock.put(&owner).unwrap();
        mock.put(&secret).unwrap();
        let manager = mock.client().argocd_manager();

        let error = manager.install().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(
            error.target(),
            "kube-system/argocd-manager-long-lived-token"
        );
        assert!(error.message().contains(expected), "{error}");
        assert!(mock.calls().iter().all(|call| call.method == "GET"));
    }
}
