//! Machine configuration patches as the user gives them.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// The text of a machine configuration patch and where it comes from. A patch may hold secrets.
#[derive(Clone)]
pub struct PatchSource {
    origin: String,
    text: SecretString,
}

impl PatchSource {
    /// A patch with the name that errors show: a file name or what the text stands for.
    #[must_use]
    pub fn new(origin: impl Into<String>, text: impl Into<SecretString>) -> Self {
        Self {
            origin: origin.into(),
            text: text.into(),
        }
    }

    /// What errors call the patch.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

impl PartialEq for PatchSource {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin && self.text() == other.text()
    }
}

impl Eq for PatchSource {}

impl fmt::Debug for PatchSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatchSource")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
