//! Why the program ends with exit code 1.

use std::error::Error as StdError;

use serde_json::{Value, json};

/// A failed run, or something that kept it from starting.
#[derive(Debug)]
pub(crate) enum Failure {
    Run(lungmen_bootstrap::Error),
    Other(String),
}

impl Failure {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// The text for people: the chain of causes once, with a hint where there is one.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Run(error) => error.report(),
            Self::Other(text) => format!("error: {text}"),
        }
    }
}

impl Failure {
    /// The line for programs: the parts of the error, and the text for people as `report`.
    pub(crate) fn to_json(&self) -> Value {
        let Self::Run(error) = self else {
            return json!({ "event": "failed", "kind": "usage", "report": self.report() });
        };
        json!({
            "event": "failed",
            "kind": error.kind(),
            "origin": error.origin(),
            "server": error.server(),
            "step": error.step(),
            "machine": error.machine(),
            "operation": error.operation(),
            "target": error.target(),
            "message": error.to_string(),
            "problems": error.diagnostics(),
            "hint": error.hint(),
            "retryable": error.is_retryable(),
            "safe_to_repeat": error.is_safe_to_repeat(),
            "steps": error.steps(),
            "warnings": error.warnings(),
            "report": error.report(),
        })
    }
}

impl From<lungmen_bootstrap::Error> for Failure {
    fn from(error: lungmen_bootstrap::Error) -> Self {
        Self::Run(error)
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
