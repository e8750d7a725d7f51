//! COSI resources over gRPC.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, future};
use tonic::{Request, Response, Status};

use super::node::Node;
use super::server::Peer;
use super::store::StoredChange;
use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::state_server::{State, StateServer};

/// Types with their namespaces: those that mock nodes have, and others that bootstrappers ask for.
const TYPES: [(&str, &str); 23] = [
    ("BootIDs.runtime.talos.dev", "runtime"),
    ("Diagnostics.runtime.talos.dev", "runtime"),
    ("Disks.block.talos.dev", "runtime"),
    ("EtcdMembers.etcd.talos.dev", "etcd"),
    ("ExtensionStatuses.runtime.talos.dev", "runtime"),
    ("HostnameStatuses.net.talos.dev", "network"),
    ("MachineConfigs.config.talos.dev", "config"),
    ("MachineStatuses.runtime.talos.dev", "runtime"),
    ("MachineTypes.config.talos.dev", "config"),
    ("Members.cluster.talos.dev", "cluster"),
    ("NetworkStatuses.net.talos.dev", "network"),
    ("NodeAddresses.net.talos.dev", "network"),
    ("NodeStatuses.kubernetes.talos.dev", "k8s"),
    ("Nodenames.kubernetes.talos.dev", "k8s"),
    ("OSRootSecrets.secrets.talos.dev", "secrets"),
    ("PlatformMetadatas.talos.dev", "runtime"),
    ("SecurityStates.talos.dev", "runtime"),
    ("Services.v1alpha1.talos.dev", "runtime"),
    ("StaticPodStatuses.kubernetes.talos.dev", "k8s"),
    ("SystemDisks.block.talos.dev", "runtime"),
    ("SystemInformations.hardware.talos.dev", "hardware"),
    ("TimeStatuses.v1alpha1.talos.dev", "runtime"),
    ("Versions.runtime.talos.dev", "runtime"),
];

/// Readable for administrators only.
const SENSITIVE: [&str; 2] = [
    "MachineConfigs.config.talos.dev",
    "OSRootSecrets.secrets.talos.dev",
];

pub(super) struct StateService {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> StateServer<StateService> {
    StateServer::new(StateService {
        node: Arc::clone(node),
    })
}

type Reply<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// The access rules for a type and namespace.
fn check<T>(request: &Request<T>, kind: &str, namespace: &str) -> Result<(), Status> {
    let Some((_, expected)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        return Err(Status::permission_denied(format!(
            "resource type {kind:?} is not supported"
        )));
    };
    if *expected != namespace {
        return Err(Status::permission_denied(format!(
            "namespace {namespace:?} is not supported"
        )));
    }
    let roles = request
        .extensions()
        .get::<Arc<Peer>>()
        .and_then(|peer| peer.roles.as_deref())
        .unwrap_or_default();
    if SENSITIVE.contains(&kind) && !roles.iter().any(|role| role == "os:admin") {
        return Err(Status::permission_denied("not authorized"));
    }
    Ok(())
}

fn no_queries(label: &[pb::LabelQuery], id: Option<&pb::IdQuery>) -> Result<(), Status> {
    if label.is_empty() && id.is_none_or(|id| id.regexp.is_empty()) {
        Ok(())
    } else {
        Err(Status::unimplemented("the mock evaluates no queries"))
    }
}

#[tonic::async_trait]
impl State for StateService {
    async fn get(&self, request: Request<pb::GetRequest>) -> Reply<pb::GetResponse> {
        let asked = request.get_ref();
        check(&request, &asked.r#type, &asked.namespace)?;
        let found = self.node.store.get(&asked.r#type, &asked.id);
        let resource = found.ok_or_else(|| {
            Status::not_found(format!(
                "resource {}({}/{}@undefined) doesn't exist",
                asked.r#type, asked.namespace, asked.id
            ))
        })?;
        Ok(Response::new(pb::GetResponse {
            resource: Some(resource),
        }))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<Stream<pb::ListResponse>> {
        let asked = request.get_ref();
        check(&request, &asked.r#type, &asked.namespace)?;
        if let Some(options) = &asked.options {
            no_queries(&options.label_query, options.id_query.as_ref())?;
        }
        let found = self.node.store.list(&asked.r#type);
        let items = found.into_iter().map(|resource| {
            Ok(pb::ListResponse {
                resource: Some(resource),
            })
        });
        Ok(Response::new(stream::iter(items).boxed()))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Reply<Stream<pb::WatchResponse>> {
        check(
            &request,
            &request.get_ref().r#type,
            &request.get_ref().namespace,
        )?;
        let asked = request.into_inner();
        let release = self.node.version().release();
        let options = match asked.options {
            Some(options) => options,
            None if (release.major, release.minor) <= (1, 10) => {
                return Err(Status::internal(
                    "runtime error: invalid memory address or nil pointer dereference",
                ));
            }
            None => pb::WatchOptions::default(),
        };
        no_queries(&options.label_query, options.id_query.as_ref())?;
        if asked.id.is_some() && options.bootstrap_contents {
            return Err(Status::unimplemented(
                "bootstrap contents are not supported for a watch of one resource",
            ));
        }
        if options.tail_events != 0 || options.start_from_bookmark.is_some() {
            return Err(Status::unimplemented("the mock keeps no past events"));
        }

        let (present, position) = self.node.store.list_and_position(&asked.r#type);
        let mut first = match &asked.id {
            Some(id) => vec![current(&present, &asked.r#type, id)],
            None if options.bootstrap_contents => present.into_iter().map(created).collect(),
            None => Vec::new(),
        };
        // Without this version of the API the marker is dropped.
        if options.bootstrap_contents && asked.api_version > 0 {
            first.push(pb::Event {
                event_type: pb::EventType::Bootstrapped.into(),
                ..Default::default()
            });
        }
        let (kind, id) = (asked.r#type, asked.id);
        let changes = self.node.store.changes().follow(position);
        let later =
            changes.filter_map(move |change| future::ready(matching(change, &kind, id.as_deref())));
        let established = stream::iter([pb::WatchResponse::default()]);
        let events = stream::iter(first)
            .chain(later)
            .map(|event| pb::WatchResponse { event: vec![event] });
        Ok(Response::new(established.chain(events).map(Ok).boxed()))
    }
}

fn matching(change: StoredChange, kind: &str, id: Option<&str>) -> Option<pb::Event> {
    let (of, name) = &change.key;
    let is_meant = *of == kind && id.is_none_or(|id| id == name);
    is_meant.then_some(change.event)
}

fn created(resource: pb::Resource) -> pb::Event {
    pb::Event {
        resource: Some(resource),
        event_type: pb::EventType::Created.into(),
        ..Default::default()
    }
}

/// The first event of a watch of one resource: it, or a tombstone.
fn current(present: &[pb::Resource], kind: &str, id: &str) -> pb::Event {
    let is_meant = |resource: &&pb::Resource| {
        let metadata = resource.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.id == id)
    };
    match present.iter().find(is_meant) {
        Some(resource) => created(resource.clone()),
        None => pb::Event {
            resource: Some(pb::Resource {
                metadata: Some(pb::Metadata {
                    r#type: kind.to_owned(),
                    id: id.to_owned(),
                    version: "undefined".to_owned(),
                    phase: "running".to_owned(),
                    ..Default::default()
                }),
                spec: None,
            }),
            event_type: pb::EventType::Destroyed.into(),
            ..Default::default()
        },
    }
}
