//! Machine configurations that talosctl generates, for every case of `tests/data/talos/generate/index.json`.

use std::path::{Path, PathBuf};
use std::process::Command;

use factory_client::TalosVersion;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CLUSTER: &str = "lungmen.akn";
const ENDPOINT: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";

/// Runs `talosctl` of `version` for each case, and adds the files to the index. The cases and their flags are those of
/// the newest version in the index.
pub(crate) fn generate(data: &Path, talosctl: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let folder = data.join("generate");
    let index_file = folder.join("index.json");
    let index: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&index_file)?)?;
    let newest = index.last().ok_or("the index is empty")?["talos"].clone();
    let minor: Vec<&str> = version.split('.').take(2).collect();
    let contract = minor.join(".");
    let mut kept: Vec<Value> = index
        .iter()
        .filter(|entry| entry["talos"] != version)
        .cloned()
        .collect();
    let mut written = Vec::new();
    for case in index.iter().filter(|entry| entry["talos"] == newest) {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let (name, kind) = (text("case"), text("type"));
        let args: Vec<String> = case["args"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|arg| arg.replace(newest.as_str().unwrap_or_default(), version))
            .collect();
        let file = format!("{name}.{version}.{contract}.{kind}.yaml");
        let mut command = Command::new(talosctl);
        command
            .args(["gen", "config", CLUSTER, ENDPOINT, "--output", "-"])
            .args(["--with-docs=false", "--with-examples=false"])
            .args(["--output-types", kind, "--talos-version", &contract])
            .arg("--with-secrets")
            .arg(data.join("secrets.yaml"))
            .args(args.iter().map(|arg| flag(arg, &folder)));
        let output = command.output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{file}: {reason}").into());
        }
        std::fs::write(folder.join(&file), &output.stdout)?;
        written.push(folder.join(&file));
        kept.push(json!({
            "case": name, "talos": version, "contract": contract, "type": kind, "args": args, "file": file,
        }));
    }
    kept.sort_by_cached_key(position);
    std::fs::write(&index_file, indented(&kept)?)?;
    written.push(index_file);
    Ok(written)
}

/// Cases in alphabetical order, then releases, then types.
fn position(entry: &Value) -> (String, Option<TalosVersion>, String) {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    (text("case"), text("talos").parse().ok(), text("type"))
}

fn indented(entries: &[Value]) -> Result<String> {
    let mut bytes = Vec::new();
    let style = PrettyFormatter::with_indent(b" ");
    entries.serialize(&mut Serializer::with_formatter(&mut bytes, style))?;
    Ok(String::from_utf8(bytes)? + "\n")
}

/// An option of the index as talosctl calls it.
fn flag(arg: &str, folder: &Path) -> String {
    let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
    let name = match name {
        "--sans" => "--additional-sans",
        "--dns" => "--dns-domain",
        "--disk" => "--install-disk",
        "--image" => "--install-image",
        "--discovery" => "--with-cluster-discovery",
        "--patch" => {
            let file = value.rsplit("akn-01.").next().unwrap_or_default();
            let file = file.trim_start_matches("patch-");
            let path = folder.join(format!("patch-{file}"));
            return format!("--config-patch=@{}", path.display());
        }
        other => other,
    };
    format!("{name}={value}")
}
