//! How a mock node takes a configuration.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tonic::Status;

use super::document::{self, NodeConfig, Refusal};
use super::event::MockEvent;
use super::immediate;
use super::node::{Command, Mode, Node, State};
use super::text_diff;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::apply_configuration_request::Mode as ApplyMode;
use crate::config::duration_text;

/// Which server takes the configuration; each has its own rules and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// The maintenance service of v1.10 to v1.12.
    Maintenance,
    /// The machine service, in maintenance mode since v1.13.
    Machine { in_maintenance: bool },
}

pub(super) fn apply(
    node: &Arc<Node>,
    request: &pb::ApplyConfigurationRequest,
) -> Result<pb::ApplyConfiguration, Status> {
    let in_maintenance = node.mode() == Mode::Maintenance;
    let server = if in_maintenance && node.has_maintenance_service() {
        Server::Maintenance
    } else {
        Server::Machine { in_maintenance }
    };
    // Whatever comes of it: a request in another mode ends a trial for good, even a dry run.
    if request.mode() != ApplyMode::Try {
        node.update(|state| state.trial = None);
    }
    let mode = effective_mode(node, server, request.mode)?;
    let text: SecretString = String::from_utf8(request.data.clone())
        .map_err(|_| {
            refused(
                Refusal::Unreadable("yaml: invalid UTF-8".to_owned()),
                server,
            )
        })?
        .into();
    let accepted = document::read(&text, &node.version(), &node.setup.platform)
        .map_err(|refusal| refused(refusal, server))?;
    if accepted.config.is_none() && !in_maintenance {
        return Err(Status::invalid_argument(
            "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine \
             config instead?",
        ));
    }

    let config = accepted.config.map(Arc::new);
    let (mode, mut mode_details) = match &config {
        Some(config) => decided(node, server, mode, config)?,
        None => (mode, details(mode).to_owned()),
    };
    if request.dry_run {
        return Ok(dry_run(
            node,
            server,
            mode,
            &mode_details,
            config.as_deref(),
        ));
    }
    node.events.push(MockEvent::ConfigApplied { text });
    let trial = try_timeout(request);
    if let Some(config) = config {
        if mode == ApplyMode::Try {
            let text = format!(
                "\nThe config is applied in 'try' mode and will be automatically reverted back in {}",
                duration_text(trial.as_nanos().try_into().unwrap_or(i64::MAX))
            );
            mode_details.push_str(&text);
        }
        take(node, &config, mode, in_maintenance, trial);
    }
    let mut reply = pb::ApplyConfiguration {
        warnings: accepted.warnings,
        ..Default::default()
    };
    if server != Server::Maintenance {
        reply.mode = mode.into();
        reply.mode_details = mode_details;
    }
    Ok(reply)
}

/// What a mode comes to for this change, with the words for it.
fn decided(
    node: &Node,
    server: Server,
    mode: ApplyMode,
    config: &NodeConfig,
) -> Result<(ApplyMode, String), Status> {
    let current = node.state().config.clone();
    let refusal = match (server, current) {
        // Since v1.14 everything is applied at once.
        (
            Server::Machine {
                in_maintenance: false,
            },
            Some(current),
        ) if node.minor() < 14 => immediate::refusal(&current, config, &node.version()),
        _ => None,
    };
    match (mode, refusal) {
        (ApplyMode::NoReboot | ApplyMode::Try, Some(reason)) => {
            Err(Status::invalid_argument(reason))
        }
        (ApplyMode::Auto, Some(reason)) => Ok((
            ApplyMode::Reboot,
            format!("{}: {reason}", details(ApplyMode::Reboot)),
        )),
        (ApplyMode::Auto, None) if server != Server::Maintenance => {
            Ok((ApplyMode::NoReboot, details(ApplyMode::NoReboot).to_owned()))
        }
        (mode, _) => Ok((mode, details(mode).to_owned())),
    }
}

/// How long a configuration is tried: a minute when the request does not say.
fn try_timeout(request: &pb::ApplyConfigurationRequest) -> Duration {
    let asked = request.try_mode_timeout;
    asked
        .and_then(|timeout| Duration::try_from(timeout).ok())
        .unwrap_or(Duration::from_mins(1))
}

