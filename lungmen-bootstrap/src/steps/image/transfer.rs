//! The two ways of the image onto a storage: the node downloads it, or it passes through this process.

use std::time::Duration;

use futures_util::StreamExt as _;
use proxmox_client::storage::{Content, DownloadRequest, Storage, UploadRequest};
use proxmox_client::task::{TaskFilter, TaskSource};
use proxmox_client::{ErrorKind as ProxmoxKind, Reason, Task};
use url::Url;

use super::StoreIso;
use super::digest::checksum;
use crate::desired::release::Iso;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::limits::{self, Place};

/// How long a node may think about what it would download. The answer is not needed.
const METADATA: Duration = Duration::from_secs(5);

impl StoreIso {
    /// Has the Proxmox node download the image. `false` when the node may not or cannot, or would get something else, so that
    /// this process uploads it.
    pub(super) async fn fetched_by_the_node(
        &self,
        context: &Context,
        storage: &Storage,
    ) -> Result<bool> {
        let release = &self.source.release;
        let url = context.clients().factory.image_url(&release.image);
        let limit = context.within_slice(context.timing().image_transfer);
        let _turn = limits::turn(context, &Place::factory(context), limit).await?;
        if let Some(found) = self.something_else(context, &url).await {
            context.note(format!(
                "the node would download {found}; uploading through this process"
            ));
            return Ok(false);
        }
        let mut request = DownloadRequest::new(url, Content::Iso, &release.iso_file);
        let likely = self.source.digests.likely();
        if let Some(digest) = likely {
            request = request.checksum(checksum(digest)?);
        }
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
        match wait(context, &task, limit).await {
            Ok(()) => {
                if let Some(digest) = likely {
                    self.source.digests.stored(digest);
                }
                Ok(true)
            }
            // `observe` compares the length of the file that is there.
            Err(error) if error.reason() == Some(Reason::FileExists) => Ok(true),
            Err(error) if error.reason() == Some(Reason::ChecksumMismatch) => {
                // The server says the same about a file that was there already.
                if super::find(context, &self.iso).await?.is_some() {
                    return Err(Error::from(error).with_hint(
                        "The file on the storage is another image. If no other upload of this ISO is in progress, remove it and run again.",
                    ));
                }
                context.note(format!(
                    "the node downloaded something else ({error}); uploading through this process"
                ));
                Ok(false)
            }
            Err(error) if error.reason() == Some(Reason::DownloadFailed) => {
                context.note(format!(
                    "the node cannot download ({error}); uploading through this process"
                ));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the node would store instead of the image, such as the page of a captive portal. A node that cannot tell may
    /// still be able to download: many servers refuse the question only.
    async fn something_else(&self, context: &Context, url: &Url) -> Option<String> {
        let node = context.clients().proxmox.node(self.iso.at.node.clone());
        let asked = tokio::time::timeout(METADATA, node.url_metadata(url)).await;
        let found = asked.ok()?.ok()?;
        if let Some(media_type) = &found.media_type
            && media_type.starts_with("text/")
        {
            return Some(format!("{media_type} instead of the image"));
        }
        let (size, length) = found.size.zip(self.source.known_length())?;
        (size != length).then(|| format!("{size} bytes instead of {length}"))
    }

    /// Pipes the image from the factory into the storage; it is never held as a whole. What is not an image of this format
    /// and length is refused before the storage gets a byte.
    pub(super) async fn upload(&self, context: &Context, storage: &Storage) -> Result<()> {
        let release = &self.source.release;
        let limit = context.timing().image_transfer;
        let turn = context.within_slice(limit);
        let _upload = limits::turn(context, &Place::uploads(context), turn).await?;
        let _download = limits::turn(context, &Place::factory(context), turn).await?;
        let certain = self.source.digests.certain();
        let mut download = context.clients().factory.download(&release.image);
        if let Some(digest) = certain {
            download = download.expect_sha256(digest);
        }
        let image = download.open().await?;
        let length = self.agreed_length(context, image.content_length()).await?;
        let taken = image.digest();
        let reporter = context.clone();
        let what = release.iso_file.clone();
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
        let mut request = UploadRequest::new(Content::Iso, &release.iso_file, length, body);
        if let Some(digest) = certain {
            request = request.checksum(checksum(digest)?);
        }
        let task = storage.upload(request).await?;
        wait(context, task.task(), limit).await?;
        match taken.get() {
            Some(digest) => self.source.digests.took(context, digest),
            None => Ok(()),
        }
    }

    /// The length of the body that begins, when it is the one that was stated before, or now on being asked again.
    async fn agreed_length(&self, context: &Context, announced: Option<u64>) -> Result<u64> {
        let file = self.source.file();
        let wrong = |message: String| {
            Error::new(ErrorKind::Decode, "open the image")
                .with_target(file)
                .with_message(message)
        };
        let Some(length) = announced else {
            return Err(wrong(
                "the factory does not state the length, which Proxmox VE requires".into(),
            ));
        };
        if self
            .source
            .known_length()
            .is_none_or(|known| known == length)
        {
            return Ok(length);
        }
        match self.source.confirmed_length(context).await? {
            Some(other) if other != length => Err(wrong(format!(
                "the body has {length} bytes, and the factory states {other}"
            ))),
            _ => Ok(length),
        }
    }
}

/// Waits for a download of the image that the node does already: one of a run that was killed or is a slice, or of somebody
/// else. Returns whether there was one. A task does not name its storage, so its end does not prove that the ISO is there.
pub(super) async fn others_download_ended(context: &Context, iso: &Iso) -> Result<bool> {
    let proxmox = &context.clients().proxmox;
    let running = TaskFilter::new()
        .source(TaskSource::Active)
        .worker("download");
    let tasks = proxmox.node(iso.at.node.clone()).tasks(&running).await?;
    let file = iso.file();
    let mut downloads = tasks
        .into_iter()
        .filter(|task| task.subject.as_deref() == Some(file));
    let Some(download) = downloads.next() else {
        return Ok(false);
    };
    let limit = context.within_slice(context.timing().image_transfer);
    match wait(context, &proxmox.task(download.id), limit).await {
        // Why it failed is the matter of whoever began it; this run makes an attempt of its own.
        Err(error) if error.kind() == ProxmoxKind::TaskFailed => Ok(true),
        ended => ended.map(|()| true).map_err(Into::into),
    }
}

async fn wait(context: &Context, task: &Task, deadline: Duration) -> proxmox_client::Result<()> {
    proxmox_task::finish(context, "the ISO on the storage", task, deadline).await
}
