//! The client handle and the requests for metadata.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::Method;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::builder::ClientBuilder;
use crate::check::{self, Offer};
use crate::diagnostic::Diagnostics;
use crate::download::{RunningDownloads, Sha256Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::image::Image;
use crate::installer::Installer;
use crate::offline::{OfflineFactory, pxe_path};
use crate::response;
use crate::schematic::Schematic;
use crate::transport::{Content, Request, Transport};
use crate::version::{FactoryVersion, TalosVersion};

/// A client of one Image Factory; a cheap clone.
///
/// Every request may be repeated, and the client does so after failures that can pass.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    /// Canonical texts that this client has posted, to post again when a factory has forgotten one.
    pub(crate) posted: Arc<Mutex<HashMap<SchematicId, String>>>,
    pub(crate) downloads: Arc<RunningDownloads>,
}

/// An official system extension of a Talos version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Extension {
    /// The name to use in a schematic, `siderolabs/iscsi-tools`.
    pub name: String,
    /// The full image reference with its tag.
    #[serde(default, rename = "ref")]
    pub reference: String,
    /// `sha256:…`
    #[serde(default)]
    pub digest: String,
    /// Who made it.
    #[serde(default)]
    pub author: String,
    /// What it is; may have several lines.
    #[serde(default)]
    pub description: String,
}

/// An official overlay of a Talos version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OfficialOverlay {
    /// The name to use in a schematic.
    pub name: String,
    /// The repository to use in a schematic, `siderolabs/sbc-raspberrypi`.
    #[serde(default)]
    pub image: String,
    /// The full image reference with its tag.
    #[serde(default, rename = "ref")]
    pub reference: String,
    /// `sha256:…`
    #[serde(default)]
    pub digest: String,
}

impl Client {
    /// A client of the factory at `endpoint`, which may have a path prefix; the public one is
    /// [`COMMUNITY_FACTORY`](crate::COMMUNITY_FACTORY).
    pub fn builder(endpoint: Url) -> ClientBuilder {
        ClientBuilder::new(endpoint)
    }

