//! COSI resources over gRPC.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, future};
use tonic::{Request, Response, Status};

use super::definitions;
use super::node::Node;
use super::selection::Selection;
use super::server::Peer;
use super::store::StoredChange;
use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::state_server::{State, StateServer};

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

/// The access rules for a type and namespace, in the order of the policy of nodes.
fn check<T>(node: &Node, request: &Request<T>, kind: &str, namespace: &str) -> Result<(), Status> {
    let minor = node.minor();
    let Some(definition) = definitions::find(minor, kind) else {
        return Err(Status::permission_denied(format!(
            "resource type {kind:?} is not supported"
        )));
    };
    let roles = request
        .extensions()
        .get::<Arc<Peer>>()
        .and_then(|peer| peer.roles.as_deref())
        .unwrap_or_default();
    if definition.is_sensitive && !roles.iter().any(|role| role == "os:admin") {
        return Err(Status::permission_denied("not authorized"));
    }
    if definitions::namespaces(minor).any(|known| known == namespace) {
        Ok(())
    } else {
        Err(Status::permission_denied(format!(
            "namespace {namespace:?} is not supported"
        )))
    }
}

/// What exists of a type, and where in the changes it stands.
fn present(node: &Node, kind: &str, namespace: &str) -> (Vec<pb::Resource>, usize) {
    match definitions::resources(kind, node.minor()) {
        Some(found) if namespace == "meta" => (found, node.store.changes().len()),
        Some(_) => (Vec::new(), node.store.changes().len()),
        None => node.store.list(kind, namespace),
    }
}

