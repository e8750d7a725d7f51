//! How a mock node takes a configuration.

use std::sync::Arc;

use secrecy::SecretString;
use tonic::Status;

use super::document::{self, NodeConfig, Refusal};
use super::event::MockEvent;
use super::node::{Command, Mode, Node};
use crate::api::pb::machine as pb;
use crate::api::pb::machine::apply_configuration_request::Mode as ApplyMode;

/// Which server takes the configuration; each has its own rules and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// The maintenance service of v1.10 to v1.12.
    Maintenance,
    /// The machine service, in maintenance mode since v1.13.
    Machine { in_maintenance: bool },
}

pub(super) fn apply(
    node: &Node,
    request: &pb::ApplyConfigurationRequest,
) -> Result<pb::ApplyConfiguration, Status> {
    let in_maintenance = node.mode() == Mode::Maintenance;
    let server = if in_maintenance && node.has_maintenance_service() {
        Server::Maintenance
    } else {
        Server::Machine { in_maintenance }
    };
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

    let mut reply = pb::ApplyConfiguration {
        warnings: accepted.warnings,
        ..Default::default()
    };
    if server != Server::Maintenance {
        reply.mode = mode.into();
        details(mode).clone_into(&mut reply.mode_details);
    }
    if request.dry_run {
        reply.mode_details = dry_run(server, &reply.mode_details);
        return Ok(reply);
    }
    node.events.push(MockEvent::ConfigApplied { text });
    if let Some(config) = accepted.config {
        take(node, config, mode, in_maintenance);
    }
    Ok(reply)
}

fn take(node: &Node, config: NodeConfig, mode: ApplyMode, in_maintenance: bool) {
    node.update(|state| {
        state.config = Some(Arc::new(config));
        if !in_maintenance && mode == ApplyMode::Reboot {
            state.command = Some(Command::Reboot);
        }
    });
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
        )
        | (Server::Machine { .. }, ApplyMode::Auto) => Ok(ApplyMode::NoReboot),
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

fn dry_run(server: Server, details: &str) -> String {
    match server {
        Server::Maintenance => {
            "Dry run summary:\nNode is running in maintenance mode and does not have a config yet."
                .to_owned()
        }
        Server::Machine { .. } => {
            format!(
                "Dry run summary:\n{details} (skipped in dry-run).\nConfig diff:\n\nNo changes."
            )
        }
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
