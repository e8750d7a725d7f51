//! What `talosctl gen config` writes for the cases of `generate-options.json`, or why it refuses them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::digest::digest;
use super::files::{read, write};
use super::json::spaced_lines;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    name: String,
    endpoint: String,
    contract: String,
    kubernetes: String,
    disk: String,
    image: String,
    dns: String,
    sans: Vec<String>,
    mirrors: Vec<String>,
    flags: Vec<String>,
    #[serde(default)]
    patches: Vec<String>,
    #[serde(default)]
    control_plane_patches: Vec<String>,
    #[serde(default)]
    worker_patches: Vec<String>,
}

/// Asks `talosctl` of `version` for every case. Its answers are added or replaced; the options stay as they are.
pub(crate) fn options(data: &Path, talosctl: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let file = data.join("generate-options.json");
    let mut cases: Vec<Value> = serde_json::from_str(&read(&file)?)?;
    let patches = tempfile::tempdir()?;
    let reference = Reference {
        talosctl,
        secrets: data.join("secrets.yaml"),
    };
    for value in &mut cases {
        let case = Case::deserialize(&*value)?;
        let answer = reference.answer(case.arguments(patches.path())?)?;
        if let Some(results) = value["results"].as_object_mut() {
            results.insert(version.to_owned(), answer);
        }
    }
    write(file, &spaced_lines(&cases))
}

struct Reference<'a> {
    talosctl: &'a Path,
    secrets: PathBuf,
}

impl Reference<'_> {
    /// The digests of both configurations, or the error. A flag that the release does not have is without effect in it.
    fn answer(&self, mut arguments: Vec<String>) -> Result<Value> {
        let (control_plane, worker) = loop {
            let control_plane = self.generate("controlplane", &arguments)?;
            match control_plane
                .as_ref()
                .err()
                .and_then(|said| unknown_flag(said))
            {
                Some(flag) => arguments.retain(|argument| !argument.starts_with(flag)),
                None => break (control_plane, self.generate("worker", &arguments)?),
            }
        };
        Ok(match control_plane.and_then(|first| Ok((first, worker?))) {
            Ok((first, second)) => {
                json!({ "controlplane": digest(&first), "worker": digest(&second) })
            }
            Err(said) => json!({ "error": said }),
        })
    }

    fn generate(
        &self,
        kind: &str,
        arguments: &[String],
    ) -> Result<std::result::Result<String, String>> {
        let output = Command::new(self.talosctl)
            .args(["gen", "config", "--output=-", "--output-types", kind])
            .args(["--with-docs=false", "--with-examples=false"])
            .arg("--with-secrets")
            .arg(&self.secrets)
            .args(arguments)
            .output()?;
        if output.status.success() {
            return Ok(Ok(String::from_utf8(output.stdout)?));
        }
        let said = String::from_utf8(output.stderr)?;
        let said = said
            .strip_prefix("generating PKI and tokens\n")
            .unwrap_or(&said);
        Ok(Err(said.trim_end().to_owned()))
    }
}

/// The flag that the program does not have.
fn unknown_flag(said: &str) -> Option<&str> {
    let flag = said.lines().next()?.strip_prefix("unknown flag: ")?;
    FLAGS
        .iter()
        .any(|(_, known)| known.starts_with(flag))
        .then_some(flag)
}

/// The flags of the cases, and what the program calls them.
const FLAGS: [(&str, &str); 4] = [
    (
        "without-cluster-discovery",
        "--with-cluster-discovery=false",
    ),
    ("without-kubernetes", "--skip-k8s-etcd"),
    ("without-persistence", "--persist=false"),
    ("kubespan", "--with-kubespan"),
];

impl Case {
    /// The command line, with the patches as files of `folder`.
    fn arguments(&self, folder: &Path) -> Result<Vec<String>> {
        let mut arguments = vec![
            format!("--talos-version={}", self.contract),
            format!("--kubernetes-version={}", self.kubernetes),
            format!("--install-disk={}", self.disk),
            format!("--install-image={}", self.image),
            format!("--dns-domain={}", self.dns),
        ];
        let lists = [
            ("additional-sans", &self.sans),
            ("registry-mirror", &self.mirrors),
        ];
        for (name, values) in lists {
            arguments.extend(
                values
                    .iter()
                    .map(|value| format!("--{name}={}", csv(value))),
            );
        }
        let patches = [
            ("config-patch", &self.patches),
            ("config-patch-control-plane", &self.control_plane_patches),
            ("config-patch-worker", &self.worker_patches),
        ];
        for (name, texts) in patches {
            for (index, text) in texts.iter().enumerate() {
                let file = folder.join(format!("{name}-{index}.yaml"));
                std::fs::write(&file, text)?;
                arguments.push(format!("--{name}=@{}", file.display()));
            }
        }
        for flag in &self.flags {
            let known = FLAGS.iter().find(|(name, _)| name == flag);
            let (_, argument) = known.ok_or_else(|| format!("unknown flag {flag:?}"))?;
            arguments.push((*argument).to_owned());
        }
        arguments.extend(["--".to_owned(), self.name.clone(), self.endpoint.clone()]);
        Ok(arguments)
    }
}

/// A value of a list flag, which the program reads as a line of comma-separated values.
fn csv(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}
