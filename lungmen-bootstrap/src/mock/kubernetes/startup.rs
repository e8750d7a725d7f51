//! The script by which a cluster comes up, and the controllers that run in it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::KubernetesEvent;
use super::builder::MockNode;
use super::cluster_state::ClusterState;
use super::resource::{DEFINITIONS, by_plural};
use super::store::{Key, now};
use super::talos::{self, PodSpec, STATIC_PODS};

const DAEMON_SETS: [&str; 2] = ["kube-flannel", "kube-proxy"];

/// Plays the start-up after the port is open.
pub(super) async fn play(cluster: Arc<ClusterState>) {
    let timings = cluster.settings.timings;
    pause(timings.unready).await;
    install_defaults(&cluster);
    cluster.set_ready();
    cluster.emit(KubernetesEvent::ApiReady);

    pause(timings.registration).await;
    register(&cluster);
    cluster.emit(KubernetesEvent::NodesRegistered);

    pause(timings.static_pods).await;
    static_pods(&cluster, true);
    for lease in ["kube-controller-manager", "kube-scheduler"] {
        cluster.put(&talos::lease(lease, &now()));
    }
    cluster.start_controllers();
    cluster.emit(KubernetesEvent::StaticPodsReady);

    pause(timings.network).await;
    network(&cluster, true);
    if !cluster.settings.flannel {
        // Nothing initialises the network, so the nodes never become ready and coredns is never scheduled.
        return;
    }
    pause(timings.nodes).await;
    nodes(&cluster, true);
    cluster.emit(KubernetesEvent::NodesReady);

    pause(timings.coredns).await;
    coredns(&cluster, true);
    cluster.emit(KubernetesEvent::Complete);
}

/// Registers a node that is added to a running cluster, and makes it ready.
pub(super) async fn join(cluster: &ClusterState, node: &MockNode) {
    let timings = cluster.settings.timings;
    pause(timings.registration).await;
    put_node(cluster, node, false);
    static_pods(cluster, true);
    network(cluster, true);
    if !cluster.settings.flannel {
        return;
    }
    pause(timings.nodes).await;
    put_node(cluster, node, true);
    cluster.emit(KubernetesEvent::NodesReady);
}

/// A node was deleted: its pods follow, as the garbage collector of kube-controller-manager does it (there after 40 s), and
/// DaemonSets count the nodes that are left.
pub(super) fn node_left(cluster: &ClusterState, name: &str) {
    cluster.remove_node(name);
    let Some(pods) = by_plural("pods") else {
        return;
    };
    for pod in cluster.store.list(pods, None).1 {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
        // Pods of DaemonSets are numbered by the nodes that are left.
        let is_numbered = DAEMON_SETS
            .iter()
            .any(|set| text("name").starts_with(&format!("{set}-mock")));
        if is_numbered || pod["spec"]["nodeName"] == name {
            cluster
                .store
                .delete(&Key::new(pods, text("namespace"), text("name")));
        }
    }
    if !cluster.nodes().is_empty() {
        network(cluster, true);
        coredns(cluster, true);
    }
}