#[tonic::async_trait]
impl State for StateService {
    async fn get(&self, request: Request<pb::GetRequest>) -> Reply<pb::GetResponse> {
        let asked = request.get_ref();
        check(&self.node, &request, &asked.r#type, &asked.namespace)?;
        let found = match definitions::resources(&asked.r#type, self.node.minor()) {
            Some(all) => all.into_iter().find(|found| {
                let metadata = found.metadata.as_ref();
                metadata.is_some_and(|of| of.id == asked.id && of.namespace == asked.namespace)
            }),
            None => self
                .node
                .store
                .get(&asked.r#type, &asked.namespace, &asked.id),
        };
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
        check(&self.node, &request, &asked.r#type, &asked.namespace)?;
        let options = asked.options.clone().unwrap_or_default();
        let selection = Selection::read(options.label_query, options.id_query)?;
        let (found, _) = present(&self.node, &asked.r#type, &asked.namespace);
        let found = found
            .into_iter()
            .filter(move |resource| selection.selects(resource));
        let items = found.map(|resource| {
            Ok(pb::ListResponse {
                resource: Some(resource),
            })
        });
        Ok(Response::new(stream::iter(items).boxed()))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Reply<Stream<pb::WatchResponse>> {
        check(
            &self.node,
            &request,
            &request.get_ref().r#type,
            &request.get_ref().namespace,
        )?;
        let watch = Watch::read(&self.node, request.into_inner())?;
        let (first, position) = watch.beginning(&self.node)?;
        let node = Arc::clone(&self.node);
        let later = self
            .node
            .store
            .changes()
            .follow(position)
            .enumerate()
            .filter_map(move |(offset, change)| {
                let index = position.saturating_add(offset);
                let bookmark = node
                    .store
                    .bookmark(i64::try_from(index).unwrap_or(i64::MAX));
                future::ready(watch.event(change, bookmark))
            });
        let established = stream::iter([pb::WatchResponse::default()]);
        let events = stream::iter(first)
            .chain(later)
            .map(|event| pb::WatchResponse { event: vec![event] });
        Ok(Response::new(established.chain(events).map(Ok).boxed()))
    }
}

/// A watch that was read.
struct Watch {
    kind: String,
    namespace: String,
    id: Option<String>,
    options: pb::WatchOptions,
    selection: Selection,
    /// Without this version of the API the marker is dropped.
    marks_the_end: bool,
}

impl Watch {
    fn read(node: &Node, asked: pb::WatchRequest) -> Result<Self, Status> {
        let options = match asked.options {
            Some(options) => options,
            None if node.minor() <= 10 => {
                return Err(Status::internal(
                    "runtime error: invalid memory address or nil pointer dereference",
                ));
            }
            None => pb::WatchOptions::default(),
        };
        if asked.id.is_some() && options.bootstrap_contents {
            return Err(Status::unimplemented(
                "bootstrap contents is not implemented for resource watch",
            ));
        }
        if asked.id.is_some() && !options.label_query.is_empty() {
            return Err(Status::unimplemented(
                "label query is not implemented for resource watch",
            ));
        }
        let later = options.tail_events > 0 || options.start_from_bookmark.is_some();
        if options.tail_events > 0 && options.start_from_bookmark.is_some() {
            return Err(Status::unknown(
                "cannot use both TailEvents and StartFromBookmark options",
            ));
        }
        if options.bootstrap_contents && later {
            return Err(Status::unknown(
                "cannot use BootstrapContents with TailEvents and StartFromBookmark options",
            ));
        }
        Ok(Self {
            selection: Selection::read(options.label_query.clone(), options.id_query.clone())?,
            marks_the_end: asked.api_version > 0,
            kind: asked.r#type,
            namespace: asked.namespace,
            id: asked.id,
            options,
        })
    }

    /// The events before those of changes, and the first change.
    fn beginning(&self, node: &Node) -> Result<(Vec<pb::Event>, usize), Status> {
        let changes = node.store.changes();
        if let Some(bookmark) = &self.options.start_from_bookmark {
            let next = node.store.after_bookmark(bookmark);
            let next = next.ok_or_else(|| Status::failed_precondition("invalid watch bookmark"))?;
            return Ok((Vec::new(), next));
        }
        if let Ok(count @ 1..) = usize::try_from(self.options.tail_events) {
            return Ok((
                Vec::new(),
                changes.tail(count, |change| self.is_meant(change)),
            ));
        }
        let (present, position) = present(node, &self.kind, &self.namespace);
        let last = i64::try_from(position)
            .unwrap_or(i64::MAX)
            .saturating_sub(1);
        let first = match &self.id {
            Some(id) => vec![current(&present, &self.kind, &self.namespace, id)],
            None if self.options.bootstrap_contents => {
                let selected = present
                    .into_iter()
                    .filter(|found| self.selection.selects(found));
                let marker = pb::Event {
                    event_type: pb::EventType::Bootstrapped.into(),
                    ..Default::default()
                };
                let marker = self.marks_the_end.then_some(marker);
                let with_bookmark = |event| pb::Event {
                    bookmark: Some(node.store.bookmark(last)),
                    ..event
                };
                selected
                    .map(created)
                    .chain(marker)
                    .map(with_bookmark)
                    .collect()
            }
            None => Vec::new(),
        };
        Ok((first, position))
    }

    fn is_meant(&self, change: &StoredChange) -> bool {
        let (of, name) = &change.key;
        let metadata = change
            .event
            .resource
            .as_ref()
            .and_then(|resource| resource.metadata.as_ref());
        *of == self.kind
            && self.id.as_ref().is_none_or(|id| id == name)
            && metadata.is_some_and(|metadata| metadata.namespace == self.namespace)
    }

    /// The event of a change for this watch. With a query an update can be a creation or the end of a resource.
    fn event(&self, change: StoredChange, bookmark: Vec<u8>) -> Option<pb::Event> {
        if !self.is_meant(&change) {
            return None;
        }
        let mut event = change.event;
        let selects = |of: &Option<pb::Resource>| {
            of.as_ref()
                .is_some_and(|found| self.selection.selects(found))
        };
        let kind = match (
            event.event_type(),
            selects(&event.old),
            selects(&event.resource),
        ) {
            (pb::EventType::Updated, false, true) => pb::EventType::Created,
            (pb::EventType::Updated, true, false) => pb::EventType::Destroyed,
            (_, _, false) => return None,
            (kind, _, true) => kind,
        };
        event.event_type = kind.into();
        event.bookmark = Some(bookmark);
        Some(event)
    }
}

fn created(resource: pb::Resource) -> pb::Event {
    pb::Event {
        resource: Some(resource),
        event_type: pb::EventType::Created.into(),
        ..Default::default()
    }
}

/// The first event of a watch of one resource: it, or a tombstone.
fn current(present: &[pb::Resource], kind: &str, namespace: &str, id: &str) -> pb::Event {
    let is_meant = |resource: &&pb::Resource| {
        let metadata = resource.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.id == id)
    };
    match present.iter().find(is_meant) {
        Some(resource) => created(resource.clone()),
        None => pb::Event {
            resource: Some(pb::Resource {
                metadata: Some(pb::Metadata {
                    namespace: namespace.to_owned(),
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
