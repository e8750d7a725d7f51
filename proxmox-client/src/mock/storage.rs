//! Storages: listing, downloading, uploading, deleting.

use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use url::Url;

use super::Shared;
use super::check::Release;
use super::event::MockEvent;
use super::handler::Context;
use super::multipart::Upload;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, State, VolumeRecord, hex};
use super::task::{self, Effect, TaskSubject};
use crate::id::{NodeName, VolumeId, normalized_file_name};

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
    let elsewhere = state.files_elsewhere.values();
    let volumes = state.volumes.values().chain(elsewhere).filter(|volume| {
        volume.id.storage() == storage.name
            && volume.node == state.owner_of(&node, &volume.id)
            && wanted.is_none_or(|content| volume.content == content)
            && vmid.is_none_or(|vmid| volume.vmid.is_some_and(|id| id.to_string() == vmid))
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
        ("vztmpl", _) => "tgz",
        (_, Some("qcow2")) => "qcow2",
        (_, Some("vmdk")) => "vmdk",
        _ => "raw",
    }
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
        (Release::Eight, "iso") => "raw",
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
    let subject = TaskSubject {
        worker: "imgdel",
        id: &subject,
        node: &node,
        user: &context.caller.id,
    };
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
    let subject = TaskSubject {
        worker: "prunebackups",
        id: &storage,
        node: &node,
        user: &context.caller.id,
    };
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(|_| Ok(Vec::new())),
    )
}

/// The checks that upload and download share; the volume that will come to be.
fn target(context: &Context<'_>, state: &State, file_name: &str) -> Result<VolumeId, Refusal> {
    let node = state.node(context.param("node"))?;
    let storage = state.usable_storage(&node, context.param("storage"))?;
    let content = context.param("content");
    let name = normalized_file_name(file_name);
    let lower = name.to_ascii_lowercase();
    // A name needs something before its ending.
    let stem = !name.starts_with('.') || name.matches('.').count() > 1;
    let good = stem
        && match content {
            "iso" => lower.ends_with(".iso") || lower.ends_with(".img"),
            "import" => [".raw", ".qcow2", ".vmdk", ".ova"]
                .iter()
                .any(|end| name.ends_with(end)),
            _ => lower.contains(".tar"),
        };
    if !good {
        let problem = match content {
            "import" => "invalid filename or wrong extension",
            _ => "wrong file extension",
        };
        return Err(Refusal::parameter("filename", problem));
    }
    if !storage.holds_files() {
        return Err(Refusal::died(format!(
            "can't upload to storage type '{}'",
            storage.kind
        )));
    }
    if !storage.supports(content) {
        // Uploads and downloads have different words for it.
        let unsupported = match context.optional("url") {
            Some(_) => format!("is not configured for content-type '{content}'"),
            None => format!("does not support '{content}' content"),
        };
        return Err(Refusal::died(format!(
            "storage '{}' {unsupported}",
            storage.name
        )));
    }
    VolumeId::of_file(&storage.name, content, &name)
        .map_err(|error| Refusal::parameter("filename", error.to_string()))
}

