//! The script by which a cluster comes up, and the controllers that run in it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::KubernetesEvent;
use super::cluster_state::World;
use super::config::MockNode;
use super::resource::by_plural;
use super::store::{Key, now};
use super::talos::{self, PodSpec, STATIC_PODS};

/// Plays the start-up after the port is open.
pub(super) async fn play(world: Arc<World>) {
    let timings = world.config.timings;
    pause(timings.unready).await;
    install_defaults(&world);
    world.set_ready();
    world.emit(KubernetesEvent::ApiReady);

    pause(timings.registration).await;
    register(&world);
    world.emit(KubernetesEvent::NodesRegistered);

    pause(timings.static_pods).await;
    static_pods(&world, true);
    for lease in ["kube-controller-manager", "kube-scheduler"] {
        world.put(&talos::lease(lease, &now()));
    }
    world.start_controllers();
    world.emit(KubernetesEvent::StaticPodsReady);

    pause(timings.network).await;
    network(&world, true);
    if !world.config.flannel {
        // Nothing initialises the network, so the nodes never become ready and coredns is never scheduled.
        return;
    }
    pause(timings.nodes).await;
    nodes(&world, true);
    world.emit(KubernetesEvent::NodesReady);

    pause(timings.coredns).await;
    coredns(&world, true);
    world.emit(KubernetesEvent::Complete);
}

/// Fills token Secrets and removes those whose ServiceAccount is gone, as kube-controller-manager does.
pub(super) async fn control_tokens(world: Arc<World>) {
    let mut changed = world.store.subscribe();
    loop {
        if world.has_controllers() {
            for secret in waiting_secrets(&world) {
                settle(&world, secret).await;
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn install_defaults(world: &World) {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        world.put(&talos::namespace(name));
    }
    for object in talos::cluster_admin() {
        world.put(&object);
    }
}

/// Nodes and everything Talos' bootstrap manifests and static pod files bring, not ready yet.
fn register(world: &World) {
    nodes(world, false);
    static_pods(world, false);
    network(world, false);
    coredns(world, false);
}

fn nodes(world: &World, ready: bool) {
    for machine in world.config.machines() {
        world.put(&talos::node(&machine, &world.config, ready));
    }
}

fn static_pods(world: &World, ready: bool) {
    for machine in world
        .config
        .machines()
        .iter()
        .filter(|machine| machine.control_plane)
    {
        for app in STATIC_PODS {
            let name = format!("{app}-{}", machine.name);
            put_pod(world, (name, app), Some(machine), ready);
        }
    }
}

fn network(world: &World, ready: bool) {
    let sets = [
        ("kube-flannel", "flannel", world.config.flannel),
        ("kube-proxy", "kube-proxy", world.config.kube_proxy),
    ];
    for (name, app, _) in sets.into_iter().filter(|(_, _, wanted)| *wanted) {
        let machines = world.config.machines();
        for (number, machine) in machines.iter().enumerate() {
            put_pod(
                world,
                (format!("{name}-mock{number}"), app),
                Some(machine),
                ready,
            );
        }
        world.put(&talos::daemon_set(name, app, (machines.len(), ready)));
    }
}

fn coredns(world: &World, ready: bool) {
    if !world.config.coredns {
        return;
    }
    let machines = world.config.machines();
    let machine = machines.first().filter(|_| ready);
    for number in 0..2 {
        let name = format!("coredns-78d87fb69f-mock{number}");
        put_pod(world, (name, "kube-dns"), machine, ready);
    }
    world.put(&talos::coredns(ready));
}

fn put_pod(world: &World, (name, app): (String, &str), machine: Option<&MockNode>, ready: bool) {
    let spec = PodSpec {
        name,
        app,
        node: machine.map(|machine| machine.name.as_str()),
        static_pod: STATIC_PODS.contains(&app),
    };
    world.put(&talos::pod(&spec, ready));
}

/// The token Secrets that have no token, or no owner any more.
fn waiting_secrets(world: &World) -> Vec<Value> {
    let Some(resource) = by_plural("secrets") else {
        return Vec::new();
    };
    let (_, secrets) = world.store.list(resource, None);
    secrets
        .into_iter()
        .filter(|secret| secret["type"] == "kubernetes.io/service-account-token")
        .filter(|secret| secret["data"]["token"].is_null() || account(world, secret).is_none())
        .collect()
}

fn account(world: &World, secret: &Value) -> Option<Value> {
    let name = owner(secret)?;
    let key = Key::new(
        by_plural("serviceaccounts")?,
        secret["metadata"]["namespace"].as_str()?,
        name,
    );
    world.store.get(&key)
}

fn owner(secret: &Value) -> Option<&str> {
    secret["metadata"]["annotations"]["kubernetes.io/service-account.name"].as_str()
}

async fn settle(world: &World, mut secret: Value) {
    let metadata = &secret["metadata"];
    let (Some(resource), Some(namespace), Some(name)) = (
        by_plural("secrets"),
        metadata["namespace"].as_str().map(str::to_owned),
        metadata["name"].as_str(),
    ) else {
        return;
    };
    let key = Key::new(resource, &namespace, name);
    let Some(account) = account(world, &secret) else {
        world.store.delete(&key);
        return;
    };
    pause(world.config.timings.token).await;
    let Some(owner) = owner(&secret).map(str::to_owned) else {
        return;
    };
    let encoded = |text: &str| STANDARD.encode(text);
    secret["data"] = json!({
        "ca.crt": encoded(world.authority.pem()),
        "namespace": encoded(&namespace),
        "token": encoded(&world.tokens.issue(&namespace, &owner, Some(&key.name))),
    });
    secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] =
        account["metadata"]["uid"].clone();
    // The Secret may have been removed while the controller was busy.
    if world.store.get(&key).is_some() {
        world.store.put(&key, secret);
        world.emit(KubernetesEvent::TokenIssued(owner));
    }
}
