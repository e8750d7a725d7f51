//! What is wrong with a specification, all at once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How serious a [`Diagnostic`] is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Must be corrected; the specification is refused.
    Error,
    /// Is accepted, but probably not intended.
    Warning,
    /// Information.
    Note,
}

/// One finding about the specification: where, what is wrong, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// The path of the field, `machines[0].vmId`, or the file and line of a patch.
    pub path: String,
    /// What is wrong: the invalid value, or that the field is missing.
    pub message: String,
    /// What is allowed there, or how to correct it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An invalid value at `path`; `help` says what is allowed.
    pub(crate) fn new(
        path: impl Into<String>,
        value: impl fmt::Display,
        help: impl Into<String>,
    ) -> Self {
        let value = shortened(&value.to_string(), LONGEST_VALUE);
        Self::of(path, format!("{value:?} is not valid"), help)
    }

    /// A field that does not exist at `path`.
    pub(crate) fn unknown(path: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(path, "there is no such field".to_owned(), help)
    }

    /// Something at `path` that is wrong in these words; `help` says how to correct it.
    pub(crate) fn problem(
        path: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        Self {
            help: help.map(|help| shortened(&help, LONGEST_TEXT)),
            ..Self::of(path, message.into(), "")
        }
    }

    /// The same finding as one that does not refuse the specification.
    pub(crate) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// A field that is missing at `path`.
    pub(crate) fn missing(path: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(path, "missing".to_owned(), help)
    }

    fn of(path: impl Into<String>, message: String, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: shortened(&path.into(), LONGEST_VALUE),
            message: shortened(&message, LONGEST_TEXT),
            help: Some(shortened(&help.into(), LONGEST_TEXT)),
        }
    }
}

/// The longest value or path that a finding repeats, in characters.
const LONGEST_VALUE: usize = 120;
/// The longest text of a finding: validators repeat values as well.
const LONGEST_TEXT: usize = 1200;

/// A text as a finding repeats it: cut where it is long, so that a pasted file does not fill the screen.
fn shortened(text: &str, longest: usize) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(longest).collect();
    match characters.count() {
        0 => start,
        rest => format!("{start}… ({rest} more characters)"),
    }
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

/// All findings about a specification. Checks go on after the first one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Adds findings about fields that have none yet: a later check says less about a field that could not be read.
    pub(crate) fn append_new(&mut self, others: &[Diagnostic]) {
        let known: Vec<String> = self.0.iter().map(|found| found.path.clone()).collect();
        let is_about = |path: &str, known: &str| {
            path.strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ':']))
        };
        let new = others
            .iter()
            .filter(|other| !known.iter().any(|known| is_about(&other.path, known)));
        self.0.extend(new.cloned());
    }

    /// The value of an identifier of Proxmox VE, or a finding at `path` with what is wrong with it.
    pub(crate) fn identifier<T>(
        &mut self,
        path: &str,
        value: &dyn fmt::Display,
        result: proxmox_client::Result<T>,
    ) -> Option<T> {
        let result = result.map_err(|error| {
            let messages: Vec<&str> = error
                .diagnostics()
                .iter()
                .map(|found| found.message.as_str())
                .collect();
            match messages.is_empty() {
                true => error.message().to_owned(),
                false => messages.join("; "),
            }
        });
        self.check(path, value, result)
    }

    /// The value, or a finding at `path` with the text of the error.
    pub(crate) fn check<T, E: fmt::Display>(
        &mut self,
        path: &str,
        value: &dyn fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.add(Diagnostic::new(path, value, error.to_string()));
                None
            }
        }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl std::ops::Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error"),
            n => write!(f, "{n} errors"),
        }
    }
}
