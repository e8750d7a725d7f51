//! The state that the handlers and the start-up script share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::access::Tokens;
use super::apply::Ownership;
use super::authority::{Authority, ServingCertificate};
use super::builder::{MockNode, Settings};
use super::forward::Forwards;
use super::resource::{DEFINITIONS, Resource, by_kind, by_plural};
use super::store::{Key, Store};
use super::target::Target;
use super::{KubernetesEvent, Route};
use crate::mock::serve::{CallLog, Events, FaultQueue, IncomingRequest};

/// The state of a mock cluster.
#[derive(Debug)]
pub(super) struct ClusterState {
    pub(super) settings: Settings,
    pub(super) authority: Authority,
    pub(super) certificate: Arc<ServingCertificate>,
    nodes: Mutex<Vec<MockNode>>,
    pub(super) store: Arc<Store>,
    pub(super) tokens: Tokens,
    pub(super) ownership: Ownership,
    pub(super) forwards: Forwards,
    pub(super) faults: FaultQueue<Route>,
    pub(super) calls: CallLog<Route>,
    pub(super) events: Events<KubernetesEvent>,
    ready: AtomicBool,
    controllers: AtomicBool,
}

impl ClusterState {
    pub(super) fn new(
        settings: Settings,
        authority: Authority,
        certificate: Arc<ServingCertificate>,
    ) -> Self {
        Self {
            nodes: settings.machines().into(),
            settings,
            authority,
            certificate,
            store: Arc::new(Store::new()),
            tokens: Tokens::default(),
            ownership: Ownership::default(),
            forwards: Forwards::default(),
            faults: FaultQueue::default(),
            calls: CallLog::default(),
            events: Events::default(),
            ready: AtomicBool::new(false),
            controllers: AtomicBool::new(false),
        }
    }

    pub(super) fn nodes(&self) -> Vec<MockNode> {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds a node. Returns whether there was none of this name.
    pub(super) fn add_node(&self, node: &MockNode) -> bool {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = nodes.iter().all(|known| known.name != node.name);
        if is_new {
            nodes.push(node.clone());
        }
        is_new
    }

    /// Forgets a node: one of this name may be added again.
    pub(super) fn remove_node(&self, name: &str) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|node| node.name != name);
    }

    /// Whether the API server serves objects.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::SeqCst);
    }

    /// Whether kube-controller-manager runs.
    pub(super) fn has_controllers(&self) -> bool {
        self.controllers.load(Ordering::SeqCst)
    }

    pub(super) fn start_controllers(&self) {
        self.controllers.store(true, Ordering::SeqCst);
    }

    /// The resources of the definitions that are established.
    pub(super) fn custom_resources(&self) -> Vec<&'static Resource> {
        let Some(definitions) = by_plural(DEFINITIONS) else {
            return Vec::new();
        };
        let (_, definitions) = self.store.list(definitions, None);
        let established = definitions.iter().filter(|definition| {
            let conditions = definition["status"]["conditions"].as_array();
            conditions
                .into_iter()
                .flatten()
                .any(|one| one["type"] == "Established" && one["status"] == "True")
        });
        established.flat_map(Resource::defined_by).collect()
    }

    pub(super) fn target(&self, request: &IncomingRequest) -> Target {
        Target::of(request.uri.path(), &self.custom_resources())
    }

    /// Address and port of the first node, which clients in the cluster use.
    pub(super) fn public_address(&self) -> String {
        let nodes = self.nodes();
        let first = nodes.first().map(|node| node.address.to_string());
        format!("{}:6443", first.unwrap_or_default())
    }

    /// Writes an object under the identity in its metadata; unknown kinds are dropped.
    /// A resource by its plural, those of definitions included.
    pub(super) fn resource(&self, plural: &str) -> Option<&'static Resource> {
        by_plural(plural).or_else(|| {
            let mut custom = self.custom_resources().into_iter();
            custom.find(|resource| resource.plural == plural)
        })
    }

    pub(super) fn put(&self, object: &Value) -> Option<Value> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let custom = self.custom_resources();
        let mut custom = custom.into_iter();
        let resource = by_kind(&version, &kind).or_else(|| {
            custom.find(|resource| resource.kind == kind && resource.api_version() == version)
        })?;
        let metadata = &object["metadata"];
        let key = Key::new(
            resource,
            &text(&metadata["namespace"]),
            &text(&metadata["name"]),
        );
        Some(self.store.put(&key, object.clone()))
    }

    pub(super) fn emit(&self, event: KubernetesEvent) {
        self.events.emit(event);
    }
}
