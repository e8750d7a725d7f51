//! The installation ISO on the Proxmox storages.

use proxmox_client::storage::{Content, DownloadRequest, Storage, UploadRequest};
use proxmox_client::{ErrorKind as ProxmoxKind, Reason, Task};

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::event::EventKind;
use crate::run::step::{Observation, StepId};

pub(crate) struct BringIso;

impl Step for BringIso {
    const ID: StepId = StepId::Image;
    type Output = String;

    async fn observe(&self, world: &World) -> Result<Observation<String>> {
        let blueprint = world.blueprint();
        if is_everywhere(world).await? {
            Ok(Observation::Done(blueprint.iso_volume.to_string()))
        } else {
            Ok(Observation::absent(format!(
                "{} is not there",
                blueprint.iso_volume
            )))
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        prewarm(world).await?;
        let storage = iso_storage(world);
        if fetched_by_the_node(world, &storage).await? {
            return Ok(());
        }
        upload(world, &storage).await
    }

    fn summary(&self, volume: &String) -> String {
        volume.clone()
    }

    fn references(&self, world: &World) -> Vec<(&'static str, String)> {
        vec![("volume", world.blueprint().iso_volume.to_string())]
    }
}

fn iso_storage(world: &World) -> Storage {
    let blueprint = world.blueprint();
    world
        .clients()
        .proxmox
        .node(blueprint.node.clone())
        .storage(blueprint.iso_storage.clone())
}

/// Whether the ISO is on the storage. Neither way of bringing it shows an unfinished file under the final name.
pub(super) async fn is_everywhere(world: &World) -> Result<bool> {
    let found = iso_storage(world)
        .find(&world.blueprint().iso_volume)
        .await?;
    // From 9.2 on the size can be missing where it would be slow to find out.
    Ok(found.is_some_and(|volume| volume.size != Some(0)))
}

/// Lets the factory build the image: a download of an unbuilt one is silent for minutes and breaks.
async fn prewarm(world: &World) -> Result<()> {
    world.emit(EventKind::Waiting {
        waiting_for: "the factory to build the image".into(),
        because: "the first request builds it".into(),
        attempt: 1,
    });
    world
        .clients()
        .factory
        .prewarm(&world.blueprint().image, world.timing().image_build)
        .await?;
    Ok(())
}

/// Has the Proxmox node download the image. `false` when the node may not or cannot, so that we have to.
async fn fetched_by_the_node(world: &World, storage: &Storage) -> Result<bool> {
    let blueprint = world.blueprint();
    let url = world.clients().factory.image_url(&blueprint.image);
    let request = DownloadRequest::new(url, Content::Iso, &blueprint.iso_file);
    let task = match storage.download_url(&request).await {
        Ok(task) => task,
        // Only Administrator holds Sys.AccessNetwork among the built-in roles.
        Err(error) if error.kind() == ProxmoxKind::Forbidden => {
            world.note(format!(
                "the node may not download ({error}); streaming through this process"
            ));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    match wait(world, &task).await {
        Ok(()) => Ok(true),
        Err(error) if error.reason() == Some(Reason::FileExists) => Ok(true),
        Err(error) if error.reason() == Some(Reason::DownloadFailed) => {
            world.note(format!(
                "the node cannot download ({error}); streaming through this process"
            ));
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Pipes the image from the factory into the storage; it is never held as a whole.
async fn upload(world: &World, storage: &Storage) -> Result<()> {
    let blueprint = world.blueprint();
    let image = world.clients().factory.open(&blueprint.image).await?;
    let length = image.content_length().ok_or_else(|| {
        Error::new(ErrorKind::Decode, "open the image")
            .with_target(blueprint.iso_file.clone())
            .with_message("the factory does not say how long it is, and Proxmox VE needs to know")
    })?;
    let reporter = world.clone();
    let what = blueprint.iso_file.clone();
    let mut done = 0;
    let body = futures_util::StreamExt::map(image, move |chunk| {
        if let Ok(bytes) = &chunk {
            done += bytes.len() as u64;
            reporter.emit(EventKind::Progress {
                what: what.clone(),
                done,
                total: Some(length),
            });
        }
        chunk
    });
    let request = UploadRequest::new(Content::Iso, &blueprint.iso_file, length, body);
    let task = storage.upload(request).await?;
    wait(world, &task).await?;
    Ok(())
}

async fn wait(world: &World, task: &Task) -> proxmox_client::Result<()> {
    proxmox_task::finish(
        world,
        "the ISO on the storage",
        task,
        world.timing().image_transfer,
    )
    .await
}
