//! Sending a local file to the node in the pieces of a client stream.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::Stream;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tonic::{Response, Status};

use crate::api::channel::{Call, Service, Transport};
use crate::{Error, ErrorKind, Result};

/// Size of the pieces in bytes.
const CHUNK: usize = 32 * 1024;

/// The messages of an upload. A type of its own, so that calls with it can be spawned.
pub(super) struct Pieces<M> {
    first: Option<M>,
    receiver: mpsc::Receiver<M>,
}

impl<M: Unpin> Stream for Pieces<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<M>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.receiver.poll_recv(context),
        }
    }
}

/// Makes the call with the pieces.
type SendPieces<M, R> = fn(Service, Pieces<M>) -> BoxFuture<'static, Result<Response<R>, Status>>;

/// Sends `first` and then the content of the file at `path`, each piece wrapped by `piece`. Memory does not grow with the size.
///
/// Made once only: what was read of the file cannot be sent again.
pub(super) async fn file<M, R>(
    transport: &Transport,
    call: Call,
    path: &Path,
    first: Option<M>,
    piece: fn(Bytes) -> M,
    send: SendPieces<M, R>,
) -> Result<R>
where
    M: Send + 'static,
{
    let operation = call.operation;
    let read = |source: std::io::Error| {
        Error::new(ErrorKind::Io, operation)
            .with_target(path.display().to_string())
            .with_message(source.to_string())
            .with_source(source)
    };
    let mut file = tokio::fs::File::open(path).await.map_err(read)?;
    let (sender, receiver) = mpsc::channel::<M>(8);
    let upload = async move {
        loop {
            let mut bytes = vec![0; CHUNK];
            let count = file.read(&mut bytes).await?;
            bytes.truncate(count);
            // A receiver that is gone has its reason, which the response tells.
            if count == 0 || sender.send(piece(bytes.into())).await.is_err() {
                return Ok(());
            }
        }
    };
    let pieces = Mutex::new(Some(Pieces { first, receiver }));
    let sending = transport.call_once(call, |service| {
        let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            match pieces {
                Some(pieces) => send(service, pieces).await,
                None => Err(Status::internal("the upload was sent already")),
            }
        }
    });
    let (reply, uploaded) = tokio::join!(sending, upload);
    uploaded.map_err(read)?;
    reply
}
