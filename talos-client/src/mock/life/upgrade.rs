//! Upgrades of a mock node, and what becomes of them.

use tokio::time::sleep;

use super::{Next, Start};
use crate::mock::event::MockEvent;
use crate::mock::machine_events;
use crate::mock::node::Node;

/// The phases of an upgrade that come before the installer (v1.10.7).
const UPGRADE_PHASES: [&str; 6] = [
    "drain",
    "cleanup",
    "stopEverything",
    "dbus",
    "unmountUser",
    "upgrade",
];

/// An upgrade with everything around its installer, phase by phase.
pub(super) async fn upgrade(node: &Node, image: String) {
    for phase in UPGRADE_PHASES {
        node.update(|state| state.push(machine_events::phase(phase)));
    }
    if let Err(reason) = write_upgrade(node, image).await {
        node.update(|state| state.push(machine_events::fatal("upgrade", &reason)));
        // The countdown before the reboot.
        sleep(node.setup.delays.reboot).await;
    }
}

/// What the installer of an upgrade does, or why it fails.
pub(in crate::mock) async fn write_upgrade(node: &Node, image: String) -> Result<(), String> {
    sleep(node.setup.delays.install).await;
    let failure = node.update(|state| {
        let failure = state.next_upgrade_failure.take();
        if let (None, Some(installed)) = (&failure, &mut state.installed) {
            let new = node.setup.installed_image(&image);
            state.previous = Some(std::mem::replace(&mut installed.image, new));
            installed.is_signed = image.contains("-secureboot");
            state.is_broken = std::mem::take(&mut state.is_next_release_broken);
        }
        failure
    });
    if let Some(reason) = failure {
        let event = MockEvent::UpgradeFailed {
            reason: reason.clone(),
        };
        node.events.push(event);
        return Err(reason);
    }
    node.events.push(MockEvent::Upgraded { image });
    Ok(())
}

/// The boot loader starts the other release when the new one does not come up, without a word.
pub(super) async fn fall_back(node: &Node) -> Next {
    sleep(node.setup.delays.boot).await;
    node.update(|state| {
        if let (Some(installed), Some(previous)) = (&mut state.installed, &mut state.previous) {
            std::mem::swap(&mut installed.image, previous);
        }
        state.is_broken = false;
    });
    node.events.push(MockEvent::RolledBack);
    Next::Boot(Start::Firmware)
}
