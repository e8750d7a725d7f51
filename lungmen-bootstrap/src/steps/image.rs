//! The installation ISO on the Proxmox storages.

use factory_client::Poll;
use proxmox_client::storage::{Content, DownloadRequest, Storage, UploadRequest};
use proxmox_client::{ErrorKind as ProxmoxKind, Reason, Task};

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::step::{Kind, Observation, Step, StepId};

pub(crate) struct StoreIso;

impl Step for StoreIso {
    const ID: StepId = StepId::Image;
    const KIND: Kind = Kind::Act;
    type Output = String;

    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let desired = context.desired();
        if is_everywhere(context).await? {
            Ok(Observation::Done(desired.iso_volume.to_string()))
        } else {
            Ok(Observation::absent(format!(
                "{} is not there",
                desired.iso_volume
            )))
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        prewarm(context).await?;
        let storage = iso_storage(context);
        if fetched_by_the_node(context, &storage).await? {
            return Ok(());
        }
        upload(context, &storage).await
    }

    fn summary(&self, volume: &String) -> String {
        volume.clone()
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        vec![("volume", context.desired().iso_volume.to_string())]
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

/// Whether the ISO is on the storage. Neither way of bringing it shows an unfinished file under the final name.
pub(super) async fn is_everywhere(context: &Context) -> Result<bool> {
    let found = iso_storage(context)
        .find(&context.desired().iso_volume)
        .await?;
    // From 9.2 on the size can be missing where it would be slow to find out.
    Ok(found.is_some_and(|volume| volume.size != Some(0)))
}

/// Lets the factory build the image: a download of an unbuilt one is silent for minutes and breaks.
async fn prewarm(context: &Context) -> Result<()> {
    context.emit(EventKind::Waiting {
        waiting_for: "the factory to build the image".into(),
        cause: "the first request builds it".into(),
        attempt: 1,
    });
    let poll = Poll::default().deadline(context.timing().image_build);
    context
        .clients()
        .factory
        .prewarm(&context.desired().image, poll)
        .await?;
    Ok(())
}

/// Has the Proxmox node download the image. `false` when the node may not or cannot, so that we have to.
async fn fetched_by_the_node(context: &Context, storage: &Storage) -> Result<bool> {
    let desired = context.desired();
    let url = context.clients().factory.image_url(&desired.image);
    let request = DownloadRequest::new(url, Content::Iso, &desired.iso_file);
    let task = match storage.download_url(&request).await {
        Ok(task) => task,
        // Only Administrator holds Sys.AccessNetwork among the built-in roles.
        Err(error) if error.kind() == ProxmoxKind::Forbidden => {
            context.note(format!(
                "the node may not download ({error}); streaming through this process"
            ));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    match wait(context, &task).await {
        Ok(()) => Ok(true),
        Err(error) if error.reason() == Some(Reason::FileExists) => Ok(true),
        Err(error) if error.reason() == Some(Reason::DownloadFailed) => {
            context.note(format!(
                "the node cannot download ({error}); streaming through this process"
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
            .with_message("the factory does not say how long it is, and Proxmox VE needs to know")
    })?;
    let reporter = context.clone();
    let what = desired.iso_file.clone();
    let mut done = 0;
    let body = futures_util::StreamExt::map(image, move |chunk| {
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
    wait(context, &task).await?;
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