pub(super) fn upload(context: &Context<'_>, state: &mut State, upload: &Upload) -> Reply {
    let place = state.node(context.param("node"))?;
    let volume = target(context, state, &upload.file_name)?;
    let content = context.param("content").to_owned();
    let checksum = Checksum::of(context);
    let body = upload.body.clone();
    // The contacted node works, whichever node the path names.
    let node = state.nodes.first().map(|node| node.name.clone());
    let node = node.ok_or_else(|| Refusal::died("no node"))?;
    let path = state
        .storage(context.param("storage"))?
        .path_of(volume.name());
    let subject = TaskSubject {
        worker: "imgcopy",
        id: "",
        node: &node,
        user: &context.caller.id,
    };
    let target = node.clone();
    let effect = move |state: &mut State| {
        let temporary = "/var/tmp/pveupload-00000000000000000000000000000000";
        let mut log = vec![format!("starting file import from: {temporary}")];
        checksum.verify(&body)?;
        if checksum.0.is_some() {
            log.push("calculating checksum...OK, checksum verified".to_owned());
        }
        log.push(format!("target node: {target}"));
        log.push(format!("target file: {path}"));
        log.push(format!("file size is: {}", body.len()));
        log.push(format!("command: cp -- {temporary} {path}"));
        state.remove_volume(&place, &volume);
        state.add_file(&place, VolumeRecord::file(volume, &content, body, None))?;
        log.push("finished file import successfully".to_owned());
        Ok(log)
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

pub(super) fn download(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let file_name = context.param("filename");
    let volume = target(context, state, file_name)?;
    let url = Url::parse(context.param("url"))
        .map_err(|_| Refusal::parameter("url", "value does not match the regex pattern"))?;
    let subject = TaskSubject {
        worker: "download",
        id: volume.file_name(),
        node: &node,
        user: &context.caller.id,
    };
    let id = task::register(state, &subject)?;
    let destination = state
        .storage(context.param("storage"))?
        .path_of(volume.name());
    task::print(state, &id, format!("downloading {url} to {destination}"));
    for line in wget_begins(&url) {
        task::print(state, &id, line);
    }
    let doomed = state.failing_tasks.pop_front();
    let path = state
        .storage(context.param("storage"))?
        .path_of(volume.name());
    let job = Download {
        node: node.clone(),
        path,
        volume,
        content: context.param("content").to_owned(),
        checksum: Checksum::of(context),
        unpack: context.optional("compression").map(str::to_owned),
        url,
    };
    let (shared, text) = (context.shared.clone(), id.to_string());
    tokio::spawn(async move {
        let effect = match doomed {
            Some(exit_text) => Box::new(move |_: &mut State| Err(exit_text)),
            None => job.run(&shared).await,
        };
        task::set_effect(&shared, &mut shared.state(), &id, effect);
    });
    Ok(text.into())
}

/// What wget prints before the other server has answered.
fn wget_begins(url: &Url) -> [String; 3] {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    [
        format!("--2026-11-25 23:42:18--  {url}"),
        format!("Connecting to {host}:{port}... connected."),
        "HTTP request sent, awaiting response... ".to_owned(),
    ]
}

struct Download {
    node: NodeName,
    path: String,
    volume: VolumeId,
    content: String,
    checksum: Checksum,
    unpack: Option<String>,
    url: Url,
}

impl Download {
    async fn run(self, shared: &Shared) -> Effect {
        if let Some(method) = &self.unpack {
            let problem = match (self.content.as_str(), method.as_str()) {
                ("iso", "gz" | "lzo" | "zst" | "bz2") => None,
                ("iso", _) => Some("no decompression method found"),
                _ => Some("decompression not supported for import"),
            };
            if let Some(problem) = problem {
                return Box::new(move |_| Err(problem.to_owned()));
            }
        }
        let existing = shared.state().volume_on(&self.node, &self.volume).cloned();
        if let Some(existing) = existing {
            let result = self.meet_existing(&existing);
            return Box::new(move |_| result);
        }
        let body = match shared.fetch(&self.url).await {
            Ok(body) => body,
            Err(failure) => {
                let text = format!("download failed: {failure}");
                return Box::new(move |_| Err(text));
            }
        };
        Box::new(move |state| self.finish(state, body))
    }

    fn finish(self, state: &mut State, body: bytes::Bytes) -> Result<Vec<String>, String> {
        self.checksum.verify(&body)?;
        if self.content == "import"
            && self.path.ends_with(".qcow2")
            && !body.starts_with(b"QFI\xfb")
        {
            let path = format!("{}.tmp_dwnl.16661", self.path);
            return Err(format!(
                "failed to verify file: qemu-img: Could not open '{path}': Image is not in qcow2 format"
            ));
        }
        let body = match self.unpack.as_deref() {
            Some(method) => self.decompressed(method, body)?,
            None => body,
        };
        let (url, path, size) = (self.url.clone(), self.path, body.len());
        let record = VolumeRecord::file(self.volume, &self.content, body, Some(self.url));
        state.add_file(&self.node, record)?;
        Ok(vec![
            format!("Length: {size}"),
            format!("Saving to: '{path}.tmp_dwnl.16661'"),
            format!("download of '{url}' to '{path}' finished"),
        ])
    }

    /// The mock decompresses nothing: what looks like the format is stored as it is.
    fn decompressed(&self, method: &str, body: bytes::Bytes) -> Result<bytes::Bytes, String> {
        let (program, magic): (&str, &[u8]) = match method {
            "gz" => ("zcat", b"\x1f\x8b"),
            "zst" => ("zstd -q -d -c", b"\x28\xb5\x2f\xfd"),
            "bz2" => ("bzcat", b"BZh"),
            _ => ("lzop -d -c", b"\x89LZO"),
        };
        match body.starts_with(magic) {
            true => Ok(body),
            false => Err(format!(
                "command '{program} {}.tmp_dwnl.16661' failed: exit code 1",
                self.path
            )),
        }
    }

    fn meet_existing(&self, existing: &VolumeRecord) -> Result<Vec<String>, String> {
        if self.checksum.0.is_none() {
            return Err(format!(
                "refusing to override existing file '{}'",
                self.path
            ));
        }
        self.checksum
            .verify(&existing.body)
            .map(|()| vec!["OK, got correct file already, no need to download".to_owned()])
            .map_err(|text| format!("{text}, aborting"))
    }
}

/// Algorithm and digits, if given.
struct Checksum(Option<(String, String)>);

impl Checksum {
    fn of(context: &Context<'_>) -> Self {
        let algorithm = context.optional("checksum-algorithm");
        Self(
            algorithm
                .zip(context.optional("checksum"))
                .map(|(algorithm, expected)| (algorithm.to_owned(), expected.to_owned())),
        )
    }

    fn verify(&self, body: &[u8]) -> Result<(), String> {
        let Some((algorithm, expected)) = &self.0 else {
            return Ok(());
        };
        let got = match algorithm.as_str() {
            "sha256" => hex(&Sha256::digest(body)),
            "sha512" => hex(&Sha512::digest(body)),
            other => return Err(format!("the mock does not compute {other}")),
        };
        if got.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(format!(
            "checksum mismatch: got '{got}' != expect '{expected}'"
        ))
    }
}
