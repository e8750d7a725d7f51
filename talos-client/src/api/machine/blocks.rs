//! Handing a stream of bytes to a thread that writes files.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::{ResponseStream, Result};

/// Nodes send pieces of a kilobyte: waking the other thread for each of them would take longer than writing it.
const BLOCK: usize = 64 * 1024;
/// Enough to keep both sides busy, and all that is in memory.
const BLOCKS: usize = 16;

/// A channel for [`forward`].
pub(super) fn channel() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(BLOCKS)
}

/// Sends the bytes of a stream on in blocks, to its end or until nobody receives them any more; the receiver's error tells why.
pub(super) async fn forward(
    mut pieces: ResponseStream<Bytes>,
    receiver: mpsc::Sender<Bytes>,
) -> Result<()> {
    let mut block = BytesMut::with_capacity(BLOCK);
    let end = loop {
        match pieces.next().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok(piece)) => {
                block.extend_from_slice(&piece);
            }
        }
        if block.len() >= BLOCK {
            let full = std::mem::replace(&mut block, BytesMut::with_capacity(BLOCK));
            if receiver.send(full.freeze()).await.is_err() {
                return Ok(());
            }
        }
    };
    // What arrived before an error counts too.
    let _ = receiver.send(block.freeze()).await;
    end
}
