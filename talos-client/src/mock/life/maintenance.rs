//! Maintenance mode of a mock node.

use std::sync::Arc;

use super::Halt;
use super::identity::{fingerprint, names, no_certificate, no_port};
use crate::api::cosi::Stage;
use crate::mock::event::MockEvent;
use crate::mock::identity::{Identity, Signer};
use crate::mock::node::{Mode, Node};

/// Serves maintenance mode until there is a complete configuration.
pub(super) async fn maintenance(node: &Arc<Node>) -> Result<(), Halt> {
    let signer = Signer::ephemeral().map_err(no_certificate)?;
    let mut names = names(node, &[]);
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let identity = Identity::maintenance(&signer, &names).map_err(no_certificate)?;
    let fingerprint = fingerprint(&identity);
    let tls = identity.anonymous().map_err(no_certificate)?;
    node.update(|state| {
        state.mode = Mode::Maintenance;
        state.stage = Stage::Maintenance;
    });
    node.port.open(tls, node).map_err(no_port)?;
    if let Some(fingerprint) = fingerprint {
        node.events.push(MockEvent::Maintenance { fingerprint });
    }

    node.until(|state| state.config.is_some()).await;
    node.port.close().await;
    node.update(|state| {
        state.mode = Mode::Down;
        state.stage = Stage::Booting;
    });
    Ok(())
}
