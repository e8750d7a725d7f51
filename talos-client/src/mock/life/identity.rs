//! The certificate with which a mock node opens its port.

use std::sync::Arc;

use super::Halt;
use crate::PublicKeyFingerprint;
use crate::api::certificate::PresentedCertificate;
use crate::mock::document::NodeConfig;
use crate::mock::event::MockEvent;
use crate::mock::identity::{Identity, Signer};
use crate::mock::node::{Mode, Node};

/// Opens the port with the identity of the configuration.
pub(super) fn open_configured(node: &Arc<Node>) -> Result<(), Halt> {
    let config = node.state().config.clone();
    let config = config.ok_or_else(|| Halt("no configuration".to_owned()))?;
    let signer = signer(node, &config).ok_or_else(|| {
        Halt("no server certificate: the configuration has no usable Talos CA key, and trustd is not reachable".to_owned())
    })?;
    let hostname = node.hostname();
    let ahead = node.setup.clock_ahead;
    let identity = signer
        .server(&hostname, &names(node, &config.sans), ahead)
        .map_err(no_certificate)?;
    let tls = identity
        .mutual(&config.client_authorities())
        .map_err(no_certificate)?;
    node.update(|state| state.mode = Mode::Configured);
    node.port.open(tls, node).map_err(no_port)?;
    node.events.push(MockEvent::Configured);
    Ok(())
}

/// A control plane node signs its own certificate, a worker gets its from one.
fn signer(node: &Node, config: &NodeConfig) -> Option<Signer> {
    let own = &config.talos_ca.certificate;
    config.talos_ca.signer().or_else(|| {
        let others = node.setup.network.nodes();
        node.setup.trustd.iter().chain(&others).find_map(|other| {
            let config = other.state().config.clone()?;
            (config.talos_ca.certificate == *own)
                .then(|| config.talos_ca.signer())
                .flatten()
        })
    })
}

pub(super) fn names(node: &Node, more: &[String]) -> Vec<String> {
    let addresses = node.setup.addresses.iter().map(ToString::to_string);
    let mut names: Vec<String> = addresses.chain([node.hostname()]).collect();
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

pub(super) fn fingerprint(identity: &Identity) -> Option<PublicKeyFingerprint> {
    PresentedCertificate::parse(&identity.certificate)
        .ok()
        .map(|certificate| certificate.fingerprint)
}

pub(super) fn no_certificate(error: impl std::fmt::Display) -> Halt {
    Halt(format!("no server certificate: {error}"))
}

pub(super) fn no_port(error: std::io::Error) -> Halt {
    Halt(format!("cannot listen: {error}"))
}
