//! The part of a factory that needs no network: addresses, references, IDs, checks against embedded data.

use url::Url;

use crate::catalogue;
use crate::check::{self, Offer};
use crate::diagnostic::Diagnostics;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::image::{Image, ImageRequest};
use crate::installer::Installer;
use crate::schematic::Schematic;
use crate::version::TalosVersion;

/// A factory that is known by its address alone: plans and air-gapped sites.
///
/// The methods have the names of those of [`Client`](crate::Client) and the same results.
///
/// ```
/// use factory_client::{ImageRequest, OfflineFactory, Platform, Schematic, TalosVersion};
///
/// let factory = OfflineFactory::community();
/// let schematic = Schematic::builder().extension("siderolabs/qemu-guest-agent").build()?;
/// let image = ImageRequest::iso(Platform::Nocloud)
///     .of(factory.schematic_id(&schematic)?, TalosVersion::new(1, 10, 7));
///
/// assert_eq!(
///     factory.installer_reference(&image.installer()),
///     format!("factory.talos.dev/nocloud-installer/{}:v1.10.7", image.schematic()),
/// );
/// # Ok::<(), factory_client::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OfflineFactory {
    endpoint: Url,
    registry: String,
    pxe: Url,
}

/// The endpoint of the public factory.
pub const COMMUNITY_FACTORY: &str = "https://factory.talos.dev";

impl OfflineFactory {
    /// The public factory.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the constant is a URL")]
    pub fn community() -> Self {
        #[expect(clippy::expect_used, reason = "a constant that a test parses")]
        let endpoint = Url::parse(COMMUNITY_FACTORY).expect("the constant is a URL");
        Self {
            registry: "factory.talos.dev".to_owned(),
            pxe: endpoint.clone(),
            endpoint,
        }
    }

    /// A factory at `endpoint`, which may have a path prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a URL that is not http(s), or that has credentials, a query or a fragment.
    pub fn new(endpoint: Url) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::Configuration, "set endpoint")
                .with_target(endpoint.host_str().unwrap_or_default())
                .with_message(why))
        };
        if !matches!(endpoint.scheme(), "http" | "https") {
            return refuse("the endpoint of a factory starts with http:// or https://");
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return refuse("pass credentials to the builder, not in the URL");
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return refuse("the endpoint of a factory has no query and no fragment");
        }
        let host = endpoint.host_str().unwrap_or_default();
        let registry = endpoint
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self {
            registry,
            pxe: endpoint.clone(),
            endpoint,
        })
    }

    /// Sets the registry host under which *nodes* reach the installer images, when that is not the host of the
    /// endpoint.
    #[must_use]
    pub fn registry(mut self, host: impl Into<String>) -> Self {
        self.registry = host.into();
        self
    }

    /// Sets the base URL of iPXE scripts; the public factory also serves them under other host names.
    #[must_use]
    pub fn pxe_base(mut self, base: Url) -> Self {
        self.pxe = base;
        self
    }

    /// The endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The ID of `schematic`. The factory knows it only after the schematic was posted.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the ID depends on the encoder of the factory; the message says why.
    pub fn schematic_id(&self, schematic: &Schematic) -> Result<SchematicId> {
        schematic.local_id().ok_or_else(|| {
            let reasons = schematic.uncertainties();
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            Error::new(ErrorKind::InvalidInput, "compute schematic ID").with_message(format!(
                "depends on the version of the factory: {}",
                reasons.join("; ")
            ))
        })
    }

    /// Where the image is downloaded from.
    #[must_use]
    pub fn image_url(&self, image: &Image) -> Url {
        join(&self.endpoint, &image.path())
    }

    /// The reference for `machine.install.image`.
    #[must_use]
    pub fn installer_reference(&self, installer: &Installer) -> String {
        installer.reference(&self.registry)
    }

    /// Where the iPXE script of an image's platform, architecture and flavour is.
    #[must_use]
    pub fn pxe_url(&self, image: &Image) -> Url {
        join(&self.pxe, &pxe_path(image))
    }

    /// Names of the official extensions, from embedded data; `None` for a Talos minor that is not embedded.
    #[must_use]
    pub fn official_extensions(&self, version: &TalosVersion) -> Option<Vec<&'static str>> {
        catalogue::extensions(version)
    }

    /// Checks `schematic` for `version` against embedded data.
    pub fn validate(&self, schematic: &Schematic, version: &TalosVersion) -> Diagnostics {
        let extensions = catalogue::extensions(version);
        let overlays = catalogue::overlays(version);
        check::check(
            schematic,
            version,
            &Offer {
                extensions: extensions.as_deref(),
                overlays: overlays.as_deref(),
                factory: None,
            },
        )
    }
}

