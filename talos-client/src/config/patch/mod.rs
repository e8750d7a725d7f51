//! Patches: what `--config-patch` takes.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, ErrorKind, Result};

/// A patch as it was written; what it means depends on the Talos release it is applied for. `Debug` does not show it.
#[derive(Clone)]
pub struct ConfigPatch {
    text: SecretString,
    origin: String,
}

impl ConfigPatch {
    /// A patch from its text: YAML documents to merge, or a list of RFC 6902 operations in JSON or YAML.
    #[must_use]
    pub fn new(text: impl Into<SecretString>) -> Self {
        Self {
            text: text.into(),
            origin: String::new(),
        }
    }

    /// Takes an argument of `--config-patch`: `@FILE` reads that file, anything else is the text.
    ///
    /// # Errors
    ///
    /// `NotFound` or `InvalidInput` when the file cannot be read.
    pub fn from_argument(argument: &str) -> Result<Self> {
        match argument.strip_prefix('@') {
            Some(path) => Self::from_file(path),
            None => Ok(Self::new(argument)),
        }
    }

    /// Reads a patch from a file.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, `InvalidInput` when it cannot be read or is no UTF-8.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let (kind, reason) = match error.kind() {
                std::io::ErrorKind::NotFound => (
                    ErrorKind::NotFound,
                    String::from("no such file or directory"),
                ),
                std::io::ErrorKind::PermissionDenied => {
                    (ErrorKind::InvalidInput, String::from("permission denied"))
                }
                _ => (ErrorKind::InvalidInput, error.to_string()),
            };
            Error::new(kind, "read patch")
                .with_message(format!("open {}: {reason}", path.display()))
                .with_source(error)
        })?;
        Ok(Self {
            text: text.into(),
            origin: path.display().to_string(),
        })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for ConfigPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigPatch")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
