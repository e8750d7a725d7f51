//! The Talos nodes of the cluster: where they are and who answers there.

pub(crate) mod identity;
pub(crate) mod proxmox_task;

use std::net::IpAddr;
use std::time::Duration;

use talos_client::wait::WaitState;
use talos_client::{Client, Endpoint, Poll, PresentedCertificate};

use crate::desired::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::identity::Identity;
use crate::run::context::World;
use crate::run::event::EventKind;

/// How long one look at a port may take.
pub(crate) const PROBE: Duration = Duration::from_secs(3);

/// The Talos API of the node at `address`.
pub(crate) fn endpoint(world: &World, address: IpAddr) -> Endpoint {
    let endpoint = Endpoint::from(address);
    match world.dial(&endpoint.host(), endpoint.port()) {
        Some(socket) => endpoint.dial(socket),
        None => endpoint,
    }
}

/// A client for a configured node.
pub(crate) fn client(world: &World, identity: &Identity, machine: &Machine) -> Result<Client> {
    let endpoint = endpoint(world, machine.spec.address);
    Ok(Client::builder(endpoint, identity.credentials()).build()?)
}

/// How often and how long a wait of the Talos client looks.
pub(crate) fn poll(world: &World, deadline: Duration) -> Poll {
    Poll::every(world.timing().interval).within(deadline)
}

/// Tells how a wait of the Talos client stands.
pub(crate) fn reporter(world: &World, machine: &Machine) -> impl FnMut(&WaitState) + Send + use<> {
    let (world, name) = (world.clone(), machine.spec.name.clone());
    move |state| {
        world.emit(EventKind::Waiting {
            waiting_for: format!("{} of {name}", state.waiting_for),
            because: state.because.clone(),
            attempt: state.attempt,
        });
    }
}

/// What answers at the address of the machine belongs to something else.
pub(crate) fn foreign(machine: &Machine, certificate: &PresentedCertificate) -> Error {
    Error::new(ErrorKind::NotOurs, "look at the node")
        .with_target(format!("{} at {}", machine.spec.name, machine.spec.address))
        .with_message(format!(
            "another cluster or service answers there, with a certificate of {}",
            certificate.subject
        ))
        .with_hint("machines[].address must be free for this machine; nothing was sent to what answers there")
}
