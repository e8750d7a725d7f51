//! The installation ISO on every storage that a machine boots from: complete, with the length that the factory states.
//!
//! Storages of the same name on two nodes have their own files, unless they are shared.

mod digest;
mod recorded;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::StreamExt as _;
use proxmox_client::id::{StorageName, VolumeId};
use proxmox_client::storage::{Content, Storage, VolumeInfo};

use crate::desired::NodeStorage;
use crate::error::{Error, ErrorKind, Result, all_of};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::limits::{self, Place};
use crate::run::step::{Kind, Observation, Step, StepId};

pub(crate) use recorded::was_started;

use digest::Digests;

const VOLUME: &str = "volume";
const LENGTH: &str = "length";

/// On how many storages the ISO is stored at a time.
const AT_ONCE: usize = 4;

#[derive(Default)]
pub(crate) struct StoreIso {
    /// The length of the image at the factory, as far as it is known.
    length: Mutex<Length>,
    digests: Digests,
    /// The storages, shared ones once.
    places: OnceLock<Vec<NodeStorage>>,
    /// Where a task of this run ended without error.
    stored: Mutex<BTreeSet<NodeStorage>>,
}

/// The length that the factory states.
#[derive(Debug, Default, Clone, Copy)]
struct Length {
    bytes: Option<u64>,
    /// Whether the factory was asked again because a file has another length.
    is_confirmed: bool,
}

/// A complete ISO.
#[derive(Debug, Clone)]
pub(crate) struct StoredIso {
    volume: String,
    place: NodeStorage,
    /// `None` where neither the storage nor the factory states it.
    length: Option<u64>,
}

/// The ISO on one storage.
enum Copy {
    Complete(StoredIso),
    Missing(String),
}

impl Step for StoreIso {
    const ID: StepId = StepId::Image;
    const KIND: Kind = Kind::Act;
    type Output = Vec<StoredIso>;

