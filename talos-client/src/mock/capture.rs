//! Packet capture on a mock node: its interfaces, and that nothing passes through them.

use futures_util::stream::{self, StreamExt as _};
use tonic::Status;

use super::machine::{Stream, data};
use super::node::Node;
use super::statistics;
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;

/// The frame size of machined's capture, which stands for a snap length that was not given.
const SNAP_LENGTH: u32 = 4096;

/// What marks a pcap file with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
const ETHERNET: u32 = 1;

/// The header of a capture without packets. Like a real one it goes on until the client leaves.
pub(super) fn packets(_: &Node, asked: &pb::PacketCaptureRequest) -> Result<Stream<Data>, Status> {
    let interfaces = statistics::interfaces();
    if !interfaces.iter().any(|known| known.name == asked.interface) {
        return Err(Status::not_found(format!(
            "interface {:?} not found",
            asked.interface
        )));
    }
    let header = header(match asked.snap_len {
        0 => SNAP_LENGTH,
        length => length,
    });
    Ok(stream::iter([Ok(data(header))])
        .chain(stream::pending())
        .boxed())
}

fn header(snap_length: u32) -> Vec<u8> {
    let mut header = MAGIC.to_le_bytes().to_vec();
    for number in VERSION {
        header.extend(number.to_le_bytes());
    }
    // The offset of the time zone, and the accuracy of the times.
    header.extend([0; 8]);
    header.extend(snap_length.to_le_bytes());
    header.extend(ETHERNET.to_le_bytes());
    header
}
