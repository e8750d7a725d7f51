//! Warnings and errors of one document.

/// What was found in one document, in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
}

impl Findings {
    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    /// Adds an error when `broken`.
    pub(super) fn error_if(&mut self, broken: bool, text: impl Into<String>) {
        if broken {
            self.error(text);
        }
    }

    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}
