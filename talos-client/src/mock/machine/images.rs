//! The container images of a mock node as the machine service knows them: those of one runtime.

use futures_util::stream::{self, StreamExt as _};
use tonic::Status;

use super::Stream;
use crate::api::pb::machine as pb;
use crate::mock::images::{self, Images};
use crate::mock::node::Node;

pub(super) fn list(
    node: &Node,
    asked: &pb::ImageListRequest,
) -> Result<Stream<pb::ImageListResponse>, Status> {
    let place = images::of_machine_service(asked.namespace)?;
    let found: Vec<_> = Images::of(node)
        .names(place)
        .map(|name| {
            Ok(pb::ImageListResponse {
                digest: images::digest(&name),
                name,
                size: images::SIZE,
                ..Default::default()
            })
        })
        .collect();
    Ok(stream::iter(found).boxed())
}

pub(super) fn pull(node: &Node, asked: &pb::ImagePullRequest) -> Result<pb::ImagePull, Status> {
    let place = images::of_machine_service(asked.namespace)?;
    images::add(node, place, &asked.reference);
    Ok(pb::ImagePull::default())
}
