//! A Kubernetes API server in the process, as a fresh Talos cluster has one.
//!
//! It speaks TLS with a certificate of the cluster's CA, knows administrators by client certificates of that CA and
//! ServiceAccounts by tokens it issued, and answers 401 to everybody else (Talos sets `anonymous-auth=false`). Objects
//! can be read, watched, created, applied server-side and deleted; the token controller fills token Secrets.
//!
//! The cluster comes up by a script: connections refused, 503, ready, nodes registered, static pods, network, nodes
//! ready, coredns. [`KubernetesTimings`] says how long each phase takes, [`KubernetesMock::events`] when it is over.
//!
//! It is strict: what it does not model is answered with 501 and named. Not modelled are PUT, patches other than
//! server-side apply, pages of lists, discovery, namespaced roles, and garbage collection other than of token Secrets.

mod access;
mod apply;
mod authority;
mod cluster_state;
mod config;
mod handler;
mod resource;
mod review;
mod selector;
mod startup;
mod status;
mod store;
mod talos;
mod watch;
mod write;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::Stream;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use url::Url;

use authority::Authority;
use cluster_state::World;
use resource::{Target, by_plural};
use store::Key;

pub use config::{KubernetesMockConfig, KubernetesTimings, MockNode};

use super::serve::{Bound, Call, Fault, serve};
use crate::services::kubernetes::{Client, Kubeconfig};
use crate::services::{Error, ErrorKind, Result};

/// A group of requests, for faults and assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KubernetesRoute {
    /// `/version`
    Version,
    /// `/readyz`, `/livez`, `/healthz`
    Health,
    /// Everything about Node objects.
    Nodes,
    /// Everything about Pod objects.
    Pods,
    /// Everything about Deployments and DaemonSets.
    Workloads,
    /// Everything about Secrets.
    Secrets,
    /// Everything about ServiceAccounts, token requests included.
    ServiceAccounts,
    /// Everything about ClusterRoles and ClusterRoleBindings.
    Rbac,
    /// `selfsubjectaccessreviews`
    AccessReview,
    /// Everything else the fake knows: namespaces, events, leases, …
    Other,
    /// What the fake does not know.
    Unknown,
}

impl KubernetesRoute {
    fn of(target: &Target) -> Self {
        let resource = match target {
            Target::Version => return Self::Version,
            Target::Health => return Self::Health,
            Target::AccessReview => return Self::AccessReview,
            Target::TokenRequest { .. } => return Self::ServiceAccounts,
            Target::Unknown => return Self::Unknown,
            Target::Collection { resource, .. } | Target::Object { resource, .. } => resource,
        };
        match resource.plural {
            "nodes" => Self::Nodes,
            "pods" => Self::Pods,
            "deployments" | "daemonsets" => Self::Workloads,
            "secrets" => Self::Secrets,
            "serviceaccounts" => Self::ServiceAccounts,
            "clusterroles" | "clusterrolebindings" => Self::Rbac,
            _ => Self::Other,
        }
    }
}

/// Something that happened in the faked cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KubernetesEvent {
    /// The port is open; everything answers 503.
    Listening,
    /// The API server serves objects.
    ApiReady,
    /// The kubelets have registered their nodes.
    NodesRegistered,
    /// API server, controller manager and scheduler are Ready.
    StaticPodsReady,
    /// Every node is Ready.
    NodesReady,
    /// The cluster is complete.
    Complete,
    /// The token controller has filled the Secret of this ServiceAccount.
    TokenIssued(String),
}

/// A faked API server; a cheap handle. It stops when [`KubernetesMock::stop`] is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct KubernetesMock {
    world: Arc<World>,
    address: SocketAddr,
    endpoint: Url,
    running: Arc<Mutex<JoinSet<()>>>,
}

