//! KV version 2: one mount, its secrets and their versions.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::path::encode;
use super::secret::{Metadata, RawSecret, Secret, SecretMap, VersionInfo, decode};
use super::transport::Request;
use crate::services::{Error, ErrorKind, Result};

/// The largest secret that is sent. Raft storage rejects entries over 1 MiB with a 500.
const MAX_BYTES: usize = 900_000;

/// A KV version 2 engine. Creating the handle sends nothing.
///
/// Every method can also fail with `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Sealed`, `Standby` and `Server`.
#[derive(Debug, Clone)]
pub struct Kv {
    client: Client,
    mount: String,
}

/// Settings and custom metadata of a secret. What is not set stays unchanged.
#[derive(Debug, Clone, Default)]
#[must_use = "a spec has no effect before `write_metadata`"]
pub struct MetadataSpec {
    body: Map<String, Value>,
}

impl MetadataSpec {
    /// A spec without settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many versions the engine keeps.
    pub fn max_versions(mut self, versions: u64) -> Self {
        self.body.insert("max_versions".to_owned(), versions.into());
        self
    }

    /// Rejects writes that do not name the version they replace.
    pub fn require_check_and_set(mut self) -> Self {
        self.body.insert("cas_required".to_owned(), true.into());
        self
    }

    /// Replaces the custom metadata: at most 64 entries, names up to 128 and values up to 512 bytes. They are not
    /// versioned and are part of every read: never put secrets there.
    pub fn custom_metadata(mut self, entries: BTreeMap<String, String>) -> Self {
        self.body
            .insert("custom_metadata".to_owned(), json!(entries));
        self
    }
}

impl Kv {
    pub(super) fn new(client: Client, mount: String) -> Self {
        Self { client, mount }
    }

    /// Path of the mount.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The client behind this handle.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads the newest version.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such secret, `Deleted` when its newest version was deleted or destroyed,
    /// `NoSuchMount` when there is no KV v2 engine at the mount, `Forbidden`.
    pub async fn read(&self, path: &str) -> Result<Secret> {
        self.read_raw(path, None).await.map(Secret::from)
    }

