//! The error type of this crate: step, operation, target, cause, and whether running again is safe.

pub(crate) mod from_clients;
mod kind;
mod server;

use std::error::Error as StdError;
use std::fmt;

pub use kind::ErrorKind;
pub use server::Server;

use crate::run::report::StepReport;
use crate::run::step::StepId;
use crate::spec::diagnostic::Diagnostics;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// An error of a bootstrap: kind, step, operation, target, hint and source.
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    step: Option<StepId>,
    machine: Option<String>,
    origin: Option<Server>,
    server: Option<String>,
    operation: &'static str,
    target: String,
    message: String,
    hint: Option<String>,
    may_have_taken_effect: bool,
    diagnostics: Diagnostics,
    /// The source is the error of a client and has the whole message; this error adds step and hint.
    speaks_for_source: bool,
    source: Option<Source>,
    /// The failures of other machines in the same step.
    others: Vec<Error>,
    /// What the run had done before.
    steps: Vec<StepReport>,
    warnings: Vec<String>,
}

impl Error {
    /// An error of `kind` in `operation`; for tests of programs that handle errors of a bootstrap.
    ///
    /// ```
    /// use lungmen_bootstrap::{Error, ErrorKind};
    ///
    /// fn retry_later(error: &Error) -> bool {
    ///     match error.kind() {
    ///         ErrorKind::Busy | ErrorKind::NotReady => true,
    ///         _ => error.is_retryable(),
    ///     }
    /// }
    ///
    /// let error = Error::new(ErrorKind::Busy, "start the VM").with_target("VM 5");
    /// assert!(retry_later(&error));
    /// ```
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                step: None,
                machine: None,
                origin: None,
                server: None,
                operation,
                target: String::new(),
                message: String::new(),
                hint: None,
                may_have_taken_effect: false,
                diagnostics: Diagnostics::default(),
                speaks_for_source: false,
                source: None,
                others: Vec::new(),
                steps: Vec::new(),
                warnings: Vec::new(),
            }),
        }
    }

    pub(crate) fn invalid_spec(diagnostics: Diagnostics) -> Self {
        let mut error = Self::new(ErrorKind::InvalidSpec, "check the specification")
            .with_message(diagnostics.to_string())
            .with_hint("No changes were made. Fix the listed fields and run again.");
        error.inner.diagnostics = diagnostics;
        error
    }

    /// Both lists of diagnostics in one error.
    pub(crate) fn with_diagnostics_of(mut self, other: Self) -> Self {
        self.inner.diagnostics.append(other.inner.diagnostics);
        self.inner.message = self.inner.diagnostics.to_string();
        self
    }

    /// Wraps the error of a client: its message, with a kind of this crate.
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

    /// Sets what the operation was attempted on. Never a secret.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.inner.target = target.into();
        self
    }

    /// Sets the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Sets the step, unless one is set.
    #[must_use]
    pub fn at_step(mut self, step: StepId) -> Self {
        self.inner.step.get_or_insert(step);
        self
    }

    /// Sets the machine, unless one is set.
    pub(crate) fn at_machine(mut self, machine: String) -> Self {
        self.inner.machine.get_or_insert(machine);
        self
    }

    /// One error for the failures of several machines, in the order in which they ended; `None` without a failure.
    ///
    /// It speaks of the first machine whose failure running again does not resolve, because that one needs somebody, else
    /// of the first that failed.
    pub(crate) fn of_machines(mut failures: Vec<Self>) -> Option<Self> {
        let first = failures.iter().position(|error| !error.is_retryable());
        if failures.is_empty() {
            return None;
        }
        let mut error = failures.remove(first.unwrap_or(0));
        for mut other in failures {
            let nested = std::mem::take(&mut other.inner.others);
            error.inner.others.push(other);
            error.inner.others.extend(nested);
        }
        Some(error)
    }

    /// The same error with the failures of the other machines changed alike.
    pub(crate) fn with_each_other(mut self, change: impl Fn(Self) -> Self) -> Self {
        let others = std::mem::take(&mut self.inner.others);
        self.inner.others = others.into_iter().map(change).collect();
        self
    }

    /// Sets the server that the error came from, and its address without credentials.
    pub(crate) fn of_server(mut self, origin: Server, address: String) -> Self {
        self.inner.origin = Some(origin);
        self.inner.server = Some(address);
        self
    }

    /// Sets the server and the address as far as they are known.
    pub(crate) fn of_origin(mut self, origin: Option<Server>, address: Option<&str>) -> Self {
        self.inner.origin = origin;
        self.inner.server = address.map(str::to_owned);
        self
    }

    /// Adds what the run had done before the error.
    pub(crate) fn after(mut self, steps: Vec<StepReport>, warnings: Vec<String>) -> Self {
        self.inner.steps = steps;
        self.inner.warnings = warnings;
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

    /// The machine that it happened to, where it happened to one.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.inner.machine.as_deref()
    }

    /// The failures of other machines in the same step, when several were worked on at the same time.
    ///
    /// This error speaks of the first failure that running again does not resolve, else of the first one.
    /// [`is_retryable`](Self::is_retryable), [`is_safe_to_repeat`](Self::is_safe_to_repeat) and
    /// [`may_have_taken_effect`](Self::may_have_taken_effect) speak of all of them.
    #[must_use]
    pub fn others(&self) -> &[Self] {
        &self.inner.others
    }

    /// Which server the error came from.
    #[must_use]
    pub fn origin(&self) -> Option<Server> {
        self.inner.origin
    }

    /// The address of the server that the error came from, without credentials.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.inner.server.as_deref()
    }

    /// What the steps before the error did.
    #[must_use]
    pub fn steps(&self) -> &[StepReport] {
        &self.inner.steps
    }

    /// The warnings of the run before the error.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// What was attempted.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What the operation was attempted on. Never a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The message without operation, target and causes; empty when the source says everything.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What to do about it: for this cause where it is known, else for errors of this kind.
    #[must_use]
    pub fn hint(&self) -> &str {
        match &self.inner.hint {
            Some(hint) => hint,
            None => self.inner.kind.advice(),
        }
    }

    /// All findings about the specification; empty for other kinds.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.inner.diagnostics
    }

    /// Whether a request may have had its effect although its response is missing. Running again is safe even so,
    /// because every step observes before it acts.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        self.inner.may_have_taken_effect || self.others().iter().any(Self::may_have_taken_effect)
    }

    /// Whether running again, with nothing changed, can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let is_passing = matches!(
            self.inner.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Busy
                | ErrorKind::NotReady
                | ErrorKind::Deadline
                | ErrorKind::Server
                | ErrorKind::TaskFailed
        );
        is_passing && self.others().iter().all(Self::is_retryable)
    }

    /// Whether running again can do no harm. It is `false` only where a person has to decide first.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        let is_undecided = matches!(self.inner.kind, ErrorKind::SecretsLost | ErrorKind::NotOurs);
        !is_undecided && self.others().iter().all(Self::is_safe_to_repeat)
    }

    /// The error and its causes in one line, for events.
    pub(crate) fn cause_line(&self) -> String {
        self.joined(Self::own_line)
    }

    /// The error in one line, with the failures of the other machines.
    pub(crate) fn with_others_line(&self) -> String {
        self.joined(Self::to_string)
    }

    fn joined(&self, text: impl Fn(&Self) -> String) -> String {
        let all = std::iter::once(self).chain(self.others());
        let texts: Vec<String> = all.map(text).collect();
        texts.join("; also ")
    }

    /// The error and its causes in one line, without the failures of other machines.
    fn own_line(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str(": ");
            text.push_str(&cause.to_string());
        }
        text
    }

    /// The causes that `Display` does not already contain.
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
        if let Some((origin, address)) = self.origin().zip(self.server()) {
            text.push_str(&format!("\n  server: {origin} at {address}"));
        }
        text.push_str(&format!("\n  hint: {}", self.hint()));
        for other in self.others() {
            text.push_str(&format!("\n  also failed: {}", other.own_line()));
            text.push_str(&format!("\n    hint: {}", other.hint()));
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
    fn failures_of_several_machines_are_one_error_that_tells_all_of_them() {
        let passing = Error::new(ErrorKind::Deadline, "wait").at_machine("tal01".into());
        let lasting = Error::new(ErrorKind::NotOurs, "check the VM").at_machine("tal02".into());
        let third = Error::new(ErrorKind::Timeout, "start")
            .uncertain(true)
            .at_machine("tal03".into());

        let error = Error::of_machines(vec![passing, lasting, third]).unwrap();

        assert_eq!(error.machine(), Some("tal02"));
        let others: Vec<_> = error.others().iter().map(Error::machine).collect();
        assert_eq!(others, [Some("tal01"), Some("tal03")]);
        assert!(!error.is_retryable() && !error.is_safe_to_repeat());
        assert!(error.may_have_taken_effect());
        for text in [error.report(), error.cause_line()] {
            for name in ["tal01", "tal02", "tal03"] {
                assert!(text.contains(name), "{text}");
            }
        }
        assert!(Error::of_machines(Vec::new()).is_none());
    }

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
