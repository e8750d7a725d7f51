//! Settings of the mock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use semver::Version;
use tokio::net::TcpListener;
use url::Url;

use super::state::FactoryState;
use super::{FactoryMock, serve};
use crate::builder::Credentials;
use crate::catalogue;
use crate::schematic::Encoder;
use crate::version::TalosVersion;

/// Collects the settings of a [`FactoryMock`].
#[derive(Debug, Clone)]
#[must_use]
pub struct FactoryMockBuilder {
    pub(super) factory: Version,
    pub(super) encoder: Option<Encoder>,
    pub(super) versions: BTreeMap<TalosVersion, Vec<String>>,
    pub(super) build_delay: Duration,
    pub(super) negative_cache: Duration,
    pub(super) image_size: u64,
    pub(super) secure_boot: bool,
    pub(super) redirects_images: bool,
    pub(super) proxies_registry: bool,
    pub(super) prefix: String,
    pub(super) account: Option<(String, SecretString)>,
    /// The base URL of the object storage, once it is started.
    pub(super) storage: Option<Url>,
}

impl Default for FactoryMockBuilder {
    fn default() -> Self {
        let version = TalosVersion::new;
        let versions = [
            version(1, 10, 0),
            version(1, 10, 7),
            version(1, 11, 6),
            version(1, 12, 11),
            version(1, 13, 9),
        ];
        let versions = versions.into_iter().map(|version| {
            let names = catalogue::extensions(&version).unwrap_or_default();
            (version, names.into_iter().map(str::to_owned).collect())
        });
        Self {
            factory: Version::new(1, 3, 3),
            encoder: None,
            versions: versions.collect(),
            build_delay: Duration::from_millis(5),
            negative_cache: Duration::from_secs(30),
            image_size: 96 * 1024,
            secure_boot: true,
            redirects_images: false,
            proxies_registry: false,
            prefix: String::new(),
            account: None,
            storage: None,
        }
    }
}

impl FactoryMockBuilder {
    /// Sets the version of the service, v1.3.3 by default: decides which fields the factory knows, its encoder and the
    /// form of its responses.
    pub fn factory_version(mut self, version: Version) -> Self {
        self.factory = version;
        self
    }

    /// Sets the encoder generation, when it is not that of the factory version.
    pub fn encoder(mut self, encoder: Encoder) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Adds a Talos version, or replaces its extensions.
    pub fn talos_version<I>(mut self, version: TalosVersion, extensions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let extensions = extensions.into_iter().map(Into::into).collect();
        self.versions.insert(version, extensions);
        self
    }

    /// Sets how long a build takes, 5 ms by default.
    pub fn build_delay(mut self, delay: Duration) -> Self {
        self.build_delay = delay;
        self
    }

    /// Sets how long the factory remembers that it does not have a schematic; 30 s by default, as in factories from
    /// v1.1.0 on. Posting the schematic replaces the memory.
    pub fn negative_cache(mut self, time: Duration) -> Self {
        self.negative_cache = time;
        self
    }

    /// Sets the size of images in bytes; 96 KiB by default and 64 KiB at least.
    pub fn image_size(mut self, bytes: u64) -> Self {
        self.image_size = bytes;
        self
    }

    /// Removes the secure boot keys from the factory.
    pub fn without_secure_boot(mut self) -> Self {
        self.secure_boot = false;
        self
    }

    /// Redirects image downloads to an object storage on another port, which supports ranges.
    pub fn redirect_images(mut self) -> Self {
        self.redirects_images = true;
        self
    }

    /// Serves manifests itself instead of redirecting to another registry.
    pub fn proxy_registry(mut self) -> Self {
        self.proxies_registry = true;
        self
    }

    /// Serves everything below a path.
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = format!("/{}", prefix.into().trim_matches('/'));
        self
    }

    /// Makes the factory an Enterprise one with one account, which owns every schematic that it posts.
    pub fn account(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.account = Some((user.into(), SecretString::from(password.into())));
        self
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        let (user, password) = self.account.as_ref()?;
        Some(Credentials::password(user, password.expose_secret()))
    }

    pub(super) fn generation(&self) -> Encoder {
        self.encoder
            .unwrap_or(match (self.factory.major, self.factory.minor) {
                (0, 0..=8) => Encoder::V3,
                (0, _) | (1, 0) => Encoder::V4Rc3,
                _ => Encoder::V4Rc4,
            })
    }

    /// Starts the mock on free loopback ports.
    ///
    /// # Panics
    /// When the system has no loopback port left.
    pub async fn start(mut self) -> FactoryMock {
        let storage_listener = listen().await;
        let listener = listen().await;
        if self.redirects_images {
            self.storage = Some(address(&storage_listener, ""));
        }
        let endpoint = address(&listener, &self.prefix);
        let state = Arc::new(FactoryState::new(self, endpoint.clone()));
        FactoryMock {
            servers: vec![
                tokio::spawn(serve::run(listener, state.clone(), serve::Side::Factory)),
                tokio::spawn(serve::run(
                    storage_listener,
                    state.clone(),
                    serve::Side::Storage,
                )),
            ],
            state,
            endpoint,
        }
    }
}

#[expect(clippy::expect_used, reason = "documented panic of a test tool")]
async fn listen() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free loopback port")
}

#[expect(clippy::expect_used, reason = "documented panic of a test tool")]
fn address(listener: &TcpListener, path: &str) -> Url {
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    Url::parse(&format!("http://{address}{path}")).expect("an address makes a URL")
}