impl KubernetesMock {
    /// Binds the address and lets the cluster come up in the background.
    ///
    /// # Errors
    ///
    /// `Configuration` when the CA cannot be used or the address is taken.
    pub async fn start(config: KubernetesMockConfig) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Configuration, "start Kubernetes mock")
                .with_message(error.to_string())
                .with_source(error)
        };
        let authority = Authority::load(&config.authority.0, &config.authority.1)?;
        let bound = Bound::take(config.listen).map_err(failed)?;
        let address = bound.address();
        let endpoint = Url::parse(&format!("https://{address}")).map_err(|error| {
            Error::new(ErrorKind::Configuration, "start Kubernetes mock")
                .with_message(error.to_string())
        })?;
        let (names, addresses) = (names(&config), addresses(&config, address.ip()));
        let world = Arc::new(World::new(config, authority));
        let signer = Arc::clone(&world);
        let signing =
            tokio::task::spawn_blocking(move || signer.authority.server_config(&names, &addresses));
        let tls = Arc::new(signing.await.map_err(|error| failed(error.into()))??);
        let mut running = JoinSet::new();
        running.spawn(startup::control_tokens(Arc::clone(&world)));
        let refused = world.config.timings.refused;
        let script = Arc::clone(&world);
        running.spawn(async move {
            if !refused.is_zero() {
                tokio::time::sleep(refused).await;
            }
            // The address is ours already: listening on it cannot be refused.
            let Ok(listener) = bound.listen() else {
                return;
            };
            let serving = serve(listener, Some(tls), Arc::clone(&script));
            script.emit(KubernetesEvent::Listening);
            tokio::join!(serving, startup::play(script));
        });
        Ok(Self {
            world,
            address,
            endpoint,
            running: Arc::new(Mutex::new(running)),
        })
    }

    /// Where it listens, for [`ClientBuilder::dial`](crate::services::kubernetes::ClientBuilder::dial).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL its certificate is good for.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.endpoint.clone()
    }

    /// A client with administrator rights.
    ///
    /// # Errors
    ///
    /// `Configuration` when no certificate can be issued.
    pub fn client(&self) -> Result<Client> {
        Client::builder(Kubeconfig::parse(&self.kubeconfig(&self.endpoint())?)?).build()
    }

    /// The kubeconfig a Talos node would hand out for `server`, with a new client certificate each time.
    ///
    /// # Errors
    ///
    /// `Configuration` when no certificate can be issued.
    pub fn kubeconfig(&self, server: &Url) -> Result<SecretString> {
        self.kubeconfig_of(server, "admin", Some("system:masters"))
    }

    /// A kubeconfig for somebody else: any user, in a group or in none.
    ///
    /// # Errors
    ///
    /// `Configuration` when no certificate can be issued.
    pub fn kubeconfig_of(
        &self,
        server: &Url,
        user: &str,
        group: Option<&str>,
    ) -> Result<SecretString> {
        let (certificate, key) = self.world.authority.issue(user, group)?;
        let cluster = &self.world.config.cluster;
        let encoded = |pem: &str| STANDARD.encode(pem);
        Ok(SecretString::from(format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: {user}@{cluster}\n  user:\n    \
             client-certificate-data: {certificate}\n    client-key-data: {key}\ncontexts:\n- context:\n    \
             cluster: {cluster}\n    namespace: default\n    user: {user}@{cluster}\n  name: {user}@{cluster}\n\
             current-context: {user}@{cluster}\n",
            ca = encoded(self.world.authority.pem()),
            certificate = encoded(&certificate),
            key = encoded(key.expose_secret()),
        )))
    }

    /// Answers the next request of `route` with `fault`.
    pub fn fail_next(&self, route: KubernetesRoute, fault: Fault) {
        self.world.faults.next(route, fault);
    }

    /// Answers every request of `route` with `fault`.
    pub fn fail_always(&self, route: KubernetesRoute, fault: Fault) {
        self.world.faults.always(route, fault);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.world.faults.clear();
    }

    /// Every request so far, the values of Secrets masked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world.calls.all()
    }

    /// Asserts how often `route` was called.
    ///
    /// # Panics
    ///
    /// When it was called more or less often; the message lists all calls.
    #[track_caller]
    pub fn assert_called(&self, route: KubernetesRoute, times: usize) {
        self.world.calls.assert(route, times);
    }

    /// What happens from now on.
    pub fn events(&self) -> impl Stream<Item = KubernetesEvent> + Send + use<> {
        let receiver = self.world.subscribe();
        futures_util::stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }

    /// Reads an object by the plural of its resource; an empty namespace for cluster-scoped ones.
    #[must_use]
    pub fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = by_plural(plural)?;
        self.world.store.get(&Key::new(resource, namespace, name))
    }

    /// Writes an object behind the API server's back, as a controller would. `None` when its kind is not known.
    #[must_use = "None means that the kind is not known"]
    pub fn put(&self, object: &Value) -> Option<Value> {
        self.world.put(object)
    }

    /// Forgets the history: watches that start from an older version get `410 Expired`, as after a compaction of etcd.
    pub fn compact(&self) {
        self.world.store.compact();
    }

    /// Closes the port and every connection, like a node that reboots. May be repeated.
    pub async fn stop(&self) {
        self.running.lock().await.shutdown().await;
    }
}

/// The names of the certificate, as Talos chooses them.
fn names(config: &KubernetesMockConfig) -> Vec<String> {
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    .map(str::to_owned)
    .into();
    names.extend(config.names.iter().cloned());
    names.extend(config.machines().into_iter().map(|machine| machine.name));
    names
}

/// The addresses of the certificate: every node's, and the one the fake really has.
fn addresses(config: &KubernetesMockConfig, own: IpAddr) -> Vec<IpAddr> {
    let mut addresses = vec![own, IpAddr::from([127, 0, 0, 1])];
    addresses.extend(config.machines().into_iter().map(|machine| machine.address));
    addresses.sort();
    addresses.dedup();
    addresses
}
