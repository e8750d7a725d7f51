//! The META partition of a mock node.

use tonic::Status;

use crate::api::pb::machine as pb;
use crate::mock::node::Node;

pub(super) fn write(node: &Node, asked: &pb::MetaWriteRequest) -> Result<pb::MetaWrite, Status> {
    check(asked.key)?;
    node.update(|state| state.meta.insert(asked.key, asked.value.clone()));
    Ok(pb::MetaWrite::default())
}

pub(super) fn delete(node: &Node, asked: &pb::MetaDeleteRequest) -> Result<pb::MetaDelete, Status> {
    check(asked.key)?;
    match node.update(|state| state.meta.remove(&asked.key)) {
        Some(_) => Ok(pb::MetaDelete::default()),
        None => Err(Status::not_found("meta key not found")),
    }
}

fn check(key: u32) -> Result<(), Status> {
    if key > u32::from(u8::MAX) {
        return Err(Status::invalid_argument("key must be a uint8"));
    }
    Ok(())
}
