//! Schematics: what the factory builds into an image, and the ID that follows from it.
//!
//! The ID is the SHA-256 of one exact YAML text. Lists are neither sorted nor freed of duplicates by the factory, so
//! the order of extensions is part of the ID; [`SchematicBuilder::sorted`] makes one explicitly.

mod builder;
mod diff;
mod document;
mod encoder;
mod options;
mod parse;
mod resolve;
mod scalar;
mod serialize;
mod timestamp;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::builder::SchematicBuilder;
pub(crate) use self::builder::is_unreadable_block;
pub use self::diff::Diff;
pub use self::encoder::Encoder;
pub use self::options::OptionValue;
#[cfg(feature = "mock")]
pub(crate) use self::parse::decode;
#[cfg(feature = "mock")]
pub(crate) use self::tree::Problem;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;

/// The customisation of a Talos image.
///
/// Equality is equality of content: two equal schematics have the same ID on every community factory.
///
/// ```
/// use factory_client::Schematic;
///
/// let schematic = Schematic::builder()
///     .extension("siderolabs/iscsi-tools")
///     .extension("siderolabs/qemu-guest-agent")
///     .extension("siderolabs/util-linux-tools")
///     .build()?;
///
/// let id = schematic.local_id().expect("every encoder agrees on this schematic");
/// assert!(id.as_str().starts_with("88d1f7a5c4f1"));
/// # Ok::<(), factory_client::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schematic {
    pub(crate) owner: String,
    pub(crate) overlay: Overlay,
    pub(crate) embedded_machine_configuration: String,
    pub(crate) extra_kernel_args: Vec<String>,
    pub(crate) meta: Vec<MetaValue>,
    pub(crate) official_extensions: Vec<String>,
    pub(crate) bootloader: Bootloader,
    pub(crate) enroll_keys: String,
    pub(crate) include_well_known_certificates: bool,
    pub(crate) sector_size: u64,
}

/// A board overlay; not needed for virtual machines.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Overlay {
    /// Repository of the overlay image. Part of the ID, although the factory looks overlays up by name alone.
    pub image: String,
    /// Name, as listed by [`Client::official_overlays`](crate::Client::official_overlays).
    pub name: String,
    /// Settings that the overlay defines.
    pub options: BTreeMap<String, OptionValue>,
}

impl Overlay {
    /// The overlay `name` of `image`, without options.
    #[must_use]
    pub fn new(image: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            name: name.into(),
            options: BTreeMap::new(),
        }
    }

    /// Sets one option.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<OptionValue>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.image.is_empty() && self.name.is_empty() && self.options.is_empty()
    }
}

/// One initial value of the META partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MetaValue {
    /// Key; 10 holds the network configuration of the metal platform.
    pub key: u8,
    /// Value, often YAML.
    pub value: String,
}

impl MetaValue {
    /// A value under `key`.
    #[must_use]
    pub fn new(key: u8, value: impl Into<String>) -> Self {
        Self {
            key,
            value: value.into(),
        }
    }
}

/// The boot loader of disk images, and of ISOs from Talos 1.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Bootloader {
    /// Left to the factory, and not written.
    #[default]
    None,
    /// `dual-boot`.
    DualBoot,
    /// `sd-boot`.
    SdBoot,
    /// `grub`.
    Grub,
}

impl Bootloader {
    /// The text in a schematic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DualBoot => "dual-boot",
            Self::SdBoot => "sd-boot",
            Self::Grub => "grub",
        }
    }
}

impl FromStr for Bootloader {
    type Err = Error;

    /// Reads a name in any letter case.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSchematic`] for anything else. That includes `auto`, which the documentation of the
    /// factory lists and its parser (v1.5.0) refuses.
    fn from_str(text: &str) -> Result<Self> {
        match text.to_lowercase().as_str() {
            "none" => Ok(Self::None),
            "dual-boot" => Ok(Self::DualBoot),
            "sd-boot" => Ok(Self::SdBoot),
            "grub" => Ok(Self::Grub),
            _ => Err(Error::new(ErrorKind::InvalidSchematic, "parse boot loader")
                .with_target(text)
                .with_message(format!(
                    "{text} does not belong to BootloaderKind values; use none, dual-boot, sd-boot or grub"
                ))),
        }
    }
}

