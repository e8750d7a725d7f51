//! Manifests that are generated from files of the client instead of a repository.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::application_routes::{read, reference};
use super::git::Resource;
use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::MockServer;

/// Reads the archive of a request and returns the manifests in the folder of the application's source.
pub(super) fn generate(
    server: &MockServer,
    caller: &Caller,
    body: &Value,
) -> Result<Value, Rejection> {
    let name = body["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Rejection::new(
            2,
            "invalid request: application name is missing",
        ));
    }
    let given = |field: &str| {
        body[field]
            .as_str()
            .map(|text| (field.to_owned(), text.to_owned()))
    };
    let query = Query(
        ["appNamespace", "project"]
            .into_iter()
            .filter_map(given)
            .collect(),
    );
    let application = read(server, caller, &reference(name, &query), "get")?;
    let archive = STANDARD
        .decode(body["file"].as_str().unwrap_or_default())
        .unwrap_or_default();
    let digest = Sha256::digest(&archive);
    let calculated: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let sent = body["checksum"].as_str().unwrap_or_default();
    if calculated != sent {
        let text = format!("file checksum validation error: calc {calculated} sent {sent}");
        return Err(Rejection::new(2, text));
    }
    let spec = &application["spec"];
    let namespace = spec["destination"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let folder = spec["source"]["path"].as_str().unwrap_or_default();
    let manifests: Vec<String> = documents(&archive, folder)?
        .iter()
        .map(|manifest| Resource::of(manifest, namespace).tracked(name).to_string())
        .collect();
    Ok(json!({"manifests": manifests, "sourceType": "Directory"}))
}

/// The documents of all manifest files in a folder of the archive, in the order of their names.
fn documents(archive: &[u8], folder: &str) -> Result<Vec<Value>, Rejection> {
    let failed = |text: String| Rejection::new(2, format!("error unmarshaling archive: {text}"));
    let mut files = Vec::new();
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    for entry in tar.entries().map_err(|error| failed(error.to_string()))? {
        let mut entry = entry.map_err(|error| failed(error.to_string()))?;
        let path = entry.path().map_err(|error| failed(error.to_string()))?;
        let is_manifest = path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        });
        let inside = path
            .parent()
            .is_some_and(|parent| parent == std::path::Path::new(folder.trim_start_matches("./")));
        if !is_manifest || !inside {
            continue;
        }
        let path = path.into_owned();
        let mut text = String::new();
        entry
            .read_to_string(&mut text)
            .map_err(|error| failed(error.to_string()))?;
        files.push((path, text));
    }
    files.sort();
    let mut documents = Vec::new();
    for (path, text) in files {
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = Value::deserialize(document)
                .map_err(|error| failed(format!("{}: {error}", path.display())))?;
            if !document.is_null() {
                documents.push(document);
            }
        }
    }
    Ok(documents)
}
