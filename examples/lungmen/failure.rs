//! Why the program ends with an exit code other than 0.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use lungmen_bootstrap::services::presented_fingerprint;
use lungmen_bootstrap::{Diagnostic, ErrorKind, RunOutcome, Server, StepId, StepReport};
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use crate::environment::{ARGOCD, FACTORY, OPENBAO, PROXMOX};

/// How long a server may take to show its certificate once more.
const LOOK: Duration = Duration::from_secs(5);

/// A failed run, or something that kept it from starting.
#[derive(Debug)]
pub(crate) enum Failure {
    Run(lungmen_bootstrap::Error),
    /// A run that met certificates that are not trusted.
    Untrusted(lungmen_bootstrap::Error, Vec<Presented>),
    Other(String),
}

/// A certificate that is not trusted, as its server presents it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Presented {
    /// The server, and its address.
    origin: Option<Server>,
    server: String,
    /// The SHA-256 fingerprint of the certificate.
    fingerprint: String,
    /// The variable that pins it, once it was compared.
    variable: String,
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
    /// The certificates that are not trusted.
    untrusted: Vec<Presented>,
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

    /// The same failure with the fingerprints of the certificates that are not trusted, as far as the servers show them.
    pub(crate) async fn explained(self) -> Self {
        let Self::Run(error) = self else {
            return self;
        };
        let all = std::iter::once(&error).chain(error.others());
        let looks = join_all(all.map(Presented::of)).await;
        let presented: Vec<Presented> = looks.into_iter().flatten().collect();
        match presented.is_empty() {
            true => Self::Run(error),
            false => Self::Untrusted(error, presented),
        }
    }

    /// The text for people: the chain of causes once, with a hint where there is one.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Run(error) => error.report(),
            Self::Untrusted(error, presented) => {
                let lines = presented.iter().map(ToString::to_string);
                std::iter::once(error.report())
                    .chain(lines)
                    .collect::<Vec<_>>()
                    .join("\n  ")
            }
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
        let untrusted = match self {
            Self::Untrusted(_, presented) => presented.clone(),
            _ => Vec::new(),
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
            untrusted,
            retryable: error.is_retryable(),
            safe_to_repeat: error.is_safe_to_repeat(),
            others: error.others().iter().map(ToString::to_string).collect(),
            steps: error.steps().to_vec(),
            warnings: error.warnings().to_vec(),
            report: self.report(),
        }
    }
}

impl Presented {
    /// Asks the server of the error for its certificate once more, where that is what was wrong.
    async fn of(error: &lungmen_bootstrap::Error) -> Option<Self> {
        let is_untrusted = error.kind() == ErrorKind::Certificate;
        let server = error.server().filter(|_| is_untrusted)?;
        let fingerprint = presented_fingerprint(&Url::parse(server).ok()?, LOOK).await?;
        Some(Self {
            origin: error.origin(),
            server: server.to_owned(),
            fingerprint: fingerprint.to_string(),
            variable: variable_of(error.origin()).to_owned(),
        })
    }
}

impl fmt::Display for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            fingerprint,
            variable,
            ..
        } = self;
        write!(
            f,
            "{server} presents SHA-256 {fingerprint}. Compare it with what the server itself shows; if it is the same, \
             trust it: {variable}={fingerprint}"
        )
    }
}

/// The variable that pins the certificate of a server.
fn variable_of(server: Option<Server>) -> &'static str {
    match server {
        Some(Server::ProxmoxVe) => PROXMOX.pin(),
        Some(Server::ImageFactory) => FACTORY.pin(),
        Some(Server::SecretStore) => OPENBAO.pin(),
        Some(Server::ArgoCd) => ARGOCD.pin(),
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
            untrusted: Vec::new(),
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
