//! What happens inside the mock, as a stream.

use std::sync::{Mutex, PoisonError};

use futures_util::stream::{self, Stream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::id::{VmId, VolumeId};

/// A change of the mock's world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MockEvent {
    /// A VM was created.
    VmCreated {
        /// The VM.
        vmid: VmId,
    },
    /// A VM's configuration was changed.
    VmChanged {
        /// The VM.
        vmid: VmId,
    },
    /// A VM was started.
    VmStarted {
        /// The VM.
        vmid: VmId,
    },
    /// A VM was reset.
    VmReset {
        /// The VM.
        vmid: VmId,
    },
    /// A VM was stopped or shut down.
    VmStopped {
        /// The VM.
        vmid: VmId,
    },
    /// A VM was deleted.
    VmDeleted {
        /// The VM.
        vmid: VmId,
    },
    /// The cloud-init drive of a VM was written.
    CloudInitWritten {
        /// The VM.
        vmid: VmId,
    },
    /// A file came onto a storage.
    VolumeAdded {
        /// The file.
        volume: VolumeId,
    },
    /// A file was deleted.
    VolumeRemoved {
        /// The file.
        volume: VolumeId,
    },
}

/// Everybody who listens; no event is lost, however slow the listener.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Vec<UnboundedSender<MockEvent>>>);

impl Events {
    pub(super) fn emit(&self, event: &MockEvent) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    pub(super) fn subscribe(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        let (sender, receiver) = unbounded_channel();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sender);
        stream::unfold(receiver, |mut receiver| async move {
            let event = receiver.recv().await?;
            Some((event, receiver))
        })
    }
}
