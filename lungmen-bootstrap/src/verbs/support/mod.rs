//! `support()`: what somebody needs to find out why a run failed, without secrets.

mod collect;
mod redact;

use serde::Serialize;

use redact::Redactor;

/// Everything about a cluster that helps to find a cause. Secrets of the cluster, and whatever looks like one, are replaced by
/// `[redacted]` in every file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SupportBundle {
    /// The name of the cluster.
    pub cluster: String,
    /// The files, in the order in which they were made.
    pub files: Vec<SupportFile>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
    #[serde(skip)]
    redactor: Redactor,
}

/// One file of a [`SupportBundle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SupportFile {
    /// Its path in the bundle, `machines/tal01/dmesg.log`.
    pub name: String,
    /// Its text, redacted.
    pub text: String,
}

/// The longest text of a file in bytes: of a longer one the end is kept.
const LONGEST: usize = 4 << 20;

impl SupportBundle {
    fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            files: Vec::new(),
            missing: Vec::new(),
            redactor: Redactor::default(),
        }
    }

    /// Adds a file of the caller, such as the events of the run. Its text is redacted as that of the others.
    pub fn add(&mut self, name: impl Into<String>, text: &str) {
        self.files.push(SupportFile {
            name: name.into(),
            text: self.redactor.clean(end_of(text)),
        });
    }

    /// Notes that something could not be had.
    pub fn add_missing(&mut self, what: &str, why: &str) {
        let line = self.redactor.clean(&format!("{what}: {why}"));
        self.missing.push(line);
    }
}

/// The last whole lines of a text.
fn end_of(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    let mut start = text.len() - LONGEST;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let end = &text[start..];
    end.split_once('\n').map_or(end, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_last_whole_lines_are_kept() {
        assert_eq!(end_of("a\nb\n"), "a\nb\n");
        let long = format!("{}\nlast\n", "ä".repeat(LONGEST));
        assert_eq!(end_of(&long), "last\n");
    }
}
