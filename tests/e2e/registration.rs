//! The registration in Argo CD: killed after any call, and healed when its credentials died.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use argocd_client::cluster::ServerUrl;
use argocd_client::mock::ClusterRecord;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lungmen_bootstrap::kubernetes::Kubeconfig;
use lungmen_bootstrap::{Event, EventKind, Outcome, StepId};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{World, outcome};

const SERVER: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";
const TOKEN: &str = "argocd-manager-long-lived-token";

fn calls(world: &World) -> usize {
    let kubernetes = world.lab.kubernetes().map_or(0, |mock| mock.calls().len());
    kubernetes + world.lab.argocd().calls().len()
}

/// Runs until the registration and drops the run as soon as that step has made this many calls. Whether the run ended
/// before.
async fn killed_after(world: &World, limit: usize) -> bool {
    let started = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&started);
    let bootstrap = world
        .builder()
        .observer(move |event: &Event| {
            if event.step == StepId::Register && matches!(event.kind, EventKind::StepStarted) {
                seen.store(true, Ordering::SeqCst);
            }
        })
        .build()
        .unwrap();
    let mut run = pin!(bootstrap.run_until(StepId::Register));
    let mut first = None;
    poll_fn(|context| {
        let made = calls(world);
        if first.is_some_and(|first| made >= first + limit) {
            return Poll::Ready(false);
        }
        let polled = run.as_mut().poll(context);
        if first.is_none() && started.load(Ordering::SeqCst) {
            // Every call of the steps before was answered before this poll.
            first = Some(made);
        }
        polled.map(|result| {
            result.unwrap_or_else(|error| panic!("{}", error.report()));
            true
        })
    })
    .await
}

async fn listed(world: &World, plural: &str) -> Vec<Value> {
    let request = http::Request::get(format!("/api/v1/namespaces/kube-system/{plural}"))
        .body(Vec::new())
        .unwrap();
    let mock = world.lab.kubernetes().unwrap();
    let response = mock
        .respond(Some(("admin", Some("system:masters"))), request)
        .await;
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let items = body["items"].as_array().unwrap().clone();
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    items
        .into_iter()
        .filter(|item| name(item).starts_with("argocd-manager"))
        .collect()
}

/// The one cluster in Argo CD, which has the one token of the one service account.
async fn registered_once(world: &World, when: &str) -> ClusterRecord {
    let [cluster] = <[ClusterRecord; 1]>::try_from(world.lab.argocd().clusters())
        .unwrap_or_else(|clusters| panic!("{when}: {clusters:?}"));
    assert_eq!(cluster.server, SERVER, "{when}");
    let (accounts, secrets) = (
        listed(world, "serviceaccounts").await,
        listed(world, "secrets").await,
    );
    assert_eq!((accounts.len(), secrets.len()), (1, 1), "{when}");
    let token = cluster.bearer_token.as_ref().unwrap().expose_secret();
    assert_eq!(
        secrets[0]["data"]["token"],
        STANDARD.encode(token),
        "{when}"
    );
    cluster
}

/// Takes everything back that the registration made.
async fn unregister(world: &World) {
    let server = ServerUrl::parse(SERVER).unwrap();
    let argocd = world.lab.argocd().client();
    argocd
        .clusters()
        .delete_with_applications(&server)
        .await
        .unwrap();
    let kubernetes = world.lab.kubernetes().unwrap().client();
    kubernetes.argocd_manager().delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_killed_after_each_call_and_repeated_ends_in_one_cluster_and_one_token() {
    let world = World::new().await;
    world.run_until(StepId::MergeTalosconfig).await.unwrap();
    let mut kills = BTreeMap::new();
    for limit in 1.. {
        assert!(limit < 100, "the registration never ends");
        let ended = killed_after(&world, limit).await;
        let when = format!("killed after call {limit}");

        world
            .run_until(StepId::Register)
            .await
            .unwrap_or_else(|error| panic!("{when}: {}", error.report()));

        registered_once(&world, &when).await;
        if ended {
            break;
        }
        kills.insert(limit, world.lab.argocd().clusters().len());
        unregister(&world).await;
    }
    // Four objects, a token and a cluster cannot be made in fewer calls.
    assert!(kills.len() >= 10, "{kills:?}");
}

/// The registration after something went wrong with it, and what the run did about it.
async fn healed(world: &World, what: &str) -> ClusterRecord {
    let run = world
        .run_until(StepId::Register)
        .await
        .unwrap_or_else(|error| panic!("{what}: {}", error.report()));
    assert_eq!(
        outcome(&run.steps, StepId::Register),
        Outcome::Done,
        "{what}"
    );
    let cluster = registered_once(world, what).await;
    let again = world.run_until(StepId::Register).await.unwrap();
    assert_eq!(
        outcome(&again.steps, StepId::Register),
        Outcome::AlreadyDone,
        "{what}"
    );
    cluster
}

fn token(cluster: &ClusterRecord) -> String {
    let token = cluster.bearer_token.as_ref().unwrap();
    token.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_credentials_are_healed_although_the_annotation_remembers_them() {
    let world = World::new().await;
    world.run_until(StepId::Register).await.unwrap();
    let (argocd, kubernetes) = (world.lab.argocd(), world.lab.kubernetes().unwrap());
    let first = registered_once(&world, "first").await;

    argocd.set_stored_token(SERVER, "aaa.bbb.ccc");
    let cluster = healed(&world, "another token in Argo CD").await;
    assert_eq!(token(&cluster), token(&first));

    kubernetes.replace_signing_key();
    let cluster = healed(&world, "another signing key").await;
    assert_ne!(token(&cluster), token(&first));

    kubernetes.delete("secrets", "kube-system", TOKEN);
    healed(&world, "a deleted token").await;

    kubernetes.delete("serviceaccounts", "kube-system", "argocd-manager");
    let second = healed(&world, "a deleted service account").await;
    assert_ne!(token(&second), token(&cluster));

    argocd.set_connection_failure(
        SERVER,
        Some("the server has asked for the client to provide credentials"),
    );
    healed(&world, "a failed connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_kubeconfig_is_used_and_none_is_written() {
    let world = World::new().await;
    world.run_until(StepId::EtcdBootstrap).await.unwrap();
    let endpoint = SERVER.parse().unwrap();
    let mock = world.lab.kubernetes().unwrap();
    let given = Kubeconfig::parse(&mock.kubeconfig_of(&endpoint, "boss", Some("system:masters")));

    let run = world
        .builder()
        .kubeconfig(given.unwrap())
        .build()
        .unwrap()
        .run_until(StepId::Verify)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    let step = run
        .steps
        .iter()
        .find(|step| step.step == StepId::Kubeconfig);
    assert_eq!(step.unwrap().summary, "context boss@lungmen.akn");
    assert!(!world.file("kubeconfig").exists());
    let notes: Vec<String> = world
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Note { text } => Some(text),
            _ => None,
        })
        .collect();
    for check in ["cluster DNS answers: OK", "reachable by its name: OK"] {
        assert!(
            notes.iter().any(|note| note.contains(check)),
            "{check}: {notes:?}"
        );
    }
}