/// Establishes CustomResourceDefinitions, fills token Secrets and removes those whose ServiceAccount is gone, as kube-controller-manager does.
pub(super) async fn control_tokens(cluster: Arc<ClusterState>) {
    let mut changed = cluster.store.subscribe();
    loop {
        for definition in new_definitions(&cluster) {
            establish(&cluster, definition).await;
        }
        if cluster.has_controllers() {
            for secret in waiting_secrets(&cluster) {
                settle(&cluster, secret).await;
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

fn install_defaults(cluster: &ClusterState) {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        cluster.put(&talos::namespace(name));
    }
    for object in talos::cluster_admin() {
        cluster.put(&object);
    }
    cluster.put(&talos::kubernetes_service());
}

/// Nodes and everything Talos' bootstrap manifests and static pod files bring, not ready yet.
fn register(cluster: &ClusterState) {
    nodes(cluster, false);
    static_pods(cluster, false);
    network(cluster, false);
    coredns(cluster, false);
}

fn nodes(cluster: &ClusterState, ready: bool) {
    for node in cluster.nodes() {
        put_node(cluster, &node, ready);
    }
}

fn put_node(cluster: &ClusterState, node: &MockNode, ready: bool) {
    cluster.put(&talos::node(node, &cluster.settings, ready));
}

fn static_pods(cluster: &ClusterState, ready: bool) {
    for machine in cluster
        .nodes()
        .iter()
        .filter(|machine| machine.control_plane)
    {
        for app in STATIC_PODS {
            let name = format!("{app}-{}", machine.name);
            put_pod(cluster, (name, app), Some(machine), ready);
        }
    }
}

fn network(cluster: &ClusterState, ready: bool) {
    let sets = [
        (DAEMON_SETS[0], "flannel", cluster.settings.flannel),
        (DAEMON_SETS[1], "kube-proxy", cluster.settings.kube_proxy),
    ];
    for (name, app, _) in sets.into_iter().filter(|(_, _, wanted)| *wanted) {
        let machines = cluster.nodes();
        for (number, machine) in machines.iter().enumerate() {
            put_pod(
                cluster,
                (format!("{name}-mock{number}"), app),
                Some(machine),
                ready,
            );
        }
        cluster.put(&talos::daemon_set(name, app, (machines.len(), ready)));
    }
}

fn coredns(cluster: &ClusterState, ready: bool) {
    if !cluster.settings.coredns {
        return;
    }
    let machines = cluster.nodes();
    let machine = machines.first().filter(|_| ready);
    for number in 0..2 {
        let name = format!("coredns-78d87fb69f-mock{number}");
        put_pod(cluster, (name, "kube-dns"), machine, ready);
    }
    cluster.put(&talos::coredns(ready));
    cluster.put(&talos::dns_service());
}

fn put_pod(
    cluster: &ClusterState,
    (name, app): (String, &str),
    machine: Option<&MockNode>,
    ready: bool,
) {
    let spec = PodSpec {
        name,
        app,
        node: machine.map(|machine| machine.name.as_str()),
        static_pod: STATIC_PODS.contains(&app),
    };
    cluster.put(&talos::pod(&spec, ready));
}

/// The CustomResourceDefinitions that the server has not accepted yet.
fn new_definitions(cluster: &ClusterState) -> Vec<Value> {
    let Some(resource) = by_plural(DEFINITIONS) else {
        return Vec::new();
    };
    let (_, mut definitions) = cluster.store.list(resource, None);
    definitions.retain(|definition| definition["status"]["conditions"].is_null());
    definitions
}

/// Accepts the names of a definition and serves its resource.
async fn establish(cluster: &ClusterState, mut definition: Value) {
    let Some(resource) = by_plural(DEFINITIONS) else {
        return;
    };
    pause(cluster.settings.timings.token).await;
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    let key = Key::new(resource, "", name);
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason,
            "message": message})
    };
    definition["status"]["conditions"] = json!([
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition(
            "Established",
            "InitialNamesAccepted",
            "the initial names have been accepted"
        ),
    ]);
    definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    if cluster.store.get(&key).is_some() {
        cluster.store.put(&key, definition);
    }
}

/// The token Secrets that have no token, or no owner any more.
fn waiting_secrets(cluster: &ClusterState) -> Vec<Value> {
    let Some(resource) = by_plural("secrets") else {
        return Vec::new();
    };
    let (_, secrets) = cluster.store.list(resource, None);
    secrets
        .into_iter()
        .filter(|secret| secret["type"] == "kubernetes.io/service-account-token")
        .filter(|secret| {
            secret["data"]["token"].is_null()
                || account(cluster, secret).is_none_or(|account| is_stale(secret, &account))
        })
        .collect()
}

fn account(cluster: &ClusterState, secret: &Value) -> Option<Value> {
    let name = owner(secret)?;
    let key = Key::new(
        by_plural("serviceaccounts")?,
        secret["metadata"]["namespace"].as_str()?,
        name,
    );
    cluster.store.get(&key)
}

/// Whether the Secret was filled for an account that was deleted and created again under the same name.
fn is_stale(secret: &Value, account: &Value) -> bool {
    let owner = &secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"];
    !owner.is_null() && *owner != account["metadata"]["uid"]
}

fn owner(secret: &Value) -> Option<&str> {
    secret["metadata"]["annotations"]["kubernetes.io/service-account.name"].as_str()
}

async fn settle(cluster: &ClusterState, mut secret: Value) {
    let metadata = &secret["metadata"];
    let (Some(resource), Some(namespace), Some(name)) = (
        by_plural("secrets"),
        metadata["namespace"].as_str().map(str::to_owned),
        metadata["name"].as_str(),
    ) else {
        return;
    };
    let key = Key::new(resource, &namespace, name);
    let found = account(cluster, &secret);
    let Some(account) = found.filter(|account| !is_stale(&secret, account)) else {
        // Another Secret of this name may exist by now.
        let present = cluster.store.get(&key);
        if present.is_some_and(|present| present["metadata"]["uid"] == secret["metadata"]["uid"]) {
            cluster.store.delete(&key);
        }
        return;
    };
    pause(cluster.settings.timings.token).await;
    let Some(owner) = owner(&secret).map(str::to_owned) else {
        return;
    };
    let encoded = |text: &str| STANDARD.encode(text);
    let uid = account["metadata"]["uid"].as_str().unwrap_or_default();
    let token = cluster
        .tokens
        .of_secret((&namespace, &owner, uid), &key.name);
    secret["data"] = json!({
        "ca.crt": encoded(cluster.authority.pem()),
        "namespace": encoded(&namespace),
        "token": encoded(&token),
    });
    secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] =
        account["metadata"]["uid"].clone();
    // The Secret may have been removed while the controller was busy.
    if cluster.store.get(&key).is_some() {
        cluster.store.put(&key, secret);
        cluster.emit(KubernetesEvent::TokenIssued(owner));
    }
}
