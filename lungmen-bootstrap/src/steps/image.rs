//! The installation ISO on the Proxmox storage: complete, with the length that the factory states.

use std::sync::OnceLock;

use futures_util::StreamExt as _;
use proxmox_client::storage::{Content, DownloadRequest, Storage, UploadRequest, VolumeInfo};
use proxmox_client::{ErrorKind as ProxmoxKind, Reason, Task};

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::journal::RecordState;

const VOLUME: &str = "volume";
const LENGTH: &str = "length";

#[derive(Default)]
pub(crate) struct StoreIso {
    /// The length of the image at the factory, once it is known.
    length: OnceLock<u64>,
}

/// A complete ISO.
#[derive(Debug, Clone)]
pub(crate) struct StoredIso {
    volume: String,
    /// `None` where neither the storage nor the factory states it.
    length: Option<u64>,
}

impl Step for StoreIso {
    const ID: StepId = StepId::Image;
    const KIND: Kind = Kind::Act;
    type Output = StoredIso;

    /// An upload is copied onto its final name on the server, so a listed ISO can be half a copy: only its length proves
    /// that it is complete.
    async fn observe(&self, context: &Context) -> Result<Observation<StoredIso>> {
        let volume = context.desired().iso_volume.to_string();
        let Some(found) = find(context).await? else {
            return Ok(Observation::absent(format!("{volume} does not exist")));
        };
        // From 9.2 on the size can be missing where it would be slow to determine.
        let Some(size) = found.size else {
            let length = self.length.get().copied();
            return Ok(Observation::Done(StoredIso { volume, length }));
        };
        let length = self.length(context).await?;
        if length.is_none_or(|length| length == size) {
            let length = Some(size);
            return Ok(Observation::Done(StoredIso { volume, length }));
        }
        let length = length.unwrap_or_default();
        if size < length && was_started(context).await? {
            return Ok(Observation::absent(format!(
                "{volume} is incomplete: {size} of {length} bytes"
            )));
        }
        Err(different_file(context, size, length))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let storage = iso_storage(context);
        self.prewarm(context).await?;
        context.before_effect().await?;
        self.remove_partial_copy(context, &storage).await?;
        if fetched_by_the_node(context, &storage).await? {
            return Ok(());
        }
        upload(context, &storage).await
    }

    fn summary(&self, iso: &StoredIso) -> String {
        match iso.length {
            Some(length) => format!("{}, {} MiB", iso.volume, length >> 20),
            None => iso.volume.clone(),
        }
    }

    fn evidence(&self, iso: &StoredIso) -> Vec<(&'static str, String)> {
        let length = iso.length.map(|length| (LENGTH, length.to_string()));
        length.into_iter().collect()
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        vec![(VOLUME, context.desired().iso_volume.to_string())]
    }
}

impl StoreIso {
    /// The length of the image: as recorded when it was stored, else as the factory states it.
    async fn length(&self, context: &Context) -> Result<Option<u64>> {
        if let Some(length) = self.length.get() {
            return Ok(Some(*length));
        }
        if let Some(length) = recorded_length(context).await? {
            return Ok(Some(length));
        }
        self.prewarm(context).await?;
        Ok(self.length.get().copied())
    }

    /// Lets the factory build the image: a download of an unbuilt one is silent for minutes and breaks.
    async fn prewarm(&self, context: &Context) -> Result<()> {
        if self.length.get().is_some() {
            return Ok(());
        }
        let deadline = context.timing().image_build;
        context.emit(EventKind::Waiting {
            waiting_for: "the Image Factory to build the image".into(),
            cause: "an image is built at its first request".into(),
            attempt: 1,
            elapsed: std::time::Duration::ZERO,
            deadline,
        });
        let poll = factory_client::Poll::default().deadline(deadline);
        let prewarmed = context
            .clients()
            .factory
            .prewarm(&context.desired().image, poll)
            .await?;
        if let Some(length) = prewarmed.content_length {
            self.length.get_or_init(|| length);
        }
        Ok(())
    }

    /// Removes a copy that a run of this cluster left incomplete, and nothing else.
    async fn remove_partial_copy(&self, context: &Context, storage: &Storage) -> Result<()> {
        let Some(found) = find(context).await? else {
            return Ok(());
        };
        let incomplete = found.size.zip(self.length.get().copied());
        let is_incomplete = incomplete.is_some_and(|(size, length)| size < length);
        if !is_incomplete || !was_started(context).await? {
            return Ok(());
        }
        let volume = &context.desired().iso_volume;
        let limit = context.timing().task;
        if let Some(task) = storage.delete(volume).await? {
            proxmox_task::finish(context, "the partial copy to be removed", &task, limit).await?;
        }
        context.note(format!("removed the partial copy {volume}"));
        Ok(())
    }
}