    pub(crate) fn from_transport(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            posted: Arc::default(),
            downloads: Arc::default(),
        }
    }

    /// The part of this factory that needs no request: addresses and references.
    #[must_use]
    pub fn offline(&self) -> &OfflineFactory {
        &self.transport.offline
    }

    /// Where the image is downloaded from.
    #[must_use]
    pub fn image_url(&self, image: &Image) -> Url {
        self.offline().image_url(image)
    }

    /// The reference for `machine.install.image`.
    #[must_use]
    pub fn installer_reference(&self, installer: &Installer) -> String {
        self.offline().installer_reference(installer)
    }

    /// Where the iPXE script of an image's platform, architecture and flavour is.
    #[must_use]
    pub fn pxe_url(&self, image: &Image) -> Url {
        self.offline().pxe_url(image)
    }

    /// The Talos versions that the factory builds, oldest first. See
    /// [`latest_stable`](crate::version::latest_stable) and
    /// [`latest_of_minor`](crate::version::latest_of_minor).
    ///
    /// The list is refreshed every 15 minutes, and versions have temporarily vanished from it: do not fail a running
    /// installation only because its version is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] for a response that is not a list of versions;
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn versions(&self) -> Result<Vec<TalosVersion>> {
        self.version_list("list Talos versions", None).await
    }

    /// The Talos versions that the factory knows to be broken (factory ≥ v1.3.3; older ones return all versions).
    ///
    /// # Errors
    /// The kinds of [`versions`](Self::versions).
    pub async fn broken_versions(&self) -> Result<Vec<TalosVersion>> {
        let query = Some("broken=true");
        self.version_list("list broken Talos versions", query).await
    }

    async fn version_list(
        &self,
        operation: &'static str,
        query: Option<&str>,
    ) -> Result<Vec<TalosVersion>> {
        let mut request = self.transport.get(operation, "/versions", "versions");
        request.url.set_query(query);
        let texts: Vec<String> = self.list(&request).await?;
        let mut versions: Vec<TalosVersion> = texts
            .iter()
            .map(|text| TalosVersion::parse(text))
            .collect::<Result<_>>()
            .map_err(|error| request.error(ErrorKind::Decode).with_source(error))?;
        versions.sort();
        Ok(versions)
    }

    /// The official extensions of a Talos version, in the order of the catalogue.
    ///
    /// # Errors
    /// [`ErrorKind::VersionNotAvailable`] for a version that the factory does not have.
    pub async fn official_extensions(&self, version: &TalosVersion) -> Result<Vec<Extension>> {
        let path = format!("version/{version}/extensions/official");
        let route = "/version/{version}/extensions/official";
        let request = self.transport.get("list official extensions", route, &path);
        self.list(&request).await
    }

    /// The official overlays of a Talos version; none before Talos 1.7.
    ///
    /// # Errors
    /// [`ErrorKind::VersionNotAvailable`] for a version that the factory does not have.
    pub async fn official_overlays(&self, version: &TalosVersion) -> Result<Vec<OfficialOverlay>> {
        let path = format!("version/{version}/overlays/official");
        let route = "/version/{version}/overlays/official";
        let request = self.transport.get("list official overlays", route, &path);
        self.list(&request).await
    }

    /// URLs of the `talosctl` binaries of a version (factory ≥ v1.2.0); none before Talos 1.11.
    ///
    /// # Errors
    /// [`ErrorKind::VersionNotAvailable`] for a version that the factory does not have;
    /// [`ErrorKind::NotFound`] at an older factory.
    pub async fn talosctl_urls(&self, version: &TalosVersion) -> Result<Vec<Url>> {
        let path = format!("talosctl/{version}");
        let request = self
            .transport
            .get("list talosctl binaries", "/talosctl/{version}", &path);
        self.list(&request).await
    }

    /// The certificate that signs secure boot images, as PEM: what the firmware has to know as `db`.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] at a factory without secure boot.
    pub async fn signing_certificate(&self) -> Result<String> {
        let path = "secureboot/signing-cert.pem";
        let request = self.transport.get(
            "get signing certificate",
            "/secureboot/signing-cert.pem",
            path,
        );
        self.transport.text(&request).await
    }

    /// The public key of the signatures on installer images, as PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn image_signing_key(&self) -> Result<String> {
        let path = "oci/cosign/signing-key.pub";
        let request =
            self.transport
                .get("get image signing key", "/oci/cosign/signing-key.pub", path);
        self.transport.text(&request).await
    }

    /// The iPXE script for an image's platform, architecture and flavour. With Basic credentials the factory writes
    /// them into its URLs, so the script is a secret.
    ///
    /// # Errors
    /// [`ErrorKind::SchematicNotFound`], [`ErrorKind::VersionNotAvailable`], [`ErrorKind::Rejected`].
    pub async fn pxe_script(&self, image: &Image) -> Result<SecretString> {
        let route = "/pxe/{schematic}/{version}/{target}";
        let request = self
            .transport
            .get("get iPXE script", route, &pxe_path(image))
            .with_timeout(self.transport.timeouts.build);
        self.transport.text(&request).await.map(SecretString::from)
    }

    /// The SHA-256 that the factory publishes for an image (Enterprise, factory ≥ v1.1.0). Builds the image.
    ///
    /// # Errors
    /// [`ErrorKind::NotEnabled`] at the public factory and every other community factory.
    pub async fn published_checksum(&self, image: &Image) -> Result<Sha256Digest> {
        let route = "/image/{schematic}/{version}/{file}.sha256";
        let path = format!("{}.sha256", image.path());
        let request = self
            .transport
            .get("get published checksum", route, &path)
            .with_timeout(self.transport.timeouts.build);
        let text = self.transport.text(&request).await?;
        let digits = text.split_whitespace().next().unwrap_or_default();
        digits
            .parse()
            .map_err(|error: Error| request.error(ErrorKind::Decode).with_source(error))
    }

    /// The version and edition of the factory; `None` before v1.0.0 or behind a proxy that hides it.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn factory_version(&self) -> Result<Option<FactoryVersion>> {
        self.check_health().await?;
        Ok(self.transport.factory())
    }

    /// Succeeds when the service responds.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn check_health(&self) -> Result<()> {
        let request = self.transport.get("check health", "/healthz", "healthz");
        self.transport.text(&request).await.map(drop)
    }

    /// Whether the service is ready (factory ≥ v1.3.0); asked once, without retries.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] at an older factory;
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn is_ready(&self) -> Result<bool> {
        let request = self.transport.get("check readiness", "/readyz", "readyz");
        match self.transport.send(&request).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Busy => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Checks `schematic` for `version`: unknown names with the closest known one, features that Talos or this factory
    /// does not have yet, values with unexpected effects. Sends one request for the extensions, and one for the
    /// overlays when the schematic has one.
    ///
    /// # Errors
    /// [`ErrorKind::VersionNotAvailable`] for a version that the factory does not have; the kinds of
    /// [`versions`](Self::versions). Diagnostics are not an error of this call; see [`Diagnostics::into_result`].
    pub async fn validate(
        &self,
        schematic: &Schematic,
        version: &TalosVersion,
    ) -> Result<Diagnostics> {
        let extensions = self.official_extensions(version).await?;
        let extensions: Vec<&str> = extensions.iter().map(|e| e.name.as_str()).collect();
        let overlays = match schematic.overlay() {
            Some(_) if version.is_at_least(1, 7) => self.official_overlays(version).await?,
            _ => Vec::new(),
        };
        let overlays: Vec<&str> = overlays.iter().map(|o| o.name.as_str()).collect();
        let factory = self.transport.factory();
        let offer = Offer {
            extensions: Some(&extensions),
            overlays: Some(&overlays),
            factory: factory.as_ref(),
        };
        Ok(check::check(schematic, version, &offer))
    }

    /// Sends a request for which this client has no method, and returns status and text whatever the status is. The
    /// path is appended to the endpoint. The request is not repeated; redirects are followed.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`], [`ErrorKind::Certificate`], [`ErrorKind::Timeout`] or [`ErrorKind::Interrupted`] when the
    /// factory cannot be reached.
    pub async fn raw(&self, method: Method, path: &str) -> Result<(http::StatusCode, String)> {
        let path = path.trim_start_matches('/');
        let mut request = self
            .transport
            .get("raw request", "(raw)", path)
            .with_method(method);
        request.content = Content::Any;
        match self.transport.send(&request).await {
            Ok(response) => {
                let status = response.status();
                Ok((status, response::read_text(&request, response).await?))
            }
            Err(error) => match error.status() {
                Some(status) => Ok((status, error.message().to_owned())),
                None => Err(error),
            },
        }
    }

    /// A list; the factory sends `null` for an empty one.
    async fn list<T: DeserializeOwned>(&self, request: &Request) -> Result<Vec<T>> {
        let text = self.transport.text(request).await?;
        let list: Option<Vec<T>> = response::decode(request, &text)?;
        Ok(list.unwrap_or_default())
    }
}
