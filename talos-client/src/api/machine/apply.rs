//! Sending a machine configuration.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::reply::only;
use super::{Machine, machine_service};
use crate::api::channel::{Call, Transport};
use crate::api::pb::machine as pb;
use crate::{Code, Error, ErrorKind, Result};

const OPERATION: &str = "apply configuration";

/// Beginnings of the messages that say the text could not be read, as opposed to being read and found wrong.
const UNREADABLE: [&str; 7] = [
    "failed to parse config",
    "unknown keys found during decoding",
    "config not found",
    "duplicate document",
    "decode error",
    "missing kind",
    "not registered",
];

/// When a configuration takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApplyMode {
    /// At once, or with a reboot if a change needs one. The only mode that works in every mode of every version.
    #[default]
    Auto,
    /// At once or not at all.
    NoReboot,
    /// With a reboot; refused from v1.14 on.
    Reboot,
    /// With the next reboot.
    Staged,
    /// At once, and taken back after a time.
    Try,
}

impl ApplyMode {
    fn to_wire(self) -> pb::apply_configuration_request::Mode {
        use pb::apply_configuration_request::Mode;
        match self {
            Self::Auto => Mode::Auto,
            Self::NoReboot => Mode::NoReboot,
            Self::Reboot => Mode::Reboot,
            Self::Staged => Mode::Staged,
            Self::Try => Mode::Try,
        }
    }

    fn from_wire(mode: i32) -> Option<Self> {
        use pb::apply_configuration_request::Mode;
        Some(match Mode::try_from(mode).ok()? {
            Mode::Auto => Self::Auto,
            Mode::NoReboot => Self::NoReboot,
            Mode::Reboot => Self::Reboot,
            Mode::Staged => Self::Staged,
            Mode::Try => Self::Try,
        })
    }
}

/// How to apply a configuration; mode [`ApplyMode::Auto`], for real, unless set otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct ApplyOptions {
    mode: ApplyMode,
    dry_run: bool,
    try_timeout: Duration,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            mode: ApplyMode::default(),
            dry_run: false,
            try_timeout: Duration::from_mins(1),
        }
    }
}

impl ApplyOptions {
    /// When the configuration takes effect.
    pub fn mode(mut self, mode: ApplyMode) -> Self {
        self.mode = mode;
        self
    }

    /// Only checks the configuration and says what would happen.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// The mode, as it was set.
    pub(crate) fn requested(&self) -> ApplyMode {
        self.mode
    }

    /// After what time [`ApplyMode::Try`] takes the configuration back; one minute by default.
    pub fn try_timeout(mut self, timeout: Duration) -> Self {
        self.try_timeout = timeout;
        self
    }
}

/// What the node says it will do with an accepted configuration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Applied {
    /// The effective mode. `None` from the maintenance service of v1.10 to v1.12, which does not say.
    pub mode: Option<ApplyMode>,
    /// What the node finds unusual in the configuration.
    pub warnings: Vec<String>,
    /// The node's description; a dry run of a configured node quotes the differences, secrets included.
    pub details: SecretString,
}

impl Machine {
    /// Replaces the configuration of a running machine. Needs `os:admin`.
    ///
    /// It may be repeated with the same text. With a reboot the answer comes before the machine goes down.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDocument`] and [`ErrorKind::Validation`] for the text,
    /// [`ErrorKind::Rejected`] when the change does not fit the mode, [`ErrorKind::Unsupported`] for a mode this
    /// version does not have, [`ErrorKind::Busy`] while another configuration is being applied.
    pub async fn apply_configuration(
        &self,
        config: &SecretString,
        options: ApplyOptions,
    ) -> Result<Applied> {
        apply(&self.transport, config, options).await
    }
}

pub(crate) async fn apply(
    transport: &Transport,
    config: &SecretString,
    options: ApplyOptions,
) -> Result<Applied> {
    let call = Call::change(OPERATION).at_least(Duration::from_secs(30));
    let reply = transport
        .call(call, |service| async move {
            let request = request(config, options);
            machine_service(service).apply_configuration(request).await
        })
        .await
        .map_err(refine)?;
    let message = only(transport, OPERATION, reply)?;

    // Without a word of explanation the zero mode is no statement.
    let silent = message.mode == 0 && message.mode_details.is_empty();
    Ok(Applied {
        mode: (!silent)
            .then(|| ApplyMode::from_wire(message.mode))
            .flatten(),
        warnings: message.warnings,
        details: message.mode_details.into(),
    })
}

