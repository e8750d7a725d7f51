//! What is wrong with a value, field by field.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How serious a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The value cannot be used.
    Error,
    /// The value can be used, and probably does not do what was meant.
    Warning,
    /// Information.
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

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// The parameter or option, under the name that the server gives it.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// How to correct it, where that is not obvious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error of this field.
    pub fn error(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, field, message)
    }

    /// A warning about this field.
    pub fn warning(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, field, message)
    }

    fn new(severity: Severity, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            field: field.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Adds how to correct it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Prints `field: message (help)` on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim().replace('\n', "; ");
        write!(f, "{}: {message}", self.field)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a value, ordered by field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// No diagnostic yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one; the order by field is kept.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let at = self
            .0
            .partition_point(|known| known.field <= diagnostic.field);
        self.0.insert(at, diagnostic);
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Those of one field.
    pub fn of<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a Diagnostic> {
        self.iter().filter(move |known| known.field == field)
    }

    /// The message of the first diagnostic of this field.
    #[must_use]
    pub fn message_of(&self, field: &str) -> Option<&str> {
        let first = self.iter().find(|known| known.field == field)?;
        Some(&first.message)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter().any(|known| known.severity == Severity::Error)
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        let mut all: Vec<_> = items.into_iter().collect();
        all.sort_by(|one, other| one.field.cmp(&other.field));
        Self(all)
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_ordered_by_field_and_printed_on_one_line() {
        let mut all = Diagnostics::new();
        all.push(Diagnostic::error("net0", "a VLAN needs a bridge\n"));
        all.push(Diagnostic::warning("cpu", "line\nline").with_help("use host"));
        all.push(Diagnostic::error("net0", "a VLAN ID is 1 to 4094"));

        assert_eq!(
            all.to_string(),
            "cpu: line; line (use host); net0: a VLAN needs a bridge; net0: a VLAN ID is 1 to 4094"
        );
        assert_eq!(all.of("net0").count(), 2);
        assert_eq!(all.message_of("cpu"), Some("line\nline"));
        assert!(all.has_errors());
    }

    #[test]
    fn diagnostics_survive_json() {
        let all: Diagnostics = [Diagnostic::error("boot", "is empty")]
            .into_iter()
            .collect();
        let text = serde_json::to_string(&all).unwrap();

        assert_eq!(
            text,
            r#"[{"severity":"error","field":"boot","message":"is empty"}]"#
        );
        assert_eq!(serde_json::from_str::<Diagnostics>(&text).unwrap(), all);
    }
}
