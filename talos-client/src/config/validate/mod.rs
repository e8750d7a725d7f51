//! Validation: the rules by which the reference accepts a configuration, with its texts.
//!
//! Rules differ between releases, so the release decides: document kinds, required sections, texts. Nothing here looks at
//! a machine; the node checks again when a configuration is applied, and only it knows its disks.

pub(super) mod cel;
mod conflicts;
mod documents;
mod findings;
mod labels;
mod v1alpha1;
pub(super) mod view;
mod whole;

use std::fmt;
use std::str::FromStr;

pub use conflicts::Conflict;

use super::document::{decode, encode};
use super::schema::Schema;
use super::{
    Diagnostic, Diagnostics, Document, MachineConfig, Severity, TalosVersion, VersionContract,
};
use crate::go::text::{multi_error, quoted};
use crate::{Error, ErrorKind, Result};
use conflicts::Legacy;

const OPERATION: &str = "validate machine configuration";

/// Where the machine runs, which decides a few of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Installed to a disk: install instructions are required.
    Metal,
    /// Booted from an image that is already on the disk, as on most clouds.
    Cloud,
    /// In a container: host DNS must be on.
    Container,
}

impl Mode {
    /// The name `talosctl validate --mode` takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metal => "metal",
            Self::Cloud => "cloud",
            Self::Container => "container",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Metal, Self::Cloud, Self::Container]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, OPERATION)
                    .with_message(format!("unknown runtime mode: {}", quoted(text)))
            })
    }
}

/// By which rules to validate.
#[derive(Debug, Clone)]
#[must_use]
pub struct ValidationOptions {
    mode: Mode,
    release: VersionContract,
    strict: bool,
}

impl ValidationOptions {
    /// The rules of a Talos release for machines of a mode. Releases this crate does not know follow the nearest one it does.
    pub fn new(mode: Mode, version: &TalosVersion) -> Self {
        Self {
            mode,
            release: version.generator(),
            strict: false,
        }
    }

    /// Makes every warning about the `v1alpha1` document an error. Warnings about other documents stay warnings.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}

impl MachineConfig {
    /// Validates all documents, and those beside `v1alpha1` against it.
    ///
    /// The documents are taken as loaded: unknown keys and wrong types are found by [`MachineConfig::load`], not
    /// here. Nothing is sent and nothing is changed.
    ///
    /// ```
    /// use talos_client::config::{MachineConfig, Mode, TalosVersion, ValidationOptions};
    ///
    /// let version = TalosVersion::parse("v1.10.7")?;
    /// let config = MachineConfig::load("machine: {type: worker}", &version)?;
    /// let found = config.validate(&ValidationOptions::new(Mode::Metal, &version));
    /// assert!(!found.is_valid());
    /// assert_eq!(found.as_slice()[0].message, "cluster instructions are required");
    /// # Ok::<(), talos_client::Error>(())
    /// ```
    pub fn validate(&self, options: &ValidationOptions) -> Diagnostics {
        let release = options.release;
        let decoded = decoded(self, Schema::of_minor(release.minor()));
        let legacy = Legacy::of(self, &decoded);
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        if let Some(legacy) = legacy {
            let mut found = v1alpha1::check(legacy.decoded(), options.mode, release);
            if options.strict {
                let promoted = found.warnings.drain(..);
                found
                    .errors
                    .extend(promoted.map(|warning| format!("warning: {warning}")));
            }
            warnings = found.warnings;
            if release < VersionContract::V1_12 {
                errors = found.errors;
            } else if !found.errors.is_empty() {
                errors.push(format!("v1alpha1.Config: {}", multi_error(&found.errors)));
            }
        }
        let others = || decoded.documents().iter().filter(|it| !it.is_v1alpha1());
        for document in others() {
            let found = documents::check(document, release);
            warnings.extend(found.warnings);
            errors.extend(found.errors);
        }
        if let Some(legacy) = legacy {
            let found = others().filter_map(|it| conflicts::check(it, legacy, release));
            errors.extend(found.map(|conflict| conflict.message));
        }
        if release >= VersionContract::V1_14 {
            errors.extend(whole::check(&decoded, options.mode));
        }
        let errors = errors
            .into_iter()
            .map(|text| Diagnostic::new(Severity::Error, text));
        let warnings = warnings
            .into_iter()
            .map(|text| Diagnostic::new(Severity::Warning, text));
        errors.chain(warnings).collect()
    }
}

/// The documents as the release decodes them: names in their own spelling, numbers as numbers, nothing where the decoder
/// leaves out. A document that cannot be decoded stays as it is.
fn decoded(config: &MachineConfig, schema: &'static Schema) -> MachineConfig {
    let documents = config.documents().iter().map(|document| {
        let kind = schema.document(document.kind());
        let value =
            kind.and_then(|kind| Some((kind, decode(schema, kind.ty, document.node()).ok()?)));
        match value {
            Some((kind, value)) => Document::new(encode(schema, kind.ty, value)),
            None => document.clone(),
        }
    });
    MachineConfig::from_documents(documents)
}
