//! The texts of an error: one line for events, the complete report for people.

use std::error::Error as StdError;
use std::fmt;

use super::Error;

impl Error {
    /// The error and its causes in one line, with the address of the server, for events and findings.
    pub(crate) fn cause_line(&self) -> String {
        self.joined(|error| {
            let text = error.own_line();
            match error.server().map(|address| address.trim_end_matches('/')) {
                Some(address) if !text.contains(address) => format!("{text}, at {address}"),
                _ => text,
            }
        })
    }

    /// The error in one line, with the other failures.
    pub(crate) fn with_others_line(&self) -> String {
        self.joined(Self::to_string)
    }

    fn joined(&self, text: impl Fn(&Self) -> String) -> String {
        let all = std::iter::once(self).chain(self.others());
        let texts: Vec<String> = all.map(text).collect();
        texts.join("; also ")
    }

    /// The error and its causes in one line, without the other failures.
    fn own_line(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    }

    /// The causes that `Display` does not already contain. Where it contains the last of them, those between add nothing.
    fn causes(&self) -> Vec<String> {
        let mut next = self.source();
        if self.inner.speaks_for_source {
            next = next.and_then(StdError::source);
        }
        let all: Vec<String> =
            std::iter::successors(next, |cause: &&(dyn StdError + 'static)| (*cause).source())
                .map(ToString::to_string)
                .collect();
        let said = self.to_string();
        match all.last() {
            Some(root) if said.contains(root.as_str()) => Vec::new(),
            _ => all,
        }
    }

    fn server_and_hint(&self, line: &str) -> String {
        let server = match self.origin().zip(self.server()) {
            Some((origin, address)) => format!("{line}server: {origin} at {address}"),
            None => String::new(),
        };
        format!("{server}{line}hint: {}", self.hint())
    }

    /// The complete text for people: the chain of causes, the hint, and whether running again is safe.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("error: {self}");
        for diagnostic in self.inner.diagnostics.iter() {
            text.push_str(&format!("\n  - {diagnostic}"));
        }
        for cause in self.causes() {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        text.push_str(&self.server_and_hint("\n  "));
        for other in self.others() {
            text.push_str(&format!("\n  also failed: {}", other.own_line()));
            text.push_str(&other.server_and_hint("\n    "));
        }
        let repeat = match (self.is_safe_to_repeat(), self.is_retryable()) {
            (true, true) => "Running again is safe: finished steps are detected and not repeated.",
            (true, false) => {
                "Resolve the cause, then run again: finished steps are detected and not repeated."
            }
            (false, _) => "Do not run again before the cause is resolved.",
        };
        text.push_str(&format!("\n  {repeat}"));
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        if let Some(step) = inner.step {
            write!(f, "step {step}: ")?;
        }
        if let Some(machine) = &inner.machine {
            write!(f, "{machine}: ")?;
        }
        if let (true, Some(source)) = (inner.speaks_for_source, &inner.source) {
            return write!(f, "{source}");
        }
        f.write_str(inner.operation)?;
        if !inner.target.is_empty() {
            write!(f, " ({})", inner.target)?;
        }
        if inner.message.is_empty() {
            f.write_str(" failed")
        } else {
            write!(f, ": {}", inner.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::run::step::StepId;

    #[test]
    fn the_report_shows_the_chain_once_with_the_hint() {
        let error = Error::new(ErrorKind::Deadline, "wait for the node")
            .with_target("10.0.2.10:50000")
            .with_message("timed out after 20m")
            .with_hint("Look at the console.")
            .with_source(std::io::Error::other("connection refused"))
            .at_step(StepId::Apply);

        assert_eq!(
            error.report(),
            "error: step apply: wait for the node (10.0.2.10:50000): timed out after 20m\n  \
             caused by: connection refused\n  hint: Look at the console.\n  \
             Running again is safe: finished steps are detected and not repeated."
        );
    }

    #[test]
    fn a_cause_that_the_message_quotes_is_not_said_twice_and_the_server_is_named() {
        let refused = std::io::Error::other("connection refused");
        let mut error = Error::new(ErrorKind::Connect, "read version")
            .with_message("cannot connect: connection refused")
            .with_source(std::io::Error::other(refused));
        error.inner.server = Some("https://pve-01:8006/".into());

        assert_eq!(
            error.cause_line(),
            "read version: cannot connect: connection refused, at https://pve-01:8006"
        );
        assert!(!error.report().contains("caused by"));
    }

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
