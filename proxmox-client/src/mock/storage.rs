//! Storages: listing, allocating, copying, deleting.

mod download;
mod upload;

use serde_json::{Value, json};

use super::check::Release;
use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, State, VolumeRecord};
use super::task::{self, Effect, TaskSubject};
use crate::id::{NodeName, VolumeId};

pub(super) use download::download;
pub(super) use upload::upload;

const SEEN_BY: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let wanted: Vec<&str> =
        crate::wire::split_list(context.optional("content").unwrap_or_default()).collect();
    let visible = state.storages.iter().filter(|storage| {
        let path = format!("/storage/{}", storage.name);
        let fits = wanted.is_empty() || wanted.iter().any(|content| storage.supports(content));
        let named = context
            .optional("storage")
            .is_none_or(|name| storage.name.as_str() == name);
        let enabled = context.optional("enabled") != Some("1") || is_usable(&node, storage);
        // Both nodes see the files of a shared storage only.
        let reaches = context.optional("target").is_none_or(|target| {
            storage.shared && state.nodes.iter().any(|node| node.name.as_str() == target)
        });
        fits && named && enabled && reaches && context.caller.may(&path, SEEN_BY)
    });
    let formats = context.optional("format") == Some("1");
    let items = visible.map(|storage| {
        let mut item = shown(state, &node, storage);
        item["storage"] = storage.name.as_str().into();
        if formats && storage.holds_files() {
            item["formats"] =
                json!({ "supported": ["qcow2", "raw", "subvol", "vmdk"], "default": "raw" });
        }
        item
    });
    Ok(items.collect())
}

/// A storage that is disabled, or is not on the node, is shown as disabled and without sizes.
pub(super) fn status(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let found = state
        .storages
        .iter()
        .find(|storage| storage.name.as_str() == context.param("storage"));
    match found {
        Some(storage) => Ok(shown(state, &node, storage)),
        None => Err(Refusal::parameter("storage", "No such storage.")),
    }
}

