//! Files that a node fetches.

use url::Url;

use super::upload::{Checksum, target};
use crate::id::{NodeName, VolumeId};
use crate::mock::Shared;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{State, VolumeRecord};
use crate::mock::task::{self, Effect, TaskSubject};

pub(in crate::mock) fn download(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.node(context.param("node"))?;
    let file_name = context.param("filename");
    let volume = target(context, state, file_name)?;
    let url = Url::parse(context.param("url"))
        .map_err(|_| Refusal::parameter("url", "value does not match the regex pattern"))?;
    let subject = TaskSubject::of(context, "download", volume.file_name(), &node);
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
