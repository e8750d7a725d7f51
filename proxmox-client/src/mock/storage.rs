//! Storages: listing, fetching, uploading, deleting.

use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use url::Url;

use super::Shared;
use super::event::MockEvent;
use super::handler::Context;
use super::multipart::Upload;
use super::reply::{Refusal, Reply};
use super::state::{MockStorage, State, VolumeRecord, hex};
use super::task::{self, Effect, TaskSubject};
use crate::id::{VolumeId, normalized_file_name};

pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    state.node(context.param("node"))?;
    let wanted = context.optional("content");
    let visible = state.storages.iter().filter(|storage| {
        let path = format!("/storage/{}", storage.name);
        wanted.is_none_or(|content| storage.supports(content))
            && context
                .caller
                .may(&path, &["Datastore.Audit", "Datastore.AllocateSpace"])
    });
    Ok(visible.map(|storage| shown(state, storage)).collect())
}

pub(super) fn status(context: &Context<'_>, state: &State) -> Reply {
    state.node(context.param("node"))?;
    let storage = state.storage(context.param("storage"))?;
    Ok(shown(state, storage))
}

fn shown(state: &State, storage: &MockStorage) -> Value {
    let used = state.used(&storage.name);
    json!({
        "storage": storage.name, "type": storage.kind, "content": storage.content.join(","),
        "enabled": 1, "active": 1, "shared": 0, "total": storage.size, "used": used,
        "avail": storage.size.saturating_sub(used),
    })
}

pub(super) fn content(context: &Context<'_>, state: &State) -> Reply {
    state.node(context.param("node"))?;
    let storage = state.storage(context.param("storage"))?;
    let wanted = context.optional("content");
    let volumes = state.volumes.values().filter(|volume| {
        volume.id.storage() == storage.name
            && wanted.is_none_or(|content| volume.content == content)
    });
    let items = volumes.map(|volume| {
        let mut item = json!({
            "volid": volume.id, "content": volume.content, "size": volume.size,
            "format": if volume.content == "iso" { "iso" } else { "raw" }, "ctime": 1_760_000_000,
        });
        if let Some(vmid) = volume.vmid {
            item["vmid"] = vmid.get().into();
        }
        item
    });
    Ok(items.collect())
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let storage = state.storage(context.param("storage"))?.name.clone();
    context
        .caller
        .require(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
    let name = context.param("volume");
    let text = if name.contains(':') {
        name.to_owned()
    } else {
        format!("{storage}:{name}")
    };
    let volume = VolumeId::new(text)
        .map_err(|_| Refusal::died(format!("unable to parse volume ID '{name}'")))?;
    let subject = TaskSubject {
        worker: "imgdel",
        id: volume.file_name(),
        node: &node,
        user: &context.caller.id,
    };
    let removed = volume.clone();
    let effect = move |state: &mut State| match state.volumes.remove(&removed) {
        Some(_) => {
            state.emit(&MockEvent::VolumeRemoved { volume: removed });
            Ok(Vec::new())
        }
        None => Err(format!("volume '{removed}' does not exist")),
    };
    task::start(context.shared, state, &subject, Box::new(effect))
}

/// The checks that upload and download share; the volume that will come to be.
fn target(context: &Context<'_>, state: &State, file_name: &str) -> Result<VolumeId, Refusal> {
    let storage = state.storage(context.param("storage"))?;
    let content = context.param("content");
    let name = normalized_file_name(file_name);
    let lower = name.to_ascii_lowercase();
    let good = match content {
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
        return Err(Refusal::died(format!(
            "storage '{}' does not support '{content}' content",
            storage.name
        )));
    }
    VolumeId::of_file(&storage.name, content, &name)
        .map_err(|error| Refusal::parameter("filename", error.to_string()))
}

pub(super) fn upload(context: &Context<'_>, state: &mut State, upload: &Upload) -> Reply {
    state.node(context.param("node"))?;
    let volume = target(context, state, &upload.file_name)?;
    let content = context.param("content").to_owned();
    let checksum = Checksum::of(context);
    let body = upload.body.clone();
    // The contacted node works, whichever node the path names.
    let node = state.nodes.first().cloned();
    let node = node.ok_or_else(|| Refusal::died("no node"))?;
    let subject = TaskSubject {
        worker: "imgcopy",
        id: "",
        node: &node,
        user: &context.caller.id,
    };
    let effect = move |state: &mut State| {
        checksum.verify(&body)?;
        state.volumes.remove(&volume);
        state.add_volume(VolumeRecord::file(volume, &content, body, None))?;
        Ok(vec!["finished file import successfully".to_owned()])
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
    let doomed = state.failing_tasks.pop_front();
    let job = Download {
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

struct Download {
    volume: VolumeId,
    content: String,
    checksum: Checksum,
    unpack: Option<String>,
    url: Url,
}

impl Download {
    async fn run(self, shared: &Shared) -> Effect {
        let existing = shared.state().volumes.get(&self.volume).cloned();
        if let Some(existing) = existing {
            let result = self.meet_existing(&existing);
            return Box::new(move |_| result);
        }
        if let Some(method) = &self.unpack {
            let text = format!("no decompression method found for '{method}'");
            return Box::new(move |_| Err(text));
        }
        let body = match shared.fetch(&self.url).await {
            Ok(body) => body,
            Err(code) => {
                let text = format!("download failed: command 'wget' failed: exit code {code}");
                return Box::new(move |_| Err(text));
            }
        };
        Box::new(move |state| {
            self.checksum.verify(&body)?;
            let url = self.url.clone();
            state.add_volume(VolumeRecord::file(
                self.volume,
                &self.content,
                body,
                Some(self.url),
            ))?;
            Ok(vec![
                format!("downloading {url}"),
                "download of the file finished".to_owned(),
            ])
        })
    }

    fn meet_existing(&self, existing: &VolumeRecord) -> Result<Vec<String>, String> {
        if self.checksum.0.is_none() {
            let name = existing.id.file_name();
            return Err(format!(
                "refusing to override existing file '/var/lib/vz/template/iso/{name}'"
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