    async fn observe(&self, context: &Context) -> Result<Observation<Self::Output>> {
        let mut complete = Vec::new();
        let mut missing = Vec::new();
        for place in self.places(context).await? {
            match self.copy(context, place).await? {
                Copy::Complete(iso) => complete.push(iso),
                Copy::Missing(reason) => missing.push(reason),
            }
        }
        Ok(match missing.is_empty() {
            true => Observation::Done(complete),
            false => Observation::absent(missing.join(", ")),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        self.prewarm(context).await?;
        self.digests.learn(context).await?;
        context.before_effect().await?;
        let places = self.places(context).await?.iter();
        let storing: Vec<_> = places
            .map(|place| self.store_in_turn(context, place))
            .collect();
        // A storage that fails does not end the transfers to the others.
        let results: Vec<Result<()>> = futures_util::stream::iter(storing)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        all_of(results).map(drop)
    }

    fn summary(&self, isos: &Self::Output) -> String {
        let is_spread = isos.len() > 1;
        let line = |iso: &StoredIso| {
            let node = is_spread.then(|| format!(" on node {}", iso.place.node));
            let length = iso.length.map(|length| format!(", {} MiB", length >> 20));
            let or_empty = Option::unwrap_or_default;
            format!("{}{}{}", iso.volume, or_empty(node), or_empty(length))
        };
        isos.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    fn evidence(&self, isos: &Self::Output) -> Vec<(&'static str, String)> {
        let length = isos.iter().find_map(|iso| iso.length);
        let length = length.map(|length| (LENGTH, length.to_string()));
        length.into_iter().chain(self.digests.evidence()).collect()
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        let places = context.desired().iso_storages().into_iter();
        let names: Vec<String> = places.map(|place| reference(context, &place)).collect();
        vec![(VOLUME, names.join(","))]
    }
}

impl StoreIso {
    /// The storages of all machines. A shared one has the files of every node, so it counts once.
    async fn places(&self, context: &Context) -> Result<&[NodeStorage]> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let mut by_storage: BTreeMap<StorageName, Vec<NodeStorage>> = BTreeMap::new();
        for place in context.desired().iso_storages() {
            by_storage
                .entry(place.storage.clone())
                .or_default()
                .push(place);
        }
        let mut places = Vec::new();
        for mut copies in by_storage.into_values() {
            if copies.len() > 1 && storage(context, &copies[0]).status().await?.shared {
                copies.truncate(1);
            }
            places.append(&mut copies);
        }
        Ok(self.places.get_or_init(|| places))
    }

    /// An upload is copied onto its final name on the server, so a listed ISO can be half a copy: only its length proves
    /// that it is complete.
    async fn copy(&self, context: &Context, place: &NodeStorage) -> Result<Copy> {
        let volume = volume(context, place)?;
        let complete = |length| {
            Copy::Complete(StoredIso {
                volume: volume.to_string(),
                place: place.clone(),
                length,
            })
        };
        let Some(found) = find(context, place).await? else {
            return Ok(Copy::Missing(format!(
                "{volume} does not exist{}",
                at(context, place)
            )));
        };
        let length = self.length(context).await?;
        let size = size(context, place, &found).await;
        let (Some(size), Some(length)) = (size, length) else {
            return match self.was_stored(context, place).await? {
                true => Ok(complete(length.or(size))),
                false => Err(unknown_size(&volume, place, size)),
            };
        };
        if is_length(length, size) {
            return Ok(complete(Some(length)));
        }
        // One wrong response must not condemn a file.
        let length = self.confirmed_length(context).await?.unwrap_or(length);
        if is_length(length, size) {
            return Ok(complete(Some(length)));
        }
        let is_partial = size < length;
        if is_partial
            && (was_started(context, place).await?
                || limits::is_in_use(context, &turn_at(context, place).await?))
        {
            return Ok(Copy::Missing(format!(
                "{volume} is incomplete{}: {size} of {length} bytes",
                at(context, place)
            )));
        }
        Err(different_file(&volume, place, size, length))
    }

    /// Stores the ISO where it is still not complete when the storage has a turn: another bootstrap may have stored it.
    async fn store_in_turn(&self, context: &Context, place: &NodeStorage) -> Result<()> {
        let limit = context.within_slice(context.timing().image_transfer);
        let turn = limits::turn(context, &turn_at(context, place).await?, limit).await?;
        context.before_effect().await?;
        self.store(context, place).await?;
        drop(turn);
        Ok(())
    }

    /// Stores the ISO where it is not complete.
    async fn store(&self, context: &Context, place: &NodeStorage) -> Result<()> {
        if let Copy::Complete(_) = self.copy(context, place).await? {
            return Ok(());
        }
        let storage = storage(context, place);
        if transfer::others_download_ended(context, place).await?
            && let Copy::Complete(_) = self.copy(context, place).await?
        {
            return Ok(());
        }
        self.remove_partial_copy(context, place, &storage).await?;
        if self.fetched_by_the_node(context, place, &storage).await? {
            self.saw_the_end(place);
            let Copy::Missing(reason) = self.copy(context, place).await? else {
                return Ok(());
            };
            context.note(format!("{reason}; uploading through this process"));
            self.remove_partial_copy(context, place, &storage).await?;
        }
        self.upload(context, &storage).await?;
        self.saw_the_end(place);
        Ok(())
    }

    /// A task that stored the ISO has ended without error.
    fn saw_the_end(&self, place: &NodeStorage) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.insert(place.clone());
    }

    /// Whether the end of the task that stored the ISO was seen: the proof where the storage states no size.
    async fn was_stored(&self, context: &Context, place: &NodeStorage) -> Result<bool> {
        let seen = {
            let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            stored.contains(place)
        };
        Ok(seen || recorded::was_done(context, place).await?)
    }

    /// The length of the image: as recorded when it was stored, else as the factory states it.
    async fn length(&self, context: &Context) -> Result<Option<u64>> {
        let known = self.known().bytes;
        if known.is_some() {
            return Ok(known);
        }
        if let Some(length) = recorded::evidence(context, LENGTH).await? {
            return Ok(Some(length));
        }
        self.prewarm(context).await?;
        Ok(self.known().bytes)
    }

    /// The length as the factory states it now. It is asked once more in a run, whatever was stated or recorded before.
    async fn confirmed_length(&self, context: &Context) -> Result<Option<u64>> {
        if !self.known().is_confirmed {
            let bytes = self.ask(context).await?;
            *self.known() = Length {
                bytes,
                is_confirmed: true,
            };
        }
        Ok(self.known().bytes)
    }

    fn known(&self) -> MutexGuard<'_, Length> {
        self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the factory build the image: a download of an unbuilt one is silent for minutes and breaks.
    async fn prewarm(&self, context: &Context) -> Result<()> {
        if self.known().bytes.is_some() {
            return Ok(());
        }
        let bytes = self.ask(context).await?;
        self.known().bytes = bytes;
        Ok(())
    }

    /// Asks for the image without its body, and waits until the factory has built it.
    async fn ask(&self, context: &Context) -> Result<Option<u64>> {
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
        Ok(prewarmed.content_length)
    }

    /// Removes a copy that a run of this cluster left incomplete, and nothing else.
    async fn remove_partial_copy(
        &self,
        context: &Context,
        place: &NodeStorage,
        storage: &Storage,
    ) -> Result<()> {
        let Some(found) = find(context, place).await? else {
            return Ok(());
        };
        let size = size(context, place, &found).await;
        let incomplete = size.zip(self.known().bytes);
        let is_incomplete = incomplete.is_some_and(|(size, length)| size < length);
        if !is_incomplete || !was_started(context, place).await? {
            return Ok(());
        }
        let volume = volume(context, place)?;
        let limit = context.timing().task;
        if let Some(task) = storage.delete(&volume).await? {
            proxmox_task::finish(context, "the partial copy to be removed", &task, limit).await?;
        }
        context.note(format!(
            "removed the partial copy {volume}{}",
            at(context, place)
        ));
        Ok(())
    }
}

pub(crate) fn storage(context: &Context, place: &NodeStorage) -> Storage {
    let node = context.clients().proxmox.node(place.node.clone());
    node.storage(place.storage.clone())
}

fn volume(context: &Context, place: &NodeStorage) -> Result<VolumeId> {
    let file = &context.desired().iso_file;
    Ok(VolumeId::of_file(
        &place.storage,
        Content::Iso.as_str(),
        file,
    )?)
}

/// ` on node pve-01` in a cluster of several nodes.
fn at(context: &Context, place: &NodeStorage) -> String {
    match context.desired().nodes().len() {
        1 => String::new(),
        _ => format!(" on node {}", place.node),
    }
}

/// Where files arrive on the storage: a shared one is the same for every node.
async fn turn_at(context: &Context, place: &NodeStorage) -> Result<Place> {
    let is_shared = storage(context, place).status().await?.shared;
    let node = (!is_shared).then_some(&place.node);
    Ok(Place::storage(context, node, &place.storage))
}

/// What the journal calls the ISO on this storage.
fn reference(context: &Context, place: &NodeStorage) -> String {
    let NodeStorage { node, storage } = place;
    format!("{node}/{storage}:iso/{}", context.desired().iso_file)
}

pub(crate) async fn find(context: &Context, place: &NodeStorage) -> Result<Option<VolumeInfo>> {
    let volume = volume(context, place)?;
    Ok(storage(context, place).find(&volume).await?)
}

/// The size of the file. From Proxmox VE 9.2 on it can be missing in the list; then it is asked for by itself.
async fn size(context: &Context, place: &NodeStorage, found: &VolumeInfo) -> Option<u64> {
    if found.size.is_some() {
        return found.size;
    }
    let details = storage(context, place).volume(&found.id).await;
    details.ok().and_then(|details| details.size)
}

/// Whether a file of this size is the whole image. The size of a single volume is that of its blocks of 512 bytes.
fn is_length(length: u64, size: u64) -> bool {
    size == length || size == length.next_multiple_of(512)
}

/// Whether a storage lists the ISO, complete or not.
pub(super) async fn is_listed(context: &Context) -> Result<bool> {
    for place in context.desired().iso_storages() {
        if find(context, &place).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Neither the size of the file nor the end of its upload is known.
fn unknown_size(volume: &VolumeId, place: &NodeStorage, size: Option<u64>) -> Error {
    let who = match size {
        Some(_) => "the factory does not state the length of the image",
        None => "the storage does not state the size of the file",
    };
    Error::new(ErrorKind::NotReady, "check the ISO")
        .with_target(format!("{volume} on node {}", place.node))
        .with_message(format!("whether the file is complete is unknown: {who}"))
        .with_hint("Remove the file from the storage and run again, which stores it.")
}

fn different_file(volume: &VolumeId, place: &NodeStorage, size: u64, length: u64) -> Error {
    Error::new(ErrorKind::Conflict, "check the ISO")
        .with_target(format!("{volume} on node {}", place.node))
        .with_message(format!(
            "the file has {size} bytes, the image of the factory has {length}"
        ))
        .with_hint(
            "If no other upload of this ISO is in progress, remove the file from the storage and run again.",
        )
}
