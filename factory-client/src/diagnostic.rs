//! What is wrong with a schematic: single diagnostics and the set of all of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How severe a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// For information only.
    Note,
    /// Probably not what was intended.
    Warning,
    /// The factory rejects it, or builds something that does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that is wrong with a schematic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How severe it is.
    pub severity: Severity,
    /// The place in the schematic, for example `meta[0].key`.
    pub path: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to correct it.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// All diagnostics of a schematic, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "diagnostics have no effect by themselves"]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The diagnostics of all severities.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.all.iter()
    }

    /// The diagnostics that make the schematic unusable.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Error)
    }

    /// The diagnostics with severity [`Severity::Warning`].
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Warning)
    }

    /// Whether there is no diagnostic at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether there is no error; warnings may be present.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }

    /// Turns the errors into one [`Error`].
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] with all errors in its message.
    pub fn into_result(self) -> Result<()> {
        if self.is_ok() {
            return Ok(());
        }
        let errors: Vec<String> = self.errors().map(ToString::to_string).collect();
        Err(Error::new(ErrorKind::Validation, "validate schematic").with_message(errors.join("; ")))
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.all
            .iter()
            .filter(move |diagnostic| diagnostic.severity == severity)
    }

    fn add(&mut self, severity: Severity, path: impl Into<String>, message: impl Into<String>) {
        self.all.push(Diagnostic {
            severity,
            path: path.into(),
            message: message.into(),
            help: None,
        });
    }

    pub(crate) fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, path, message);
    }

    pub(crate) fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, path, message);
    }

    /// Adds a probable value to the latest diagnostic.
    pub(crate) fn suggest(&mut self, value: Option<String>) {
        if let (Some(diagnostic), Some(value)) = (self.all.last_mut(), value) {
            diagnostic.help = Some(format!("did you mean {value}?"));
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