/// `{platform}-{arch}[-secureboot]` below `pxe/{id}/{version}`.
pub(crate) fn pxe_path(image: &Image) -> String {
    let (platform, arch) = (image.request().platform(), image.request().architecture());
    let flavour = flavour(image.request());
    let (schematic, version) = (image.schematic(), image.version());
    format!("pxe/{schematic}/{version}/{platform}-{arch}{flavour}")
}

fn flavour(request: ImageRequest) -> &'static str {
    if request.is_secure_boot() {
        "-secureboot"
    } else {
        ""
    }
}

/// Appends path segments to a base URL, whose own path may end in a slash or not.
///
/// All segments come from checked newtypes, so nothing needs escaping.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/{path}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;

    fn image() -> Image {
        let id = SchematicId::parse(SchematicId::EMPTY).unwrap();
        ImageRequest::iso(Platform::Nocloud)
            .secure_boot()
            .of(id, TalosVersion::new(1, 10, 7))
    }

    #[test]
    fn addresses_keep_port_and_path_prefix() {
        let base = Url::parse("http://factory.lan:8080/talos/").unwrap();
        let factory = OfflineFactory::new(base).unwrap();

        assert_eq!(
            factory.image_url(&image()).as_str(),
            format!(
                "http://factory.lan:8080/talos/image/{}/v1.10.7/nocloud-amd64-secureboot.iso",
                SchematicId::EMPTY
            )
        );
        assert_eq!(
            factory.installer_reference(&image().installer()),
            format!(
                "factory.lan:8080/nocloud-installer-secureboot/{}:v1.10.7",
                SchematicId::EMPTY
            )
        );
        assert_eq!(
            factory
                .registry("registry.lan")
                .installer_reference(&image().installer()),
            format!(
                "registry.lan/nocloud-installer-secureboot/{}:v1.10.7",
                SchematicId::EMPTY
            )
        );
    }

    #[test]
    fn the_script_for_ipxe_has_its_own_host() {
        let factory = OfflineFactory::community()
            .pxe_base(Url::parse("https://pxe.factory.talos.dev").unwrap());

        assert_eq!(
            factory.pxe_url(&image()).as_str(),
            format!(
                "https://pxe.factory.talos.dev/pxe/{}/v1.10.7/nocloud-amd64-secureboot",
                SchematicId::EMPTY
            )
        );
    }

    #[test]
    fn endpoints_with_credentials_or_queries_are_refused() {
        for url in [
            "https://me:pw@factory.lan",
            "https://factory.lan/?token=x",
            "ftp://factory.lan",
        ] {
            let error = OfflineFactory::new(Url::parse(url).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("pw"));
        }
    }

    #[test]
    fn an_uncertain_id_is_an_error_that_says_why() {
        let schematic = Schematic::builder().kernel_arg("off").build().unwrap();
        let error = OfflineFactory::community()
            .schematic_id(&schematic)
            .unwrap_err();

        assert!(
            error
                .to_string()
                .contains("customization.extraKernelArgs[0] is a YAML 1.1 boolean")
        );
    }
}