fn iso_storage(context: &Context) -> Storage {
    let desired = context.desired();
    context
        .clients()
        .proxmox
        .node(desired.node.clone())
        .storage(desired.iso_storage.clone())
}

async fn find(context: &Context) -> Result<Option<VolumeInfo>> {
    Ok(iso_storage(context)
        .find(&context.desired().iso_volume)
        .await?)
}

/// Whether the storage lists the ISO, complete or not.
pub(super) async fn is_listed(context: &Context) -> Result<bool> {
    Ok(find(context).await?.is_some())
}

/// Whether a run of this cluster began to store the ISO, so that a partial copy is its own.
async fn was_started(context: &Context) -> Result<bool> {
    let volume = context.desired().iso_volume.to_string();
    Ok(context.journal().records().await?.iter().any(|record| {
        record.step == StepId::Image.name() && record.references.get(VOLUME) == Some(&volume)
    }))
}

async fn recorded_length(context: &Context) -> Result<Option<u64>> {
    let volume = context.desired().iso_volume.to_string();
    let records = context.journal().records().await?;
    Ok(records
        .iter()
        .rev()
        .filter(|record| record.state == RecordState::Done)
        .filter(|record| record.references.get(VOLUME) == Some(&volume))
        .find_map(|record| record.references.get(LENGTH)?.parse().ok()))
}

fn different_file(context: &Context, size: u64, length: u64) -> Error {
    let desired = context.desired();
    Error::new(ErrorKind::Conflict, "check the ISO")
        .with_target(desired.iso_volume.to_string())
        .with_message(format!(
            "the file has {size} bytes, the image of the factory has {length}"
        ))
        .with_hint(
            "If no other upload of this ISO is in progress, remove the file from the storage and run again.",
        )
}

/// Has the Proxmox node download the image. `false` when the node may not or cannot, so that this process uploads it.
async fn fetched_by_the_node(context: &Context, storage: &Storage) -> Result<bool> {
    let desired = context.desired();
    let url = context.clients().factory.image_url(&desired.image);
    let request = DownloadRequest::new(url, Content::Iso, &desired.iso_file);
    let task = match storage.download_url(&request).await {
        Ok(task) => task,
        // Only Administrator holds Sys.AccessNetwork among the built-in roles.
        Err(error) if error.kind() == ProxmoxKind::Forbidden => {
            context.note(format!(
                "the node may not download ({error}); uploading through this process"
            ));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    match wait(context, &task).await {
        Ok(()) => Ok(true),
        // `observe` compares the length of the file that is there.
        Err(error) if error.reason() == Some(Reason::FileExists) => Ok(true),
        Err(error) if error.reason() == Some(Reason::DownloadFailed) => {
            context.note(format!(
                "the node cannot download ({error}); uploading through this process"
            ));
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Pipes the image from the factory into the storage; it is never held as a whole.
async fn upload(context: &Context, storage: &Storage) -> Result<()> {
    let desired = context.desired();
    let image = context.clients().factory.open(&desired.image).await?;
    let length = image.content_length().ok_or_else(|| {
        Error::new(ErrorKind::Decode, "open the image")
            .with_target(desired.iso_file.clone())
            .with_message("the factory does not state the length, which Proxmox VE requires")
    })?;
    let reporter = context.clone();
    let what = desired.iso_file.clone();
    let mut done = 0;
    let body = image.map(move |chunk| {
        if let Ok(bytes) = &chunk {
            done += bytes.len() as u64;
            reporter.emit(EventKind::Transfer {
                what: what.clone(),
                done,
                total: Some(length),
            });
        }
        chunk
    });
    let request = UploadRequest::new(Content::Iso, &desired.iso_file, length, body);
    let task = storage.upload(request).await?;
    wait(context, task.task()).await?;
    Ok(())
}

async fn wait(context: &Context, task: &Task) -> proxmox_client::Result<()> {
    proxmox_task::finish(
        context,
        "the ISO on the storage",
        task,
        context.timing().image_transfer,
    )
    .await
}
