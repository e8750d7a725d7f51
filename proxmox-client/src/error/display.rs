//! What an error prints: one line for a person, every field for a developer.

use std::fmt;

use super::{Detail, Error};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.write_str(inner.operation)?;
        if !inner.target.is_empty() {
            write!(f, " ({})", inner.target)?;
        }
        let lines: Vec<&str> = inner.message.lines().map(str::trim).collect();
        let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            write!(f, ": {}", inner.kind.text())?;
        } else {
            write!(f, ": {}", lines.join("; ").trim_end_matches('.'))?;
        }
        if !inner.diagnostics.is_empty() {
            write!(f, ": {}", inner.diagnostics)?;
        }
        match inner.detail.log_tail(&inner.message) {
            Some(tail) => write!(f, " (log: {tail})"),
            None => Ok(()),
        }
    }
}

/// Lines of a task's log that an error prints.
const PRINTED_LINES: usize = 3;

impl Detail {
    /// The end of a task's log, without what the message says already.
    fn log_tail(&self, message: &str) -> Option<String> {
        let Self::Task(failure, _) = self else {
            return None;
        };
        let lines: Vec<&str> = failure
            .log
            .iter()
            .map(|line| line.trim())
            .filter(|line| {
                !line.is_empty() && !line.starts_with("TASK ") && !message.contains(line)
            })
            .collect();
        let tail = &lines[lines.len().saturating_sub(PRINTED_LINES)..];
        (!tail.is_empty()).then(|| tail.join("; "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("target", &inner.target)
            .field("message", &inner.message)
            .field("status", &inner.status)
            .field("reason", &inner.reason)
            .field("server", &inner.server)
            .field("retry_after", &inner.retry_after)
            .field("diagnostics", &inner.diagnostics)
            .field("detail", &inner.detail)
            .field("source", &inner.source)
            .finish()
    }
}
