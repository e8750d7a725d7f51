//! The error type of this crate: step, operation, target, cause, and whether running again is safe.

pub(crate) mod from_clients;
mod kind;
mod report;
mod server;
mod several;

use std::error::Error as StdError;
use std::fmt;

pub use kind::ErrorKind;
pub use server::Server;
pub(crate) use several::all_of;

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
    /// Other failures of the same step: of other machines, or found by the same check.
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

    /// Sets the server that the error came from, and its address without credentials.
    pub(crate) fn of_server(mut self, origin: Server, address: String) -> Self {
        self.inner.origin = Some(origin);
        self.inner.server = Some(address);
        self
    }

    /// Sets the server, unless one is set.
    pub(crate) fn at_server(mut self, origin: Server) -> Self {
        self.inner.origin.get_or_insert(origin);
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

    /// Other failures of the same step: of other machines, when several were worked on at the same time, or what else a check
    /// found.
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
