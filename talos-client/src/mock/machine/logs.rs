//! Logs and events of a mock node.

use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use tonic::Status;

use super::{Stream, data, once};
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;
use crate::mock::node::Node;
use crate::mock::services;

pub(super) fn ids(node: &Node, _: &()) -> Result<pb::LogsContainer, Status> {
    let services = services::list(node).into_iter();
    Ok(pb::LogsContainer {
        metadata: None,
        ids: services.map(|service| service.id).collect(),
    })
}

pub(super) fn logs(_: &Node, asked: &pb::LogsRequest) -> Result<Stream<Data>, Status> {
    if asked.tail_lines == 0 {
        return Ok(stream::empty().boxed());
    }
    Ok(once(data(format!("{}: log of the mock\n", asked.id))))
}

pub(super) fn kernel(_: &Node, _: &pb::DmesgRequest) -> Result<Stream<Data>, Status> {
    let now = jiff::Timestamp::now();
    Ok(once(data(format!(
        "kern:    info: [{now}]: Linux version (mock)"
    ))))
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
        _ => {
            return Err(Status::invalid_argument(
                "only one of tail_events, tail_id or tail_seconds should be specified",
            ));
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