fn request(config: &SecretString, options: ApplyOptions) -> pb::ApplyConfigurationRequest {
    pb::ApplyConfigurationRequest {
        data: config.expose_secret().as_bytes().to_vec(),
        mode: options.mode.to_wire().into(),
        dry_run: options.dry_run,
        try_mode_timeout: prost_types::Duration::try_from(options.try_timeout).ok(),
    }
}

/// Tells a text that cannot be read from one that breaks a rule, across the versions' ways to say so.
fn refine(error: Error) -> Error {
    let kind = match error.code() {
        Some(Code::Unknown | Code::InvalidArgument) if is_unreadable(error.message()) => {
            ErrorKind::InvalidDocument
        }
        Some(Code::InvalidArgument) if error.message().contains("in immediate mode") => {
            ErrorKind::Rejected
        }
        Some(Code::InvalidArgument) => ErrorKind::Validation,
        Some(Code::FailedPrecondition) if error.message().contains("already in progress") => {
            ErrorKind::Busy
        }
        _ => error.kind(),
    };
    let message = without_values(error.message());
    error.with_kind(kind).with_message(message)
}

fn is_unreadable(message: &str) -> bool {
    UNREADABLE.iter().any(|text| message.contains(text))
}

/// Keeps the reason of a refusal and drops the parts of the configuration that nodes quote after it.
fn without_values(message: &str) -> String {
    if let Some((reason, _)) = message.split_once("\ndiff:") {
        return reason.to_owned();
    }
    let Some((reason, quoted)) = message.split_once("during decoding:") else {
        return message.to_owned();
    };
    let keys = quoted.lines().map(|line| match line.split_once(':') {
        Some((key, _)) => format!("{key}:"),
        None => String::new(),
    });
    let keys: Vec<String> = keys.filter(|line| !line.is_empty()).collect();
    format!("{reason}during decoding:\n{}", keys.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::from_code;

    fn refined(code: Code, message: &str) -> Error {
        refine(from_code(OPERATION, code, message))
    }

    #[test]
    fn refusals_of_all_versions_get_the_same_kinds() {
        for (code, message, expected) in [
            (
                Code::Unknown,
                "failed to parse config: config not found",
                ErrorKind::InvalidDocument,
            ),
            (
                Code::InvalidArgument,
                "duplicate document: /v1alpha1//",
                ErrorKind::InvalidDocument,
            ),
            (
                Code::InvalidArgument,
                "configuration validation failed: 1 error occurred:\n\t* x",
                ErrorKind::Validation,
            ),
            (
                Code::InvalidArgument,
                "runtime configuration validation failed: x",
                ErrorKind::Validation,
            ),
            (
                Code::InvalidArgument,
                "this config change can't be applied in immediate mode",
                ErrorKind::Rejected,
            ),
            (
                Code::Unimplemented,
                "apply configuration --mode='staged' is not supported in maintenance mode",
                ErrorKind::Unsupported,
            ),
            (
                Code::FailedPrecondition,
                "another apply configuration is already in progress",
                ErrorKind::Busy,
            ),
            (Code::Unknown, "disk is gone", ErrorKind::Server),
        ] {
            assert_eq!(refined(code, message).kind(), expected, "{message}");
        }
    }

    #[test]
    fn what_the_node_quotes_from_the_configuration_is_not_repeated() {
        let unknown = "failed to parse config: unknown keys found during decoding:\nmachine:\n    tokn: s3cret\n";
        let diff = "this config change can't be applied in immediate mode\ndiff:\n- token: s3cret";

        for message in [unknown, diff] {
            let error = refined(Code::InvalidArgument, message);

            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert_eq!(
            refined(Code::Unknown, unknown).message(),
            "failed to parse config: unknown keys found during decoding:\nmachine:\n    tokn:"
        );
    }

    #[test]
    fn the_mode_is_always_on_the_wire() {
        let request = request(&"x".into(), ApplyOptions::default());

        assert_eq!(request.mode, 1);
        assert!(!request.dry_run);
    }
}
