//! A mock Kubernetes API server in the process: that of a fresh Talos cluster.
//!
//! It serves TLS with a certificate of the cluster's CA, authenticates administrators by client certificates of that CA
//! and ServiceAccounts by the tokens it issued, and rejects everybody else with 401 (Talos sets `anonymous-auth=false`).
//! Objects can be read, listed in pages, watched, created, replaced, patched, applied server-side and deleted, with the
//! conflicts and finalizers of a real server; `kubectl get` works by its discovery and its tables. CustomResourceDefinitions
//! add resources. The token controller fills token Secrets.
//!
//! The cluster starts by a script: connections refused, 503, ready, nodes registered, static pods, network, nodes ready,
//! coredns. [`KubernetesTimings`] sets how long each phase takes, [`KubernetesMock::events`] reports when it ends.
//!
//! Requests that it does not model get 501 and are named, among them strategic merge patches, YAML and Protobuf responses, Protobuf bodies of other kinds than those of `argocd cluster add`,
//! and lists of an earlier version. Roles in a namespace grant nothing, of the schemas of custom resources types, bounds,
//! enumerations, required and unknown fields are checked, namespaces stay in the phase Terminating, and nothing but token Secrets is collected as garbage.

#![allow(
    clippy::expect_used,
    reason = "a mock that cannot be used ends the test"
)]

mod access;
mod apply;
mod authority;
mod authorize;
mod builder;
mod cluster_state;
mod delete;
mod discovery;
mod dns;
mod document;
mod drain;
mod event;
mod forward;
mod handler;
mod health;
mod list;
mod patch;
mod prepare;
mod protobuf;
mod representation;
mod resource;
mod review;
mod route;
mod scale;
mod schema;
mod selector;
mod startup;
mod status;
mod store;
mod talos;
mod target;
mod watch;
mod write;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use authority::{Authority, ServingCertificate};
use builder::{Settings, addresses, names};
use cluster_state::ClusterState;
use store::Key;

pub use builder::{KubernetesMockBuilder, KubernetesTimings, MockNode};
pub use event::KubernetesEvent;
pub use route::Route;

use super::serve::{Bound, Call, Fault, IncomingRequest, Service as _, serve};
use crate::services::kubernetes::{Client, Kubeconfig};
use crate::services::{Error, ErrorKind, Result, TlsTrust, certificates};

/// A mock API server; a cheap handle. It stops when [`KubernetesMock::stop`] is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct KubernetesMock {
    cluster: Arc<ClusterState>,
    address: SocketAddr,
    endpoint: Url,
    running: Arc<Mutex<JoinSet<()>>>,
}

impl KubernetesMock {
    /// Starts a cluster with the default settings.
    ///
    /// # Panics
    ///
    /// When no port is available on the loopback interface.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with other settings.
    pub fn builder() -> KubernetesMockBuilder {
        KubernetesMockBuilder::new()
    }

