//! Which server an error came from, and where it is.

use talos_client::Endpoint;

use crate::error::{Error, ErrorKind, Server};
use crate::run::context::Context;
use crate::run::step::StepId;

/// The error with the server that it came from, when it came from one and does not say so yet.
pub(crate) fn located(context: &Context, error: Error) -> Error {
    if is_local(error.kind()) {
        return error;
    }
    let Some(origin) = error.origin().or_else(|| server_of(error.step()?)) else {
        return error;
    };
    let address = match error.server() {
        Some(address) => Some(address.to_owned()),
        None => address(context, origin, error.machine()),
    };
    match address {
        Some(address) => error.of_server(origin, address),
        None => error,
    }
}

/// Whether errors of this kind are found without a server.
fn is_local(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidSpec
            | ErrorKind::Configuration
            | ErrorKind::InvalidInput
            | ErrorKind::SecretsLost
            | ErrorKind::Io
    )
}

/// The server whose state the step observes. Errors of the clients of other servers say where they come from.
fn server_of(step: StepId) -> Option<Server> {
    Some(match step {
        StepId::Claim | StepId::SaveSecrets => Server::SecretStore,
        StepId::Schematic => Server::ImageFactory,
        StepId::Image | StepId::Machine => Server::ProxmoxVe,
        StepId::FirstBoot | StepId::Apply | StepId::EtcdBootstrap => Server::Talos,
        StepId::Kubeconfig | StepId::Verify | StepId::Register => Server::Kubernetes,
        StepId::Applications => Server::ArgoCd,
        StepId::Spec | StepId::Preflight | StepId::Configuration | StepId::MergeTalosconfig => {
            return None;
        }
    })
}

/// The address of the server, without credentials, as far as it is known.
pub(crate) fn address(context: &Context, server: Server, machine: Option<&str>) -> Option<String> {
    let clients = context.clients();
    match server {
        Server::ProxmoxVe => Some(clients.proxmox.endpoint().to_owned()),
        Server::ImageFactory => Some(clients.factory.offline().endpoint().to_string()),
        Server::SecretStore => context.store().server(),
        Server::Talos => {
            let machines = &context.desired().machines;
            let machine = machines
                .iter()
                .find(|known| machine == Some(known.spec.name.as_str()) || machines.len() == 1)?;
            Some(Endpoint::from(machine.spec.address).to_string())
        }
        Server::Kubernetes => Some(context.desired().endpoint.to_string()),
        Server::ArgoCd => Some(clients.argocd.as_ref()?.endpoint().to_string()),
    }
}
