//! Credentials of a registered cluster that die: what notices it, and what replaces them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use argocd_client::ErrorKind;
use argocd_client::cluster::{CREDENTIALS_ANNOTATION, ClusterSpec, RegistrationOutcome};
use argocd_client::mock::{ArgoCdMock, Fault, Route};
use http::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{CA, SERVER, cluster_server};

const ENCODED: &str = "/api/v1/clusters/https%3A%2F%2F10.5.0.2%3A6443";

/// A cluster that accepts some tokens, and its Argo CD.
struct Installation {
    argocd: ArgoCdMock,
    accepted: Arc<Mutex<BTreeSet<String>>>,
}

impl Installation {
    async fn start() -> Self {
        let accepted = Arc::new(Mutex::new(BTreeSet::from(["TOKEN".to_owned()])));
        let known = Arc::clone(&accepted);
        let made = Arc::clone(&accepted);
        let argocd = ArgoCdMock::builder()
            .target_check(move |probe| {
                let token = probe
                    .bearer_token
                    .map(|token| token.expose_secret().to_owned());
                let accepted = token.is_some_and(|token| known.lock().unwrap().contains(&token));
                std::future::ready(if accepted {
                    Ok("v1.36.3".to_owned())
                } else {
                    Err("the server has asked for the client to provide credentials".to_owned())
                })
            })
            .token_rotation(move |_| {
                made.lock().unwrap().insert("ROTATED".to_owned());
                std::future::ready(Ok("ROTATED".to_owned()))
            })
            .start()
            .await;
        Self { argocd, accepted }
    }

    fn accept_only(&self, token: &str) {
        *self.accepted.lock().unwrap() = BTreeSet::from([token.to_owned()]);
    }

    fn stored_token(&self) -> String {
        let cluster = self.argocd.cluster(SERVER).unwrap();
        cluster.bearer_token.unwrap().expose_secret().to_owned()
    }

    fn remembers(&self) -> bool {
        let cluster = self.argocd.cluster(SERVER).unwrap();
        cluster.annotations.contains_key(CREDENTIALS_ANNOTATION)
    }
}

fn with_token(token: &str) -> ClusterSpec {
    ClusterSpec::new("lungmen", cluster_server(), token.into(), CA)
        .label("environment", "prod")
        .remember_credentials()
}

#[tokio::test]
async fn a_rotation_takes_the_annotation_of_the_old_token_away() {
    let installation = Installation::start().await;
    let clusters = installation.argocd.client().clusters();
    clusters.register(&with_token("TOKEN")).await.unwrap();
    assert!(installation.remembers());

    clusters.rotate_auth(&cluster_server()).await.unwrap();

    assert_eq!(installation.stored_token(), "ROTATED");
    assert!(!installation.remembers());
}

#[tokio::test]
async fn credentials_that_died_although_the_annotation_remembers_them_are_replaced() {
    let installation = Installation::start().await;
    let client = installation.argocd.client();
    client
        .clusters()
        .register(&with_token("TOKEN"))
        .await
        .unwrap();
    // Another client replaces the credentials; the server keeps the annotation.
    installation
        .accepted
        .lock()
        .unwrap()
        .insert("OTHER".to_owned());
    let other = json!({"server": SERVER, "config": {"bearerToken": "OTHER", "tlsClientConfig": {"insecure": false}}});
    client
        .raw(
            Method::PUT,
            ENCODED,
            &[("updatedFields", "config")],
            Some(&other),
        )
        .await
        .unwrap();
    assert!(installation.remembers());
    installation.accept_only("TOKEN");

    let healed = client
        .clusters()
        .register(&with_token("TOKEN"))
        .await
        .unwrap();
    let again = client
        .clusters()
        .register(&with_token("TOKEN"))
        .await
        .unwrap();

    assert_eq!(healed.outcome, RegistrationOutcome::Updated(vec!["config"]));
    assert_eq!(installation.stored_token(), "TOKEN");
    assert_eq!(again.outcome, RegistrationOutcome::Unchanged);
}

#[tokio::test]
async fn a_failed_connection_is_enough_to_send_the_credentials_again() {
    let installation = Installation::start().await;
    let clusters = installation.argocd.client().clusters();
    clusters.register(&with_token("TOKEN")).await.unwrap();
    installation.argocd.set_connection_failure(
        SERVER,
        Some("failed to sync cluster: the server has asked for the client to provide credentials"),
    );

    let healed = clusters.register(&with_token("TOKEN")).await.unwrap();

    assert_eq!(healed.outcome, RegistrationOutcome::Updated(vec!["config"]));
}

#[tokio::test]
async fn labels_of_a_cluster_with_dead_credentials_are_stored_with_new_ones() {
    let installation = Installation::start().await;
    let clusters = installation.argocd.client().clusters();
    clusters.register(&with_token("TOKEN")).await.unwrap();
    clusters.rotate_auth(&cluster_server()).await.unwrap();
    installation.accept_only("TOKEN");

    let wanted = with_token("TOKEN").label("tier", "1");
    let healed = clusters.register(&wanted).await.unwrap();

    assert_eq!(
        healed.outcome,
        RegistrationOutcome::Updated(vec!["annotations", "config", "labels"])
    );
    assert_eq!(installation.stored_token(), "TOKEN");
}

#[tokio::test]
async fn a_specification_whose_own_token_is_dead_is_refused_by_the_cluster() {
    let installation = Installation::start().await;
    let clusters = installation.argocd.client().clusters();
    clusters.register(&with_token("TOKEN")).await.unwrap();
    installation.accept_only("NEW");

    let error = clusters.register(&with_token("TOKEN")).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TargetUnauthenticated);
}

#[tokio::test]
async fn the_check_tells_whether_the_stored_credentials_are_alive() {
    let installation = Installation::start().await;
    let clusters = installation.argocd.client().clusters();
    clusters.register(&with_token("TOKEN")).await.unwrap();

    assert_eq!(
        clusters.check(&cluster_server()).await.unwrap().name,
        "lungmen"
    );
    installation.accept_only("NEW");
    let error = clusters.check(&cluster_server()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TargetUnauthenticated);
}

#[tokio::test]
async fn a_registration_that_is_cut_off_after_any_request_ends_in_one_cluster_when_repeated() {
    let routes = [
        Route::ClusterList,
        Route::ClusterCreate,
        Route::ClusterUpdate,
    ];
    for route in routes {
        for fault in [Fault::DropResponse, Fault::Disconnect] {
            let installation = Installation::start().await;
            let argocd = &installation.argocd;
            let client = argocd.client();
            argocd.fail_next(route, fault);
            // What is cut off may report an error; the repetition counts.
            let _ = client.clusters().register(&with_token("TOKEN")).await;

            client
                .clusters()
                .register(&with_token("TOKEN"))
                .await
                .unwrap();

            assert_eq!(argocd.clusters().len(), 1, "{route:?}");
            assert_eq!(installation.stored_token(), "TOKEN");
            assert!(installation.remembers());
        }
    }
}