    fn launch(settings: Settings, authority: Authority) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Configuration, "start Kubernetes mock")
                .with_message(error.to_string())
                .with_source(error)
        };
        let bound = Bound::take(settings.listen).map_err(failed)?;
        let address = bound.address();
        let endpoint = Url::parse(&format!("https://{address}")).map_err(|error| {
            Error::new(ErrorKind::Configuration, "start Kubernetes mock")
                .with_message(error.to_string())
        })?;
        let nodes = settings.machines();
        let (names, addresses) = (
            names(&settings, &nodes),
            addresses(&settings, &nodes, address.ip()),
        );
        let key = authority.serving_key(&names, &addresses)?;
        let certificate = Arc::new(ServingCertificate::new(key));
        let tls = Arc::new(authority.server_config(Arc::clone(&certificate))?);
        let cluster = Arc::new(ClusterState::new(settings, authority, certificate));
        let mut running = JoinSet::new();
        running.spawn(startup::control_tokens(Arc::clone(&cluster)));
        let refused = cluster.settings.timings.refused;
        let script = Arc::clone(&cluster);
        running.spawn(async move {
            if !refused.is_zero() {
                tokio::time::sleep(refused).await;
            }
            // The address is bound already: listening on it cannot fail.
            let Ok(listener) = bound.listen() else {
                return;
            };
            let serving = serve(listener, Some(tls), Arc::clone(&script));
            script.emit(KubernetesEvent::Listening);
            tokio::join!(serving, startup::play(script));
        });
        Ok(Self {
            cluster,
            address,
            endpoint,
            running: Arc::new(Mutex::new(running)),
        })
    }

    /// Adds a control plane node, and renews the certificate of the API server for its address. The node registers and
    /// becomes ready within the timings of the cluster. Nothing happens when there is a node of this name.
    ///
    /// # Panics
    ///
    /// When no certificate can be issued.
    pub async fn add_control_plane(&self, name: impl Into<String>, address: IpAddr) {
        self.add_node(MockNode::control_plane(name, address)).await;
    }

    /// Adds a worker. The node registers and becomes ready within the timings of the cluster. Nothing happens when there is
    /// a node of this name.
    ///
    /// # Panics
    ///
    /// When no certificate can be issued.
    pub async fn add_worker(&self, name: impl Into<String>, address: IpAddr) {
        self.add_node(MockNode::worker(name, address)).await;
    }

    /// Adds a node. It registers and becomes ready within the timings of the cluster; etcd and the API server grow with a
    /// control plane. Nothing happens when there is a node of this name.
    ///
    /// # Panics
    ///
    /// When no certificate can be issued.
    pub async fn add_node(&self, node: MockNode) {
        if !self.cluster.add_node(&node) {
            return;
        }
        let (settings, nodes) = (&self.cluster.settings, self.cluster.nodes());
        let (names, addresses) = (
            names(settings, &nodes),
            addresses(settings, &nodes, self.address.ip()),
        );
        let key = self.cluster.authority.serving_key(&names, &addresses);
        self.cluster
            .certificate
            .renew(key.expect("the CA of the mock is valid"));
        // Before that the start-up registers all nodes.
        if self.cluster.is_ready() {
            startup::join(&self.cluster, &node).await;
        }
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
    /// # Panics
    ///
    /// When no certificate can be issued.
    #[must_use]
    pub fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::parse(&self.kubeconfig(&self.endpoint()));
        kubeconfig
            .and_then(|kubeconfig| Client::builder(kubeconfig).build())
            .expect("the kubeconfig of the mock is valid")
    }

    /// The trust that a client needs: the CA of the cluster.
    ///
    /// # Panics
    ///
    /// When the CA given to the builder is no certificate.
    #[must_use]
    pub fn trust(&self) -> TlsTrust {
        TlsTrust::from_pem(self.cluster.authority.pem()).expect("the CA of the mock is valid")
    }

    /// The kubeconfig that a Talos node issues for `server`, with a new client certificate each time.
    ///
    /// # Panics
    ///
    /// When no certificate can be issued.
    #[must_use]
    pub fn kubeconfig(&self, server: &Url) -> SecretString {
        self.kubeconfig_of(server, "admin", Some("system:masters"))
    }

    /// A kubeconfig of any user, in a group or in none.
    ///
    /// # Panics
    ///
    /// When no certificate can be issued.
    #[must_use]
    pub fn kubeconfig_of(&self, server: &Url, user: &str, group: Option<&str>) -> SecretString {
        let issued = self.cluster.authority.issue(user, group);
        let (certificate, key) = issued.expect("the CA of the mock is valid");
        let name = &self.cluster.settings.cluster_name;
        let encoded = |pem: &str| STANDARD.encode(pem);
        SecretString::from(format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: {user}@{name}\n  user:\n    \
             client-certificate-data: {certificate}\n    client-key-data: {key}\ncontexts:\n- context:\n    \
             cluster: {name}\n    namespace: default\n    user: {user}@{name}\n  name: {user}@{name}\n\
             current-context: {user}@{name}\n",
            ca = encoded(self.cluster.authority.pem()),
            certificate = encoded(&certificate),
            key = encoded(key.expose_secret()),
        ))
    }

    /// Makes the next request to `route` fail with `fault`. Calls are queued in order.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.cluster.faults.fail_next(route, fault);
    }

    /// Makes every request to `route` fail with `fault`, once the queued faults are used up.
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.cluster.faults.fail_always(route, fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.cluster.faults.clear();
    }

    /// All requests received so far, in order, with the values of Secrets masked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.cluster.calls.all()
    }

    /// The route of each request in [`calls`](Self::calls).
    #[must_use]
    pub fn called_routes(&self) -> Vec<Route> {
        self.cluster.calls.routes()
    }

    /// Asserts how many times `route` was called.
    ///
    /// # Panics
    ///
    /// When it was called more or less often; the message lists all calls.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        self.cluster.calls.assert(route, times);
    }

    /// What happens from now on.
    pub fn events(&self) -> impl Stream<Item = KubernetesEvent> + Send + use<> {
        self.cluster.events.stream()
    }

    /// The response to a request of `user` with this group, or without a client certificate, as if it had come over TLS. The
    /// body of a watch is what it sends within its time, at most two seconds.
    ///
    /// # Panics
    ///
    /// When no client certificate can be issued.
    pub async fn respond(
        &self,
        user: Option<(&str, Option<&str>)>,
        request: http::Request<Vec<u8>>,
    ) -> http::Response<Bytes> {
        let certificates = user.into_iter().flat_map(|(name, group)| {
            let issued = self.cluster.authority.issue(name, group);
            let (certificate, _) = issued.expect("the CA of the mock is valid");
            certificates(&certificate).expect("the certificate of the mock is valid")
        });
        let incoming = IncomingRequest::new(request, certificates.collect());
        let (parts, body) = self.cluster.handle(&incoming).into_parts();
        let mut chunks = body.into_data_stream();
        let (mut collected, end) = (Vec::new(), Instant::now() + Duration::from_secs(2));
        while let Ok(Some(Ok(chunk))) = timeout_at(end, chunks.next()).await {
            collected.extend_from_slice(&chunk);
        }
        http::Response::from_parts(parts, collected.into())
    }

    /// Reads an object by the plural of its resource; an empty namespace for cluster-scoped ones.
    #[must_use]
    pub fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = self.cluster.resource(plural)?;
        self.cluster.store.get(&Key::new(resource, namespace, name))
    }

    /// The names of the objects of a resource in a namespace; an empty namespace for cluster-scoped ones.
    #[must_use]
    pub fn names(&self, plural: &str, namespace: &str) -> Vec<String> {
        let Some(resource) = self.cluster.resource(plural) else {
            return Vec::new();
        };
        let (_, objects) = self.cluster.store.list(resource, Some(namespace));
        let name = |object: Value| object["metadata"]["name"].as_str().map(str::to_owned);
        objects.into_iter().filter_map(name).collect()
    }

    /// Writes an object like a controller, without a request. `None` when its kind is not known.
    #[must_use = "None means that the kind is not known"]
    pub fn put(&self, object: &Value) -> Option<Value> {
        self.cluster.put(object)
    }

    /// Deletes an object like a controller, without a request. Returns whether it existed.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) -> bool {
        self.cluster.resource(plural).is_some_and(|resource| {
            let key = Key::new(resource, namespace, name);
            self.cluster.ownership.forget(&key);
            self.cluster.store.delete(&key).is_some()
        })
    }

    /// Lets a port of the pods with this label lead to `address`, for port-forwards. Port 53 of coredns answers without it.
    pub fn serve_port(&self, label: (&str, &str), port: u16, address: SocketAddr) {
        self.cluster.forwards.add(label, port, address);
    }

    /// Makes coredns answer every question with `SERVFAIL`, until [`KubernetesMock::repair_dns`].
    pub fn break_dns(&self) {
        self.cluster.forwards.break_dns();
    }

    /// Makes coredns answer properly again.
    pub fn repair_dns(&self) {
        self.cluster.forwards.repair_dns();
    }

    /// Replaces the key that signs ServiceAccount tokens: every token of before is refused, also those in Secrets, which
    /// nobody signs again until they are created again.
    pub fn replace_signing_key(&self) {
        self.cluster.tokens.replace_key();
    }

    /// Discards the history: watches from an older version get `410 Expired`, as after a compaction of etcd.
    pub fn compact(&self) {
        self.cluster.store.compact();
    }

    /// Closes the port and every connection, like a node that reboots. May be repeated.
    pub async fn stop(&self) {
        self.running.lock().await.shutdown().await;
    }
}
