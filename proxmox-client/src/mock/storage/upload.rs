//! Files that a client sends.

use sha2::{Digest, Sha256, Sha512};

use crate::id::{VolumeId, normalized_file_name};
use crate::mock::handler::Context;
use crate::mock::multipart::Upload;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{State, VolumeRecord, hex};
use crate::mock::task::{self, TaskSubject};

/// The checks that upload and download share; the volume that will come to be.
pub(super) fn target(
    context: &Context<'_>,
    state: &State,
    file_name: &str,
) -> Result<VolumeId, Refusal> {
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

pub(in crate::mock) fn upload(context: &Context<'_>, state: &mut State, upload: &Upload) -> Reply {
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
    let subject = TaskSubject::of(context, "imgcopy", "", &node);
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

/// Algorithm and digits, if given.
pub(super) struct Checksum(pub(super) Option<(String, String)>);

impl Checksum {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let algorithm = context.optional("checksum-algorithm");
        Self(
            algorithm
                .zip(context.optional("checksum"))
                .map(|(algorithm, expected)| (algorithm.to_owned(), expected.to_owned())),
        )
    }

    pub(super) fn verify(&self, body: &[u8]) -> Result<(), String> {
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
