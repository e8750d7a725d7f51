//! A store in a folder.

use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::folder::Folder;
use super::{Document, Entries, Revision, SecretStore, Versioned};
use crate::services::{Error, ErrorKind, Result};

/// Keeps the documents as files of mode 0600 in one folder, which is created with mode 0700 or made private.
///
/// Files appear whole or not at all, are flushed to the disk with their folder before a call returns, and are never
/// followed through symbolic links. What a killed process left behind is removed by the next write. The folder must be on
/// a file system with working file locks when several machines share it.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    folder: Folder,
}

impl DirectoryStore {
    /// A store for one cluster in `folder`. Nothing is created before the first call.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Folder::new(folder.into(), "cluster-record.lock".to_owned()),
        }
    }
}

const fn file_name(document: Document) -> &'static str {
    match document {
        Document::Record => "cluster-record.json",
        Document::Lease => "cluster-lease.json",
    }
}

#[async_trait]
impl SecretStore for DirectoryStore {
    fn describe(&self) -> String {
        format!("folder {}", self.folder.path().display())
    }

    async fn preflight(&self) -> Result<()> {
        self.folder.preflight().await
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        let name = file_name(document);
        let Some((bytes, revision)) = self.folder.read(name).await? else {
            return Ok(None);
        };
        let bytes = Zeroizing::new(bytes);
        let entries = decode(&bytes).map_err(|message| {
            unreadable(self.folder.path().join(name).display().to_string(), message)
        })?;
        Ok(Some(Versioned { entries, revision }))
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        self.folder
            .create(file_name(document), encode(entries))
            .await
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        self.folder
            .replace(file_name(document), encode(entries), revision)
            .await
    }
}

/// The error for a document that is there and cannot be read: never "absent", and never replaced.
pub(super) fn unreadable(target: String, message: String) -> Error {
    Error::new(ErrorKind::Decode, "read document")
        .with_target(target)
        .with_message(format!(
            "{message}; it is not replaced: restore it from a backup"
        ))
}

/// One JSON object of texts by name.
pub(super) fn encode(entries: &Entries) -> Vec<u8> {
    let object: Map<String, Value> = entries
        .iter()
        .map(|(name, text)| (name.clone(), text.expose_secret().into()))
        .collect();
    let mut text = format!("{:#}", Value::Object(object)).into_bytes();
    text.push(b'\n');
    text
}

/// Says what is wrong without quoting the content.
pub(super) fn decode(bytes: &[u8]) -> std::result::Result<Entries, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("the document is empty".to_owned());
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_eof() {
            "the document is cut short"
        } else {
            "the document is not JSON"
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })?;
    let Value::Object(object) = value else {
        return Err("the document is not a JSON object".to_owned());
    };
    object
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, SecretString::from(text))),
            _ => Err(format!("the entry {name:?} is not a text")),
        })
        .collect()
}