fn is_usable(node: &NodeName, storage: &MockStorage) -> bool {
    !storage.disabled && storage.is_on(node)
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn shown(state: &State, node: &NodeName, storage: &MockStorage) -> Value {
    let usable = is_usable(node, storage);
    let mut item = json!({
        "type": storage.kind, "content": storage.content.join(","),
        "enabled": u8::from(usable), "active": u8::from(usable),
        "shared": u8::from(storage.shared), "total": 0, "used": 0, "avail": 0,
    });
    if usable {
        let used = state.used(&storage.name);
        item["total"] = storage.size.into();
        item["used"] = used.into();
        item["avail"] = storage.size.saturating_sub(used).into();
        item["used_fraction"] = json!(used as f64 / storage.size.max(1) as f64);
    }
    item
}

pub(super) fn configs(context: &Context<'_>, state: &State) -> Value {
    let visible = state.storages.iter().filter(|storage| {
        context
            .caller
            .may(&format!("/storage/{}", storage.name), SEEN_BY)
    });
    visible.map(config_of).collect()
}

pub(super) fn config(context: &Context<'_>, state: &State) -> Reply {
    state.storage(context.param("storage")).map(config_of)
}

fn config_of(storage: &MockStorage) -> Value {
    let mut item = json!({
        "storage": storage.name, "type": storage.kind, "content": storage.content.join(","),
        "digest": "243bcc976b56a6c5356c00295adbbafce33019f0",
    });
    if storage.holds_files() {
        item["path"] = storage.path.as_str().into();
    }
    if storage.disabled {
        item["disable"] = 1.into();
    }
    if storage.shared {
        item["shared"] = 1.into();
    }
    if !storage.nodes.is_empty() {
        let nodes: Vec<&str> = storage.nodes.iter().map(|node| node.as_str()).collect();
        item["nodes"] = nodes.join(",").into();
    }
    item
}

pub(super) fn content(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state.usable_storage(&node, context.param("storage"))?;
    let wanted = context.optional("content");
    let vmid = context.optional("vmid");
    // Whoever may not do everything with a storage does not see its snippets (pve-storage 9.1.7, `check_volume_access`).
    let path = format!("/storage/{}", storage.name);
    let sees_snippets = context.caller.may(&path, &["Datastore.Allocate"]);
    let elsewhere = state.files_elsewhere.values();
    let volumes = state.volumes.values().chain(elsewhere).filter(|volume| {
        volume.id.storage() == storage.name
            && volume.node == state.owner_of(&node, &volume.id)
            && wanted.is_none_or(|content| volume.content == content)
            && vmid.is_none_or(|vmid| volume.vmid.is_some_and(|id| id.to_string() == vmid))
            && (volume.content != "snippets" || sees_snippets)
            // A name that begins with a dot is stored and never listed.
            && !volume.id.file_name().starts_with('.')
    });
    let items = volumes.map(|volume| {
        let mut item = json!({
            "volid": volume.id, "content": volume.content, "size": volume.size,
            "format": format_of(volume), "ctime": 1_760_000_000,
        });
        if let (false, Some(item)) = (storage.states_sizes, item.as_object_mut()) {
            item.remove("size");
        }
        if let Some(vmid) = volume.vmid {
            item["vmid"] = vmid.get().into();
            item["used"] = volume.size.into();
            item["parent"] = Value::Null;
        }
        item
    });
    Ok(items.collect())
}

fn format_of(volume: &VolumeRecord) -> &str {
    let ending = volume
        .id
        .file_name()
        .rsplit_once('.')
        .map(|(_, ending)| ending);
    match (volume.content.as_str(), ending) {
        ("iso", _) => "iso",
        ("snippets", _) => "snippet",
        ("vztmpl", _) => "tgz",
        ("backup", _) => backup_format(volume.id.file_name()),
        (_, Some("qcow2")) => "qcow2",
        (_, Some("vmdk")) => "vmdk",
        _ => "raw",
    }
}

fn backup_format(name: &str) -> &str {
    name.find(".vma").map_or("vma", |at| &name[at + 1..])
}

/// The volume in the path, with or without its storage.
fn volume_id(context: &Context<'_>, state: &State) -> Result<VolumeId, Refusal> {
    let storage = state.storage(context.param("storage"))?;
    let name = context.param("volume");
    let (text, inner) = match name.split_once(':') {
        Some((_, inner)) => (name.to_owned(), inner),
        None => (format!("{}:{name}", storage.name), name),
    };
    let unparsable = || Refusal::died(format!("unable to parse directory volume name '{inner}'"));
    if storage.holds_files() && !inner.contains('/') {
        return Err(unparsable());
    }
    VolumeId::new(text).map_err(|_| unparsable())
}

pub(super) fn volume(context: &Context<'_>, state: &State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state.usable_storage(&node, context.param("storage"))?;
    let id = volume_id(context, state)?;
    let path = storage.path_of(id.name());
    let found = state.volume_on(&node, &id);
    let volume = found
        .filter(|_| storage.states_sizes)
        .ok_or_else(|| Refusal::died(format!("volume_size_info on '{id}' failed - no format")))?;
    // Release 8 reads the format off the content of the file; the list has `iso` in both (measured).
    let format = match (state.contract.release(), volume.content.as_str()) {
        (Release::Eight, "iso") | (_, "snippets") => "raw",
        _ => format_of(volume),
    };
    Ok(
        json!({ "path": path, "size": volume.size.next_multiple_of(512), "used": volume.size, "format": format }),
    )
}

pub(super) fn update_volume(context: &Context<'_>, state: &State) -> Reply {
    let id = volume_id(context, state)?;
    match state.volumes.contains_key(&id) {
        true => Ok(Value::Null),
        false => Err(Refusal::died(format!("volume '{id}' does not exist"))),
    }
}

/// Copies a volume; the call is called experimental and is root's. Not recorded: read in `Content.pm` and `storage_migrate` of
/// pve-storage 9.1.7 (`0c56bad`). The real task needs a node that may log in to itself over SSH; what fails behind SSH has
/// another exit text there, `command '…' failed: exit code 255`, and the text below in its log.
pub(super) fn copy(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let named = |name: &str| real_volume_id(context.param("storage"), context.param(name));
    let (source, target) = (named("volume")?, named("target")?);
    let subject = TaskSubject::of(context, "imgcopy", "", &node);
    let effect = move |state: &mut State| {
        let of = |volume: &VolumeId| {
            let name = volume.storage();
            let found = state.storages.iter().find(|known| known.name == name);
            found.ok_or_else(|| format!("storage '{name}' does not exist"))
        };
        let from = of(&source)?;
        if from.shared && source.storage() == target.storage() {
            return Ok(Vec::new());
        }
        let to = of(&target)?;
        if from.holds_files() != to.holds_files() {
            let (from, to) = (&from.kind, &to.kind);
            return Err(format!(
                "cannot migrate from storage type '{from}' to '{to}'"
            ));
        }
        let known = state.volumes.get(&source).cloned();
        let record = known.ok_or_else(|| format!("volume '{source}' does not exist"))?;
        if state.volumes.contains_key(&target) {
            return Err(format!("volume {target} already exists"));
        }
        state.add_volume(VolumeRecord {
            id: target,
            ..record
        })?;
        Ok(Vec::new())
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

/// The volume that a name means on a storage. Problems of the target are reported as those of `volume`, too.
fn real_volume_id(storage: &str, name: &str) -> Result<VolumeId, Refusal> {
    let problem = |text: String| Refusal::parameter("volume", text);
    let text = match name.split_once(':') {
        Some((other, _)) if other != storage => {
            return Err(problem(format!(
                "storage ID mismatch ({other} != {storage})"
            )));
        }
        Some(_) => name.to_owned(),
        None => format!("{storage}:{name}"),
    };
    VolumeId::new(text.as_str()).map_err(|_| problem(format!("unable to parse volume ID '{text}'")))
}

pub(super) fn allocate(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state
        .usable_storage(&node, context.param("storage"))?
        .clone();
    let vmid = context.vm_id()?;
    let file = context.param("filename");
    let name = match storage.holds_files() {
        true => format!("{vmid}/{file}"),
        false => file.to_owned(),
    };
    // A number without a unit is in KiB.
    let text = context.param("size");
    let size = match text.parse::<u64>() {
        Ok(kib) => kib << 10,
        Err(_) => text
            .parse::<crate::vm::Size>()
            .map_or(0, crate::vm::Size::bytes),
    };
    let id = format!("{}:{name}", storage.name);
    if VolumeId::new(id.as_str()).is_ok_and(|id| state.volumes.contains_key(&id)) {
        return Err(Refusal::died(format!(
            "disk image '{}' already exists",
            storage.path_of(&name)
        )));
    }
    let volume = super::vm_config::add_disk(state, &storage.name, vmid, &name, size);
    volume.map(|id| id.as_str().into()).map_err(Refusal::died)
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state.storage(context.param("storage"))?.clone();
    // The right depends on the kind of volume, so that the name is read first.
    let volume = volume_id(context, state)?;
    context.caller.require(
        &format!("/storage/{}", storage.name),
        &["Datastore.Allocate"],
    )?;
    let owner = state
        .volume_on(&node, &volume)
        .and_then(|record| record.vmid)
        .map(|id| id.to_string());
    let owner = owner.or_else(|| {
        let (vmid, _) = volume.name().split_once('/')?;
        vmid.parse::<u32>().ok().map(|id| id.to_string())
    });
    let subject = match owner {
        Some(vmid) => format!("{vmid}@{}", storage.name),
        None => storage.name.to_string(),
    };
    let subject = TaskSubject::of(context, "imgdel", &subject, &node);
    let path = storage.path_of(volume.name());
    let removed = volume.clone();
    let place = node.clone();
    let effect: Effect = Box::new(move |state| {
        let mut log = Vec::new();
        match state.remove_volume(&place, &removed) {
            Some(_) => state.emit(&MockEvent::VolumeRemoved {
                volume: removed.clone(),
            }),
            // A file that is missing is no failure.
            None if storage.holds_files() => {
                log.push(format!("disk image '{path}' does not exist"));
            }
            None => return Err(format!("volume '{removed}' does not exist")),
        }
        log.push(format!("Removed volume '{removed}'"));
        Ok(log)
    });
    if context.optional("delay").is_some() {
        effect(state).map_err(Refusal::died)?;
        return Ok(Value::Null);
    }
    task::start(context.shared, state, &subject, effect)
}

/// The mock keeps no backups: nothing is to be pruned.
pub(super) fn prune(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state
        .usable_storage(&node, context.param("storage"))?
        .name
        .to_string();
    let subject = TaskSubject::of(context, "prunebackups", &storage, &node);
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(|_| Ok(Vec::new())),
    )
}
