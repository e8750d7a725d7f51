//! What is wrong with a specification, all at once.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong with the input: where, what stands there, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The path of the field, `machines[0].vmId`, or the file and line of a patch.
    pub path: String,
    /// What stands there; empty when something is missing.
    pub value: String,
    /// What is allowed there, or how to mend it.
    pub allowed: String,
}

impl Problem {
    pub(crate) fn new(
        path: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }

    pub(crate) fn missing(path: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::new(path, "", allowed)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: is missing; {}", self.path, self.allowed)
        } else {
            write!(f, "{}: {:?}; {}", self.path, self.value, self.allowed)
        }
    }
}

/// A growing list of problems; checks go on after the first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// The value, or a problem at `path` with the text of the refusal.
    pub(crate) fn check<T, E: fmt::Display>(
        &mut self,
        path: &str,
        value: &dyn fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.add(Problem::new(path, value, error.to_string()));
                None
            }
        }
    }
}