fn take(
    node: &Arc<Node>,
    config: &Arc<NodeConfig>,
    mode: ApplyMode,
    in_maintenance: bool,
    trial: Duration,
) {
    let config = Some(Arc::clone(config));
    let started = node.update(|state| match mode {
        _ if in_maintenance => {
            state.configure(config);
            None
        }
        ApplyMode::Try => {
            let before = state.config.clone()?;
            let number = state.trials.saturating_add(1);
            state.trials = number;
            state.trial = Some((number, before));
            state.config = config;
            Some(number)
        }
        ApplyMode::Staged => {
            state.persistent = config;
            None
        }
        ApplyMode::Reboot => {
            state.persistent = config;
            state.command = Some(Command::Reboot);
            None
        }
        ApplyMode::Auto | ApplyMode::NoReboot => {
            state.configure(config);
            None
        }
    });
    if let Some(number) = started {
        let node = Arc::downgrade(node);
        tokio::spawn(async move {
            tokio::time::sleep(trial).await;
            if let Some(node) = node.upgrade() {
                node.update(|state| take_back(state, number));
            }
        });
    }
}

/// Ends a trial, unless it was confirmed, replaced or forgotten by a reboot.
fn take_back(state: &mut State, number: u64) {
    if let Some((_, before)) = state.trial.take_if(|(current, _)| *current == number) {
        state.config = Some(before);
    }
}

fn effective_mode(node: &Node, server: Server, mode: i32) -> Result<ApplyMode, Status> {
    let mode = ApplyMode::try_from(mode)
        .map_err(|_| Status::invalid_argument(format!("unknown mode {mode}")))?;
    let release = node.version().release();
    match (server, mode) {
        (Server::Maintenance, ApplyMode::NoReboot) => Err(unsupported("no-reboot")),
        (Server::Maintenance, ApplyMode::Staged) => Err(unsupported("staged")),
        (
            Server::Machine {
                in_maintenance: true,
            },
            ApplyMode::Reboot,
        ) => Ok(ApplyMode::NoReboot),
        (Server::Machine { .. }, ApplyMode::Reboot)
            if (release.major, release.minor) >= (1, 14) =>
        {
            Err(Status::unimplemented(
                "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead",
            ))
        }
        (_, mode) => Ok(mode),
    }
}

fn unsupported(mode: &str) -> Status {
    Status::unimplemented(format!(
        "apply configuration --mode='{mode}' is not supported in maintenance mode"
    ))
}

fn details(mode: ApplyMode) -> &'static str {
    match mode {
        ApplyMode::Reboot => "Applied configuration with a reboot",
        ApplyMode::Staged => "Staged configuration to be applied after the next reboot",
        ApplyMode::Auto | ApplyMode::NoReboot | ApplyMode::Try => {
            "Applied configuration without a reboot"
        }
    }
}

/// What a dry run answers: the warnings are left out in every release.
fn dry_run(
    node: &Node,
    server: Server,
    mode: ApplyMode,
    details: &str,
    config: Option<&NodeConfig>,
) -> pb::ApplyConfiguration {
    if server == Server::Maintenance {
        let text =
            "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.";
        return pb::ApplyConfiguration {
            mode_details: text.to_owned(),
            ..Default::default()
        };
    }
    let version = node.version();
    let encoded = |config: &NodeConfig| immediate::encoded(config, &version);
    let current = node.state().config.clone();
    let before = current.as_deref().map(encoded).unwrap_or_default();
    let after = config.map(encoded).unwrap_or_default();
    let mut diff = text_diff::unified(&before, &after);
    if diff.is_empty() {
        "No changes.".clone_into(&mut diff);
    }
    pb::ApplyConfiguration {
        mode: mode.into(),
        mode_details: format!(
            "Dry run summary:\n{details} (skipped in dry-run).\nConfig diff:\n\n{diff}"
        ),
        ..Default::default()
    }
}

/// The maintenance service prefixes what the machine service says plainly.
fn refused(refusal: Refusal, server: Server) -> Status {
    match (refusal, server) {
        (Refusal::Unreadable(text), Server::Maintenance) => {
            Status::unknown(format!("failed to parse config: {text}"))
        }
        (Refusal::Invalid(text), Server::Maintenance) => {
            Status::invalid_argument(format!("configuration validation failed: {text}"))
        }
        (Refusal::Unreadable(text) | Refusal::Invalid(text), Server::Machine { .. }) => {
            Status::invalid_argument(text)
        }
    }
}
