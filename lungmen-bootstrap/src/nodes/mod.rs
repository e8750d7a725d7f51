//! The Talos nodes of the cluster: where they are and who answers there.

pub(crate) mod each;
pub(crate) mod etcd;
pub(crate) mod evidence;
pub(crate) mod found;
pub(crate) mod identity;
pub(crate) mod installed;
pub(crate) mod members;
pub(crate) mod owned;
pub(crate) mod progress;
pub(crate) mod proxmox_task;
pub(crate) mod search;

use std::net::IpAddr;
use std::time::Duration;

use talos_client::{Client, Endpoint, Poll, PresentedCertificate, WaitState};

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::wait::first_interval;

/// How long one probe of a port may take.
pub(crate) const PROBE: Duration = Duration::from_secs(3);

/// The Talos API of the node at `address`.
pub(crate) fn endpoint(context: &Context, address: IpAddr) -> Endpoint {
    let endpoint = Endpoint::from(address);
    match context.dial(&endpoint.host(), endpoint.port()) {
        Some(socket) => endpoint.dial(socket),
        None => endpoint,
    }
}

/// A client for a configured node.
pub(crate) fn client(
    context: &Context,
    identity: &Identity,
    machine: &DesiredMachine,
) -> Result<Client> {
    let endpoint = endpoint(context, machine.spec.address);
    Ok(Client::builder(endpoint, identity.credentials())
        .timeout(context.timing().request)
        .build()?)
}

/// The intervals and the deadline of a wait of the Talos client.
pub(crate) fn poll(context: &Context, deadline: Duration) -> Poll {
    let longest = context.timing().interval;
    Poll::every(first_interval(longest))
        .up_to(longest)
        .deadline(deadline)
}

/// Reports the state of a wait of the Talos client.
pub(crate) fn reporter(
    context: &Context,
    deadline: Duration,
) -> impl FnMut(&WaitState) + Send + use<> {
    let context = context.clone();
    move |state| {
        context.emit(EventKind::Waiting {
            waiting_for: state.waiting_for.to_string(),
            cause: state.cause.clone(),
            attempt: state.attempt,
            elapsed: state.elapsed,
            deadline,
        });
    }
}

/// What answers at the address of the machine belongs to something else.
pub(crate) fn foreign(machine: &DesiredMachine, certificate: &PresentedCertificate) -> Error {
    Error::new(ErrorKind::NotOurs, "check the node")
        .with_target(format!("{} at {}", machine.spec.name, machine.spec.address))
        .with_message(format!(
            "another cluster or service answers there, with a certificate of {}",
            certificate.subject
        ))
        .with_hint("Set machines[].address to one that is free for this machine. Nothing was sent to the other service.")
}
