//! Errors as `talosctl` prints them: one text, without the operation and target that our own errors know.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Puts what was attempted before the text.
    pub(crate) fn context(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl From<talos_client::Error> for Failure {
    fn from(error: talos_client::Error) -> Self {
        if error.message().is_empty() {
            Self(error.to_string())
        } else {
            Self(error.message().to_owned())
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
