//! An installation ISO on a storage that machines boot from: complete, with the length that the factory states.
//!
//! Storages of the same name on two nodes have their own files, unless they are shared.

mod digest;
mod recorded;
mod source;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proxmox_client::id::{NodeName, StorageName, VolumeId};
use proxmox_client::storage::{Content, Storage, VolumeInfo};

use crate::desired::release::{Iso, Release};
use crate::desired::{DesiredMachine, NodeStorage};
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::limits::{self, Place};
use crate::run::step::{Kind, Observation, Step, StepId};

pub(crate) use recorded::was_started;

use source::Source;

const VOLUME: &str = "volume";
const LENGTH: &str = "length";

/// A storage has the ISO of a release.
pub(crate) struct StoreIso {
    source: Arc<Source>,
    /// The ISO on the storage; a shared storage as the first of its nodes sees it.
    iso: Iso,
    /// All nodes that see this copy.
    nodes: Vec<NodeName>,
    /// Whether a task of this run ended without error.
    is_stored: AtomicBool,
}

/// A complete ISO.
#[derive(Debug, Clone)]
pub(crate) struct StoredIso {
    iso: Iso,
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
    type Output = StoredIso;

    async fn observe(&self, context: &Context) -> Result<Observation<StoredIso>> {
        Ok(match self.copy(context).await? {
            Copy::Complete(iso) => Observation::Done(iso),
            Copy::Missing(reason) => Observation::Absent(reason),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        self.source.prewarm(context).await?;
        self.source
            .digests
            .learn(context, &self.source.release)
            .await?;
        self.store_in_turn(context).await
    }

    fn summary(&self, stored: &StoredIso) -> String {
        let Iso { at, .. } = &stored.iso;
        let length = stored
            .length
            .map(|length| format!(", {} MiB", length >> 20));
        let file = stored.iso.file();
        let length = length.unwrap_or_default();
        format!("{}:iso/{file} on node {}{length}", at.storage, at.node)
    }

    fn evidence(&self, stored: &StoredIso) -> Vec<(&'static str, String)> {
        let length = stored.length.map(|length| (LENGTH, length.to_string()));
        let digest = self.source.digests.evidence();
        length.into_iter().chain(digest).collect()
    }

    fn references(&self, _context: &Context) -> Vec<(&'static str, String)> {
        let names = self.nodes.iter().map(|node| reference(&self.iso, node));
        vec![(VOLUME, names.collect::<Vec<_>>().join(","))]
    }
}

/// The stored ISOs in one line.
pub(crate) fn summary(isos: &[String]) -> String {
    isos.join("; ")
}

/// One for each ISO on each storage. A shared storage has the files of every node, so it counts once.
///
/// # Errors
/// Those of Proxmox VE, where several nodes have a storage of the same name and it is not known whether they share it.
pub(crate) async fn steps(context: &Context) -> Result<Vec<(String, StoreIso)>> {
    let mut shared = BTreeMap::new();
    let mut steps: Vec<StoreIso> = Vec::new();
    for iso in context.desired().isos() {
        let is_same =
            |step: &StoreIso| step.file() == iso.file() && step.iso.at.storage == iso.at.storage;
        if let Some(known) = steps.iter().position(is_same)
            && is_shared(context, &iso.at, &mut shared).await?
        {
            steps[known].nodes.push(iso.at.node);
            continue;
        }
        let mut sources = steps.iter().map(|step| &step.source);
        let source = sources.find(|source| source.file() == iso.file());
        let source = source.cloned();
        steps.push(StoreIso {
            source: source.unwrap_or_else(|| Arc::new(Source::new(Arc::clone(&iso.release)))),
            nodes: vec![iso.at.node.clone()],
            is_stored: AtomicBool::new(false),
            iso,
        });
    }
    let named = steps.into_iter().map(|step| (step.iso.to_string(), step));
    Ok(named.collect())
}

/// Whether nodes share the storages of this name. Each name is asked for once.
async fn is_shared(
    context: &Context,
    place: &NodeStorage,
    known: &mut BTreeMap<StorageName, bool>,
) -> Result<bool> {
    if let Some(known) = known.get(&place.storage) {
        return Ok(*known);
    }
    let shared = storage(context, place).status().await?.shared;
    known.insert(place.storage.clone(), shared);
    Ok(shared)
}

impl StoreIso {
    pub(crate) fn file(&self) -> &str {
        self.iso.file()
    }

    /// Whether the machine boots from this copy.
    pub(crate) fn is_for(&self, machine: &DesiredMachine) -> bool {
        let Iso { release, at } = machine.iso();
        release.iso_file == self.iso.file()
            && at.storage == self.iso.at.storage
            && self.nodes.contains(&at.node)
    }

    /// An upload is copied onto its final name on the server, so a listed ISO can be half a copy: only its length proves
    /// that it is complete.
    async fn copy(&self, context: &Context) -> Result<Copy> {
        let iso = &self.iso;
        let volume = volume(iso)?;
        let complete = |length| {
            Copy::Complete(StoredIso {
                iso: iso.clone(),
                length,
            })
        };
        let Some(found) = find(context, iso).await? else {
            return Ok(Copy::Missing(format!(
                "{volume} does not exist{}",
                at(context, iso)
            )));
        };
        let length = self.source.length(context).await?;
        let size = size(context, &iso.at, &found).await;
        let (Some(size), Some(length)) = (size, length) else {
            return match self.was_stored(context).await? {
                true => Ok(complete(length.or(size))),
                false => Err(unknown_size(iso, size)),
            };
        };
        if is_length(length, size) {
            return Ok(complete(Some(length)));
        }
        // One wrong response must not condemn a file.
        let length = self
            .source
            .confirmed_length(context)
            .await?
            .unwrap_or(length);
        if is_length(length, size) {
            return Ok(complete(Some(length)));
        }
        let is_partial = size < length;
        if is_partial
            && (was_started(context, iso).await?
                || limits::is_in_use(context, &turn_at(context, &iso.at).await?))
        {
            return Ok(Copy::Missing(format!(
                "{volume} is incomplete{}: {size} of {length} bytes",
                at(context, iso)
            )));
        }
        Err(different_file(iso, size, length))
    }

    /// Stores the ISO where it is still not complete when the storage has a turn: another bootstrap may have stored it.
    async fn store_in_turn(&self, context: &Context) -> Result<()> {
        let limit = context.within_slice(context.timing().image_transfer);
        let turn = limits::turn(context, &turn_at(context, &self.iso.at).await?, limit).await?;
        context.before_effect().await?;
        self.store(context).await?;
        drop(turn);
        Ok(())
    }

    /// Stores the ISO where it is not complete.
    async fn store(&self, context: &Context) -> Result<()> {
        let iso = &self.iso;
        if let Copy::Complete(_) = self.copy(context).await? {
            return Ok(());
        }
        let storage = storage(context, &iso.at);
        if transfer::others_download_ended(context, iso).await?
            && let Copy::Complete(_) = self.copy(context).await?
        {
            return Ok(());
        }
        self.remove_partial_copy(context, &storage).await?;
        if self.fetched_by_the_node(context, &storage).await? {
            self.saw_the_end();
            let Copy::Missing(reason) = self.copy(context).await? else {
                return Ok(());
            };
            context.note(format!("{reason}; uploading through this process"));
            self.remove_partial_copy(context, &storage).await?;
        }
        self.upload(context, &storage).await?;
        self.saw_the_end();
        Ok(())
    }

    /// A task that stored the ISO has ended without error.
    fn saw_the_end(&self) {
        self.is_stored.store(true, Ordering::Relaxed);
    }

    /// Whether the end of the task that stored the ISO was seen: the proof where the storage states no size.
    async fn was_stored(&self, context: &Context) -> Result<bool> {
        let seen = self.is_stored.load(Ordering::Relaxed);
        Ok(seen || recorded::was_done(context, &self.iso).await?)
    }

    /// Removes a copy that a run of this cluster left incomplete, and nothing else.
    async fn remove_partial_copy(&self, context: &Context, storage: &Storage) -> Result<()> {
        let iso = &self.iso;
        let Some(found) = find(context, iso).await? else {
            return Ok(());
        };
        let size = size(context, &iso.at, &found).await;
        let incomplete = size.zip(self.source.known_length());
        let is_incomplete = incomplete.is_some_and(|(size, length)| size < length);
        if !is_incomplete || !was_started(context, iso).await? {
            return Ok(());
        }
        let volume = volume(iso)?;
        let limit = context.timing().task;
        if let Some(task) = storage.delete(&volume).await? {
            proxmox_task::finish(context, "the partial copy to be removed", &task, limit).await?;
        }
        context.note(format!(
            "removed the partial copy {volume}{}",
            at(context, iso)
        ));
        Ok(())
    }
}

pub(crate) fn storage(context: &Context, place: &NodeStorage) -> Storage {
    let node = context.clients().proxmox.node(place.node.clone());
    node.storage(place.storage.clone())
}

fn volume(iso: &Iso) -> Result<VolumeId> {
    let content = Content::Iso.as_str();
    Ok(VolumeId::of_file(&iso.at.storage, content, iso.file())?)
}

/// ` on node pve-01` in a cluster of several nodes.
fn at(context: &Context, iso: &Iso) -> String {
    match context.desired().nodes().len() {
        1 => String::new(),
        _ => format!(" on node {}", iso.at.node),
    }
}

/// Where files arrive on the storage: a shared one is the same for every node.
async fn turn_at(context: &Context, place: &NodeStorage) -> Result<Place> {
    let is_shared = storage(context, place).status().await?.shared;
    let node = (!is_shared).then_some(&place.node);
    Ok(Place::storage(context, node, &place.storage))
}

/// What the journal calls the ISO on its storage, as this node sees it.
fn reference(iso: &Iso, node: &NodeName) -> String {
    format!("{node}/{}:iso/{}", iso.at.storage, iso.file())
}

pub(crate) async fn find(context: &Context, iso: &Iso) -> Result<Option<VolumeInfo>> {
    let volume = volume(iso)?;
    Ok(storage(context, &iso.at).find(&volume).await?)
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

/// Whether a storage lists the ISO of one of these releases, complete or not.
pub(super) async fn is_listed(context: &Context, releases: &[Arc<Release>]) -> Result<bool> {
    let is_of = |iso: &Iso| releases.iter().any(|known| known.iso_file == iso.file());
    for iso in context.desired().isos().iter().filter(|iso| is_of(iso)) {
        if find(context, iso).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Neither the size of the file nor the end of its upload is known.
fn unknown_size(iso: &Iso, size: Option<u64>) -> Error {
    let who = match size {
        Some(_) => "the factory does not state the length of the image",
        None => "the storage does not state the size of the file",
    };
    Error::new(ErrorKind::NotReady, "check the ISO")
        .with_target(iso.to_string())
        .with_message(format!("whether the file is complete is unknown: {who}"))
        .with_hint("Remove the file from the storage and run again, which stores it.")
}

fn different_file(iso: &Iso, size: u64, length: u64) -> Error {
    Error::new(ErrorKind::Conflict, "check the ISO")
        .with_target(iso.to_string())
        .with_message(format!(
            "the file has {size} bytes, the image of the factory has {length}"
        ))
        .with_hint(
            "If no other upload of this ISO is in progress, remove the file from the storage and run again.",
        )
}
