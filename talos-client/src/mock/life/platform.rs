//! The configuration that the platform of a mock node has for it.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::Halt;
use crate::mock::document::{self, Refusal};
use crate::mock::event::MockEvent;
use crate::mock::node::Node;

/// Takes the user data of the platform for the configuration. Returns whether there was a complete one: what another system
/// would read, `#cloud-config`, is none (v1.10.7, `nocloud`).
///
/// # Errors
/// Talos tries user data that it cannot use again and again, without maintenance mode and without a port; only the console
/// tells (v1.10.7, `config.AcquireController`).
pub(super) fn configured_by_platform(node: &Arc<Node>) -> Result<bool, Halt> {
    let Some(text) = node.state().user_data.clone() else {
        return Ok(false);
    };
    let is_for_others = text.expose_secret().lines().next() == Some("#cloud-config");
    if is_for_others || text.expose_secret().is_empty() {
        return Ok(false);
    }
    let accepted = document::read(&text, &node.version(), &node.setup.platform);
    let accepted = accepted.map_err(|refusal| {
        let platform = &node.setup.platform;
        Halt(match refusal {
            Refusal::Unreadable(text) => {
                format!("failed to load config via platform {platform}: {text}")
            }
            Refusal::Invalid(text) => {
                format!("failed to validate config acquired via platform {platform}: {text}")
            }
        })
    })?;
    let Some(config) = accepted.config else {
        return Ok(false);
    };
    node.update(|state| state.configure(Some(Arc::new(config))));
    node.events.push(MockEvent::ConfigApplied { text });
    Ok(true)
}
