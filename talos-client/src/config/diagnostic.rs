//! What is wrong with a configuration, or unwise about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::LintId;
use crate::go::text::multi_error;
use crate::{Error, ErrorKind, Result};

/// How serious a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// A node rejects the configuration.
    Error,
    /// A node accepts the configuration, but it should be changed.
    Warning,
    /// For information.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One thing that is wrong with a configuration, or unwise about it.
///
/// `Display` gives one line: the message of a validation rule, or `id: path: message; help` of a lint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// The lint that reports it; `None` for a validation rule.
    pub id: Option<LintId>,
    /// The place: a path in the `v1alpha1` document, or the kind and name of a document and the path in it. Empty when
    /// the message names the place, as those of validation do.
    pub path: String,
    /// What is wrong. Validation uses the texts of the reference validator.
    pub message: String,
    /// What to change.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            id: None,
            path: String::new(),
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn lint(id: LintId, path: impl Into<String>, message: String, help: String) -> Self {
        Self {
            severity: Severity::Warning,
            id: Some(id),
            path: path.into(),
            message,
            help: Some(help),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id {
            write!(f, "{id}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// The diagnostics of a configuration, in the order of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Those of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(move |diagnostic| diagnostic.severity == severity)
    }

    /// Those because of which a node rejects the configuration.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Error)
    }

    /// Those about what a node accepts but what should be changed.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Warning)
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors().next().is_none()
    }

    /// All of them, as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.items
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// The warnings and notes of a valid configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] when there is an error; the message is the text of the reference validator.
    pub fn into_result(self) -> Result<Vec<Diagnostic>> {
        if self.is_valid() {
            return Ok(self.items);
        }
        let errors: Vec<String> = self.errors().map(|error| error.message.clone()).collect();
        Err(
            Error::new(ErrorKind::Validation, "validate machine configuration")
                .with_message(multi_error(&errors)),
        )
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}
