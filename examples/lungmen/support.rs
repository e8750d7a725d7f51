//! `support`: one file for somebody who helps.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use lungmen_bootstrap::{ClusterBootstrap, SupportBundle};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::record;

/// What was written.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Written {
    pub(crate) cluster: String,
    /// The archive.
    pub(crate) path: PathBuf,
    /// The files in it.
    pub(crate) files: Vec<String>,
    /// What could not be had, and why.
    pub(crate) missing: Vec<String>,
}

/// Asks the servers, adds what the last run left behind, and writes the archive.
pub(crate) async fn write(
    arguments: &Arguments,
    bootstrap: &ClusterBootstrap,
    file: Option<PathBuf>,
) -> Result<Written, Failure> {
    let folder = arguments.output();
    let path = file.unwrap_or_else(|| folder.join("support.tar.gz"));
    let mut bundle = bootstrap.support().await;
    for (name, source) in [
        ("run/events.jsonl", record::path(&folder)),
        ("run/journal", folder.join("lungmen.journal")),
        ("specification.yaml", arguments.config.clone()),
    ] {
        match std::fs::read_to_string(&source) {
            Ok(text) => bundle.add(name, &text),
            Err(error) => bundle.add_missing(name, &error.to_string()),
        }
    }
    archive(&bundle, &path).map_err(|error| {
        Failure::message(format!("'{}' cannot be written: {error}", path.display()))
    })?;
    Ok(Written {
        cluster: bundle.cluster.clone(),
        path,
        files: bundle.files.iter().map(|file| file.name.clone()).collect(),
        missing: bundle.missing.clone(),
    })
}

fn archive(bundle: &SupportBundle, path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let compressed = GzEncoder::new(record::private(path)?, Compression::default());
    let mut archive = tar::Builder::new(compressed);
    let missing = bundle.missing.join("\n");
    let files = bundle.files.iter().map(|file| (&*file.name, &*file.text));
    for (name, text) in files.chain([("missing.txt", &*missing)]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default());
        archive.append_data(
            &mut header,
            Path::new("support").join(name),
            text.as_bytes(),
        )?;
    }
    archive.into_inner()?.finish()?.flush()
}