impl fmt::Display for Bootloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Schematic {
    /// The schematic without any customisation, from which to set fields.
    pub fn builder() -> SchematicBuilder {
        SchematicBuilder::default()
    }

    /// Reads YAML or JSON as strictly as the factory does: an unknown or repeated field is an error, further
    /// documents are ignored, numbers in string lists keep their text, null items are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSchematic`] with the line of the first problem.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text)
    }

    /// The canonical YAML text, as a factory of v1.1.0 to v1.4.0 writes it.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.canonical_by(Encoder::default())
    }

    /// The canonical YAML text of one encoder generation.
    #[must_use]
    pub fn canonical_by(&self, encoder: Encoder) -> String {
        document::render(self, encoder)
    }

    /// The ID, computed without the network; `None` when it depends on the encoder generation of the factory, for
    /// reasons that [`uncertainties`](Self::uncertainties) names. Ask the factory then.
    ///
    /// The factory returns 404 for an ID whose schematic was not posted before.
    #[must_use]
    pub fn local_id(&self) -> Option<SchematicId> {
        document::first_uncertainty(self)
            .is_none()
            .then(|| self.id_by(Encoder::default()))
    }

    /// The ID that a factory with this encoder generation computes.
    #[must_use]
    pub fn id_by(&self, encoder: Encoder) -> SchematicId {
        SchematicId::of_text(&self.canonical_by(encoder))
    }

    /// Which values make the ID depend on the encoder generation of the factory, and why; empty for all practical
    /// schematics.
    #[must_use]
    pub fn uncertainties(&self) -> Vec<Uncertainty> {
        document::uncertainties(self)
    }

    /// The differences from this schematic to `other`. Embedded configurations are compared but not quoted.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<Diff> {
        diff::diff(self, other)
    }

    /// This schematic with these official extensions instead of its own.
    #[must_use]
    pub fn with_extensions<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.official_extensions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Official extensions in their order.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.official_extensions
    }

    /// Extra kernel arguments in their order.
    #[must_use]
    pub fn kernel_args(&self) -> &[String] {
        &self.extra_kernel_args
    }

    /// Initial META values in their order.
    #[must_use]
    pub fn meta(&self) -> &[MetaValue] {
        &self.meta
    }

    /// The overlay, when there is one.
    #[must_use]
    pub fn overlay(&self) -> Option<&Overlay> {
        (!self.overlay.is_empty()).then_some(&self.overlay)
    }

    /// Machine configuration to embed; empty when there is none.
    #[must_use]
    pub fn embedded_machine_configuration(&self) -> &str {
        &self.embedded_machine_configuration
    }

    /// The boot loader.
    #[must_use]
    pub fn bootloader(&self) -> Bootloader {
        self.bootloader
    }

    /// The secure boot enrolment mode; empty when it is left to the factory.
    #[must_use]
    pub fn enroll_keys(&self) -> &str {
        &self.enroll_keys
    }

    /// Whether Microsoft's certificates are enrolled too.
    #[must_use]
    pub fn includes_well_known_certificates(&self) -> bool {
        self.include_well_known_certificates
    }

    /// Sector size of disk images in bytes; 0 when it is left to the factory.
    #[must_use]
    pub fn sector_size(&self) -> u64 {
        self.sector_size
    }

    /// The owner that an Enterprise factory stamps into schematics; empty on a community factory.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl FromStr for Schematic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// A value whose canonical form is not the same in every encoder generation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Uncertainty {
    /// Where it is, for example `customization.extraKernelArgs[0]`.
    pub field: String,
    /// What the value has that encoders write differently.
    pub reason: &'static str,
}

impl fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}
