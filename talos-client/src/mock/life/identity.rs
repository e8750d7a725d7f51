//! The certificate with which a mock node opens its port.

use std::sync::Arc;

use super::Halt;
use crate::PublicKeyFingerprint;
use crate::api::certificate::PresentedCertificate;
use crate::mock::document::NodeConfig;
use crate::mock::event::MockEvent;
use crate::mock::identity::{Identity, Signer};
use crate::mock::node::{Mode, Node};

/// Opens the port with the identity of the configuration. A worker waits until a control plane node signs its certificate.
pub(super) async fn open_configured(node: &Arc<Node>) -> Result<(), Halt> {
    let mut network = node.setup.network.changes();
    let trustd = node.setup.trustd.as_ref();
    let mut trustd = trustd.map(|trustd| trustd.changes());
    while !open_if_signed(node)? {
        let trustd = async {
            match &mut trustd {
                Some(changes) => changes.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = network.changed() => {}
            _ = trustd => {}
        }
    }
    Ok(())
}

/// Opens the port, unless the node is a worker and no control plane node is there to sign its certificate.
pub(super) fn open_if_signed(node: &Arc<Node>) -> Result<bool, Halt> {
    let config = node.state().config.clone();
    let config = config.ok_or_else(|| Halt("no configuration".to_owned()))?;
    let Some(signer) = signer(node, &config) else {
        return match config.is_control_plane {
            true => Err(no_certificate(
                "the configuration has no usable Talos CA key",
            )),
            false => Ok(false),
        };
    };
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
    Ok(true)
}

/// A control plane node signs its own certificate, a worker gets its from the trustd of one that runs.
fn signer(node: &Node, config: &NodeConfig) -> Option<Signer> {
    let own = &config.talos_ca.certificate;
    config.talos_ca.signer().or_else(|| {
        let others = node.setup.network.nodes();
        let mut others = node.setup.trustd.iter().chain(&others);
        others.find_map(|other| {
            let state = other.state();
            let config = state
                .config
                .as_ref()
                .filter(|_| state.mode == Mode::Configured)?;
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
