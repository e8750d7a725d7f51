//! Logs and events of a mock node.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use tonic::Status;

use super::{Stream, data, once, pieces};
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;
use crate::mock::content::Content;
use crate::mock::node::Node;
use crate::mock::services;

pub(super) fn ids(node: &Node, _: &()) -> Result<pb::LogsContainer, Status> {
    Ok(pb::LogsContainer {
        metadata: None,
        ids: registered(node).into_iter().collect(),
    })
}

/// The logs that machined keeps: of what runs, of itself, and of what the mock was built with.
fn registered(node: &Node) -> BTreeSet<String> {
    let services = services::list(node).into_iter().map(|service| service.id);
    let always = ["controller-runtime", "kernel", "machined"];
    services
        .chain(always.map(ToOwned::to_owned))
        .chain(node.setup.logs.keys().cloned())
        .collect()
}

pub(super) fn logs(node: &Node, asked: &pb::LogsRequest) -> Result<Stream<Data>, Status> {
    let is_service = asked.namespace == "system" || asked.id == "kubelet";
    if is_service && !registered(node).contains(&asked.id) {
        let text = format!("log {:?} was not registered", asked.id);
        return Err(Status::unknown(text));
    }
    // A negative number asks for the whole log.
    let tail = u64::try_from(asked.tail_lines).ok();
    Ok(followed(
        pieces(&content(node, &asked.id, tail)),
        asked.follow,
    ))
}

/// A stream that is followed ends with the node's run.
fn followed<T: Send + 'static>(stream: Stream<T>, is_followed: bool) -> Stream<T> {
    if is_followed {
        stream.chain(stream::pending()).boxed()
    } else {
        stream
    }
}

/// The log of a service, or its last lines: one line, or as many as the mock was built with.
pub(in crate::mock) fn content(node: &Node, id: &str, tail: Option<u64>) -> Content {
    let line = format!("{id}: log of the mock\n");
    let length = line.len() as u64;
    let lines = (node.setup.logs.get(id)).map_or(1, |size| size.div_ceil(length));
    let shown = tail.map_or(lines, |tail| tail.min(lines));
    Content::repeated(line.as_bytes(), shown.saturating_mul(length))
}

pub(super) fn kernel(_: &Node, asked: &pb::DmesgRequest) -> Result<Stream<Data>, Status> {
    let now = jiff::Timestamp::now();
    let record = data(format!("kern:    info: [{now}]: Linux version (mock)"));
    let past = if asked.tail {
        stream::empty().boxed()
    } else {
        once(record)
    };
    Ok(followed(past, asked.follow))
}

pub(super) fn events(node: &Node, asked: &pb::EventsRequest) -> Result<Stream<pb::Event>, Status> {
    let log = Arc::clone(&node.state().events);
    let past = log.items();
    let from = match (
        asked.tail_events,
        asked.tail_id.as_str(),
        asked.tail_seconds,
    ) {
        (0, "", 0) => past.len(),
        (0, "", _) | (..0, "", 0) => 0,
        (count, "", 0) => past
            .len()
            .saturating_sub(usize::try_from(count).unwrap_or(0)),
        (0, id, 0) => past
            .iter()
            .position(|event| event.id == id)
            .map_or(past.len(), |index| index.saturating_add(1)),
        (count, id, _) => {
            let (last, others) = if count != 0 && !id.is_empty() {
                ("ID", "WithTailEvents or WithTailDuration")
            } else {
                ("Duration", "WithTailEvents or WithTailID")
            };
            return Err(Status::unknown(format!(
                "WithTail{last} can't be specified at the same time with {others}"
            )));
        }
    };
    let hello = stream::iter([pb::Event {
        data: Some(prost_types::Any::default()),
        ..Default::default()
    }]);
    let actor = asked.with_actor_id.clone();
    let meant = log
        .follow(from)
        .filter(move |event| future::ready(actor.is_empty() || event.actor_id == actor));
    Ok(hello.chain(meant).map(Ok).boxed())
}
