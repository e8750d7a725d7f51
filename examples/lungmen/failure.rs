//! Why the program ends with an exit code other than 0.

use std::error::Error as StdError;
use std::time::Duration;

use lungmen_bootstrap::services::presented_fingerprint;
use lungmen_bootstrap::{Diagnostic, ErrorKind, RunOutcome, Server, StepId, StepReport};
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

/// How long a server may take to show its certificate once more.
const LOOK: Duration = Duration::from_secs(5);

/// A failed run, or something that kept it from starting.
#[derive(Debug)]
pub(crate) enum Failure {
    Run(lungmen_bootstrap::Error),
    /// A run that met a certificate that is not trusted, with its SHA-256 fingerprint.
    Untrusted(lungmen_bootstrap::Error, String),
    Other(String),
}

/// A failure in its parts, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// The kind of the error, such as `deadline`; `usage` for what kept the command from starting.
    kind: String,
    /// The server that it came from, and its address.
    origin: Option<Server>,
    server: Option<String>,
    step: Option<StepId>,
    machine: Option<String>,
    /// What was attempted, and on what.
    operation: String,
    target: String,
    /// The error in one line.
    message: String,
    /// Everything that is wrong with the specification.
    problems: Vec<Diagnostic>,
    /// What to do about it.
    hint: String,
    /// The SHA-256 fingerprint of a certificate that is not trusted.
    presented_fingerprint: Option<String>,
    /// Whether running again, with nothing changed, can succeed, and whether it can do no harm.
    retryable: bool,
    safe_to_repeat: bool,
    /// What other machines failed with in the same step.
    others: Vec<String>,
    /// What the run had done before.
    steps: Vec<StepReport>,
    warnings: Vec<String>,
    /// The text for people.
    report: String,
}

impl Failure {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// The same failure with the fingerprint of a certificate that is not trusted, as far as the server shows it.
    pub(crate) async fn explained(self) -> Self {
        let Self::Run(error) = self else {
            return self;
        };
        let is_untrusted = error.kind() == ErrorKind::Certificate;
        let address = error.server().filter(|_| is_untrusted);
        let Some(address) = address.and_then(|address| Url::parse(address).ok()) else {
            return Self::Run(error);
        };
        match presented_fingerprint(&address, LOOK).await {
            Some(fingerprint) => Self::Untrusted(error, fingerprint.to_string()),
            None => Self::Run(error),
        }
    }

    /// The text for people: the chain of causes once, with a hint where there is one.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Run(error) => error.report(),
            Self::Untrusted(error, fingerprint) => format!(
                "{}\n  The server presents SHA-256 {fingerprint}. Compare it with what the server itself shows; if it is the \
                 same, trust it: {}={fingerprint}",
                error.report(),
                variable_of(error.origin())
            ),
            Self::Other(text) => format!("error: {text}"),
        }
    }

    fn error(&self) -> Option<&lungmen_bootstrap::Error> {
        match self {
            Self::Run(error) | Self::Untrusted(error, _) => Some(error),
            Self::Other(_) => None,
        }
    }

    /// The warnings of the run before it failed.
    pub(crate) fn warnings(&self) -> &[String] {
        self.error().map_or(&[], |error| error.warnings())
    }

    /// 3 where only a person allows to go on, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        let kind = self.error().map(lungmen_bootstrap::Error::kind);
        let outcome = match kind {
            Some(ErrorKind::PermissionRequired) => RunOutcome::NeedsPermission,
            _ => RunOutcome::Failed,
        };
        outcome.exit_code()
    }

    pub(crate) fn parts(&self) -> Failed {
        let Some(error) = self.error() else {
            return Failed::usage(self.report());
        };
        let presented_fingerprint = match self {
            Self::Untrusted(_, fingerprint) => Some(fingerprint.clone()),
            _ => None,
        };
        let kind = serde_json::to_value(error.kind()).unwrap_or_default();
        Failed {
            kind: kind.as_str().unwrap_or_default().to_owned(),
            origin: error.origin(),
            server: error.server().map(str::to_owned),
            step: error.step(),
            machine: error.machine().map(str::to_owned),
            operation: error.operation().to_owned(),
            target: error.target().to_owned(),
            message: error.to_string(),
            problems: error.diagnostics().to_vec(),
            hint: error.hint().to_owned(),
            presented_fingerprint,
            retryable: error.is_retryable(),
            safe_to_repeat: error.is_safe_to_repeat(),
            others: error.others().iter().map(ToString::to_string).collect(),
            steps: error.steps().to_vec(),
            warnings: error.warnings().to_vec(),
            report: self.report(),
        }
    }
}

/// The variable that pins the certificate of a server.
fn variable_of(server: Option<Server>) -> &'static str {
    match server {
        Some(Server::ProxmoxVe) => "PROXMOX_VE_FINGERPRINT",
        Some(Server::ImageFactory) => "IMAGE_FACTORY_FINGERPRINT",
        Some(Server::SecretStore) => "BAO_FINGERPRINT",
        Some(Server::ArgoCd) => "ARGOCD_FINGERPRINT",
        _ => "…_FINGERPRINT",
    }
}

impl Failed {
    /// Of something that kept the command from starting. Nothing was changed.
    fn usage(report: String) -> Self {
        Self {
            kind: "usage".to_owned(),
            origin: None,
            server: None,
            step: None,
            machine: None,
            operation: "start the command".to_owned(),
            target: String::new(),
            message: report.trim_start_matches("error: ").to_owned(),
            problems: Vec::new(),
            hint: "Correct the command or the environment. Nothing was changed.".to_owned(),
            presented_fingerprint: None,
            retryable: false,
            safe_to_repeat: true,
            others: Vec::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            report,
        }
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