    /// Reads the newest version; `None` when there is no such secret.
    ///
    /// # Errors
    ///
    /// `Deleted` when its newest version was deleted or destroyed, `NoSuchMount` when there is no KV v2 engine at the
    /// mount, `Forbidden`.
    pub async fn find(&self, path: &str) -> Result<Option<Secret>> {
        match self.read(path).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads version `version`.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such secret or version, `Deleted` when the version was deleted or destroyed,
    /// `NoSuchMount`, `Forbidden`.
    pub async fn read_version(&self, path: &str, version: u64) -> Result<Secret> {
        self.read_raw(path, Some(version)).await.map(Secret::from)
    }

    /// Reads settings, custom metadata and the list of versions; deleted versions are listed too.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such secret, `NoSuchMount`, `Forbidden`.
    pub async fn metadata(&self, path: &str) -> Result<Metadata> {
        let request = Request::read("read metadata", self.api("metadata", path)?);
        let answer = self.client.send(request.target(self.name(path))).await?;
        decode("read metadata", &answer["data"])
    }

    /// Writes version 1. Never replaces a secret.
    ///
    /// After an error that [may have taken effect](Error::may_have_taken_effect), a repetition can fail with
    /// `AlreadyExists` because of the first attempt; [`Kv::store`] handles that.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when any version was ever written, deleted ones included; `TooLarge`; `Forbidden`.
    pub async fn create(&self, path: &str, data: &SecretMap) -> Result<VersionInfo> {
        self.write(path, data, 0)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Conflict => error.with_kind(ErrorKind::AlreadyExists),
                _ => error,
            })
    }

    /// Replaces version `version` by a new one with exactly these values.
    ///
    /// # Errors
    ///
    /// `Conflict` when `version` is not the newest; `TooLarge`; `Forbidden`.
    pub async fn update(&self, path: &str, data: &SecretMap, version: u64) -> Result<VersionInfo> {
        self.write(path, data, version).await
    }

    /// Writes settings and custom metadata; creates the secret without versions when it does not exist. May be repeated.
    ///
    /// # Errors
    ///
    /// `Rejected` when custom metadata exceed a limit, `NoSuchMount`, `Forbidden`.
    pub async fn write_metadata(&self, path: &str, spec: &MetadataSpec) -> Result<()> {
        let body = Value::Object(spec.body.clone());
        let request = Request::write("write metadata", self.api("metadata", path)?, body);
        self.client
            .send(request.target(self.name(path)))
            .await
            .map(drop)
    }

    /// Lists the names below the folder `path`; folders end with `/`. An empty path is the root of the mount, and an
    /// empty folder an empty list.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn list(&self, path: &str) -> Result<Vec<String>> {
        let folder = match path.trim_end_matches('/') {
            "" => format!("{}/metadata", encode(&self.mount)?),
            path => self.api("metadata", path)?,
        };
        let request = Request::read("list secrets", format!("{folder}?list=true"));
        match self.client.send(request.target(self.name(path))).await {
            Ok(answer) => decode("list secrets", &answer["data"]["keys"]),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Soft-deletes the newest version; it can be undeleted. Returns whether there was one that was not deleted. May be
    /// repeated. Needs the capability `read` too, because the server responds alike in both cases.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn delete_latest(&self, path: &str) -> Result<bool> {
        match self.read_raw(path, None).await {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let request = Request::delete("delete secret", self.api("data", path)?);
        self.client.send(request.target(self.name(path))).await?;
        Ok(true)
    }

    /// Soft-deletes these versions; they can be undeleted. May be repeated.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn delete_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("delete versions", self.api("delete", path)?, versions)
            .await
    }

    /// Restores soft-deleted versions. May be repeated.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn undelete_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("undelete versions", self.api("undelete", path)?, versions)
            .await
    }

    /// Removes the values of these versions permanently. May be repeated.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn destroy_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("destroy versions", self.api("destroy", path)?, versions)
            .await
    }

    /// Removes the secret with all versions and metadata permanently. Returns whether it existed. May be repeated. Needs
    /// the capability `read` on the metadata too, because the server responds alike in both cases.
    ///
    /// # Errors
    ///
    /// `NoSuchMount`, `Forbidden`.
    pub async fn delete_all(&self, path: &str) -> Result<bool> {
        match self.metadata(path).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        }
        let request = Request::delete("delete all versions", self.api("metadata", path)?);
        self.client.send(request.target(self.name(path))).await?;
        Ok(true)
    }

    /// Checks, without writing, the conditions of [`Kv::store`]: the server is unsealed, the mount is a KV version 2
    /// engine, and the token permits to create and read this secret.
    ///
    /// # Errors
    ///
    /// `Sealed`; `NoSuchMount` for another engine; `Forbidden` naming the missing capabilities, also when there is no
    /// mount at all.
    pub async fn preflight(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "check store";
        let fail = |kind, message: String| {
            Err(Error::new(kind, OPERATION)
                .with_target(self.name(path))
                .with_server(self.client.address().as_str())
                .with_message(message))
        };
        if !self.client.health().await?.is_usable() {
            return fail(
                ErrorKind::Sealed,
                "the server is sealed or not initialised".to_owned(),
            );
        }
        let data = self.api("data", path)?;
        let mounts = Request::read(OPERATION, format!("sys/internal/ui/mounts/{data}"));
        let answer = match self.client.send(mounts.target(self.name(path))).await {
            // The server sends the same response for a missing mount and a missing permission.
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                return fail(
                    ErrorKind::Forbidden,
                    format!(
                        "there is no mount {}, or the token permits nothing there",
                        self.mount
                    ),
                );
            }
            other => other?,
        };
        let mount = &answer["data"];
        let version = mount["options"]["version"].as_str().unwrap_or("1");
        if mount["type"] != "kv" || version != "2" {
            let engine = mount["type"].as_str().unwrap_or("unknown");
            return fail(
                ErrorKind::NoSuchMount,
                format!(
                    "{} is a {engine} engine of version {version}, not KV version 2",
                    self.mount
                ),
            );
        }
        let plain = format!("{}/data/{path}", self.mount);
        let granted = self.client.capabilities(&[&plain]).await?;
        let granted = granted.get(&plain).map(Vec::as_slice).unwrap_or_default();
        let may = |wanted: &str| granted.iter().any(|name| name == wanted || name == "root");
        let lacking: Vec<&str> = ["create", "read"]
            .into_iter()
            .filter(|wanted| !may(wanted))
            .collect();
        if !lacking.is_empty() {
            return fail(
                ErrorKind::Forbidden,
                format!(
                    "the token does not permit {} on {plain}",
                    lacking.join(" and ")
                ),
            );
        }
        Ok(())
    }

    pub(super) async fn read_raw(&self, path: &str, version: Option<u64>) -> Result<RawSecret> {
        let mut url = self.api("data", path)?;
        if let Some(version) = version {
            url.push_str(&format!("?version={version}"));
        }
        let request = Request::read("read secret", url);
        let answer = self.client.send(request.target(self.name(path))).await?;
        RawSecret::decode("read secret", &answer)
    }

    /// Mount and path together, for errors.
    pub(super) fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.mount)
    }

    async fn write(&self, path: &str, data: &SecretMap, replaces: u64) -> Result<VersionInfo> {
        const OPERATION: &str = "write secret";
        let values: Map<String, Value> = data
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().into()))
            .collect();
        let size: usize = data
            .iter()
            .map(|(name, value)| name.len() + value.expose_secret().len())
            .sum();
        if size > MAX_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, OPERATION)
                .with_target(self.name(path))
                .with_message(format!("{size} bytes; raft storage accepts at most 1 MiB")));
        }
        let body = json!({"options": {"cas": replaces}, "data": values});
        let request = Request::write_once(OPERATION, self.api("data", path)?, body);
        let answer = self.client.send(request.target(self.name(path))).await?;
        let info: VersionInfo = decode(OPERATION, &answer["data"])?;
        if info.version != replaces + 1 {
            return Err(Error::new(ErrorKind::Mismatch, OPERATION)
                .with_target(self.name(path))
                .with_message(format!("the server wrote version {}", info.version)));
        }
        Ok(info)
    }

    async fn on_versions(
        &self,
        operation: &'static str,
        url: String,
        versions: &[u64],
    ) -> Result<()> {
        let request = Request::write(operation, url, json!({"versions": versions}));
        self.client.send(request).await.map(drop)
    }

    fn api(&self, kind: &str, path: &str) -> Result<String> {
        Ok(format!("{}/{kind}/{}", encode(&self.mount)?, encode(path)?))
    }
}
