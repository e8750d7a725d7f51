//! What the fuzz targets share: how the bytes of an input are read, and what must hold for what was accepted.

use secrecy::ExposeSecret as _;
use serde_json::Value;
use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};
use talos_client::yaml::{Node, documents_equal};

/// The releases whose rules differ. The first byte of an input chooses one.
pub const RELEASES: [&str; 5] = ["v1.10.7", "v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0-rc.1"];

/// Separates the parts of an input; YAML refuses it, so no part loses anything.
pub const SEPARATOR: char = '\0';

/// A control plane configuration with a part of everything.
pub const BASE: &str = include_str!("../seeds/base.yaml");

/// The release and the text of an input; nothing when it is no UTF-8, which no function takes.
pub fn input(bytes: &[u8]) -> Option<(TalosVersion, &str)> {
    let (first, rest) = bytes.split_first()?;
    let release = RELEASES[usize::from(*first) % RELEASES.len()];
    let version = TalosVersion::parse(release).ok()?;
    Some((version, std::str::from_utf8(rest).ok()?))
}

/// Applies patches; what comes out can be printed, read again, and patched with nothing without a change.
pub fn patch(base: &str, patches: &[&str], version: &TalosVersion) {
    let Ok(config) = MachineConfig::load(base, version) else {
        return;
    };
    let patches: Vec<ConfigPatch> = patches.iter().copied().map(ConfigPatch::new).collect();
    let Ok(patched) = config.patched(&patches, version) else {
        return;
    };
    // A JSON patch may replace the whole document by a list, which nobody can load.
    let mut documents = patched.documents().iter();
    if documents.any(|document| document.node().as_mapping().is_none()) {
        return;
    }
    let printed = patched.to_yaml();
    let printed = printed.expose_secret();
    let read = MachineConfig::parse(printed)
        .unwrap_or_else(|error| panic!("{error}\nwas printed:\n{printed}"));
    // By content and place: a deletion of what is not there leaves an empty document behind, as in the reference up to v1.13.
    let nodes = |config: &MachineConfig| -> Vec<Node> {
        let documents = config.documents().iter();
        documents.map(|document| document.node().clone()).collect()
    };
    assert!(
        documents_equal(&nodes(&patched), &nodes(&read)),
        "{printed}"
    );
}

/// `text` as a quoted YAML scalar, so that any expression can be put into a document.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
