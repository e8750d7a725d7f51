//! The one error type of this crate: which step, on what, why, and whether running again is safe.

pub(crate) mod from_clients;

use std::error::Error as StdError;
use std::fmt;

use crate::run::step::StepId;
use crate::spec::problem::{Problem, Problems};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, independent of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The specification is wrong: nothing was touched.
    InvalidSpec,
    /// A server does not know our credentials.
    Unauthenticated,
    /// A server knows us and denies it: a privilege or policy is missing.
    Forbidden,
    /// Something that must exist does not.
    NotFound,
    /// Something exists that is not provably ours; it is left alone.
    NotOurs,
    /// Something exists with another content than wanted.
    Conflict,
    /// A storage is full.
    NoSpace,
    /// DNS or TCP: a server cannot be reached.
    Unreachable,
    /// A certificate is not trusted, or ours is not accepted.
    Certificate,
    /// A server refused what was asked.
    Rejected,
    /// A server or a task of it failed.
    Failed,
    /// A server is busy or not ready.
    Busy,
    /// An answer is not of the expected shape.
    Decode,
    /// A wait ended at its deadline; the source is the last cause.
    Deadline,
    /// Secrets of a configured cluster are gone; they are never made again.
    SecretsLost,
    /// A file cannot be read or written.
    Io,
}

/// An error of a bootstrap: kind, step, operation, target, hint and source.
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    step: Option<StepId>,
    operation: &'static str,
    target: String,
    message: String,
    hint: Option<String>,
    may_have_taken_effect: bool,
    problems: Vec<Problem>,
    /// The source is the error of a client, which says everything; this one adds step and hint.
    speaks_for_source: bool,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                step: None,
                operation,
                target: String::new(),
                message: String::new(),
                hint: None,
                may_have_taken_effect: false,
                problems: Vec::new(),
                speaks_for_source: false,
                source: None,
            }),
        }
    }

    pub(crate) fn invalid_spec(problems: Problems) -> Self {
        let problems = problems.into_vec();
        let mut error = Self::new(ErrorKind::InvalidSpec, "check the specification")
            .with_message(summary(&problems))
            .with_hint("nothing was touched; mend the fields and run again");
        error.inner.problems = problems;
        error
    }

    /// Both lists of problems in one error.
    pub(crate) fn with_problems_of(mut self, other: Self) -> Self {
        self.inner.problems.extend(other.inner.problems);
        self.inner.message = summary(&self.inner.problems);
        self
    }

    /// Takes over the error of a client: its words, with our kind.
    pub(crate) fn of_client(
        kind: ErrorKind,
        operation: &'static str,
        target: &str,
        source: impl Into<Source>,
    ) -> Self {
        let mut error = Self::new(kind, operation)
            .with_target(target)
            .with_source(source);
        error.inner.speaks_for_source = true;
        error
    }

    pub(crate) fn io(operation: &'static str, target: &str, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, operation)
            .with_target(target)
            .with_source(error)
    }

    pub(crate) fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn at_step(mut self, step: StepId) -> Self {
        self.inner.step.get_or_insert(step);
        self
    }

    pub(crate) fn uncertain(mut self, may_have_taken_effect: bool) -> Self {
        self.inner.may_have_taken_effect = may_have_taken_effect;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The step in which it happened; `None` before the first one.
    #[must_use]
    pub fn step(&self) -> Option<StepId> {
        self.inner.step
    }

    /// What was attempted.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What it was attempted on. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Everything that is wrong with the specification; empty for other kinds.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.inner.problems
    }

    /// Whether a request may have had its effect although its answer is missing. Running again is safe all the
    /// same, because every step looks before it acts.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        self.inner.may_have_taken_effect
    }

    /// Whether running again, with nothing changed, can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Unreachable | ErrorKind::Busy | ErrorKind::Deadline | ErrorKind::Failed
        )
    }

    /// Whether running again can do no harm. It is `false` only where a person has to decide first.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        !matches!(self.inner.kind, ErrorKind::SecretsLost | ErrorKind::NotOurs)
    }

    /// The error and its causes in one line, for events.
    pub(crate) fn cause_line(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str(": ");
            text.push_str(&cause.to_string());
        }
        text
    }

    /// The causes that Display does not already tell.
    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let mut next = self.source();
        if self.inner.speaks_for_source {
            next = next.and_then(StdError::source);
        }
        std::iter::from_fn(move || {
            let cause = next?;
            next = cause.source();
            Some(cause)
        })
    }

    /// The whole story for a person: the chain of causes once, the hint, and whether to run again.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("error: {self}");
        for problem in &self.inner.problems {
            text.push_str(&format!("\n  - {problem}"));
        }
        for cause in self.causes() {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        let repeat = if self.is_safe_to_repeat() {
            "running again is safe: finished steps are recognised and left alone"
        } else {
            "do not simply run again: decide about the hint first"
        };
        text.push_str(&format!("\n  {repeat}"));
        text
    }
}

fn summary(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "1 problem".into(),
        n => format!("{n} problems"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        if let Some(step) = inner.step {
            write!(f, "step {step}: ")?;
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_shows_the_chain_once_with_the_hint() {
        let error = Error::new(ErrorKind::Deadline, "wait for the node")
            .with_target("10.0.2.10:50000")
            .with_message("not back after 20 min")
            .with_hint("look at the console")
            .with_source(std::io::Error::other("connection refused"))
            .at_step(StepId::Apply);

        assert_eq!(
            error.report(),
            "error: step apply: wait for the node (10.0.2.10:50000): not back after 20 min\n  \
             caused by: connection refused\n  hint: look at the console\n  \
             running again is safe: finished steps are recognised and left alone"
        );
    }

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
