//! Installing Talos to the disk of a mock node.

use std::sync::Arc;

use tokio::time::sleep;

use super::identity::{open_configured, open_if_signed};
use super::{Halt, Next, Start};
use crate::api::cosi::Stage;
use crate::mock::document::InstallTarget;
use crate::mock::event::MockEvent;
use crate::mock::node::{Installed, Node};

pub(super) async fn install(node: &Arc<Node>) -> Result<Next, Halt> {
    // From v1.13 on the API comes back with the new identity while the node installs itself.
    if !node.has_maintenance_service() {
        open_if_signed(node)?;
    }
    node.update(|state| state.stage = Stage::Installing);
    sleep(node.setup.delays.install).await;

    match write_disk(node) {
        Ok(installed) => {
            let (disk, image) = (installed.disk.clone(), image_of(node));
            node.update(|state| {
                state.installed = Some(installed);
                state.stage = Stage::Rebooting;
            });
            node.events.push(MockEvent::Installed { disk, image });
        }
        Err(reason) => {
            node.update(|state| {
                state.configure(None);
                state.stage = Stage::Rebooting;
            });
            node.events.push(MockEvent::InstallFailed { reason });
            return Ok(Next::Boot(Start::Firmware));
        }
    }
    Ok(Next::Boot(if node.setup.is_secure_boot {
        Start::Firmware
    } else {
        Start::Kexec
    }))
}

/// From v1.14 on the installation is left to the LifecycleService when the configuration says nothing of it (v1.14.0-rc.1,
/// `Install` of the sequencer).
pub(super) fn installs_itself(node: &Node) -> bool {
    let has_section = {
        let state = node.state();
        let config = state.config.as_ref();
        config.is_some_and(|config| config.install.is_some())
    };
    has_section || node.minor() < 14
}

/// Has its identity and nothing to keep data on, until another command arrives.
pub(super) async fn uninstalled(node: &Arc<Node>) -> Result<Next, Halt> {
    open_configured(node).await?;
    std::future::pending().await
}

fn image_of(node: &Node) -> String {
    let state = node.state();
    let install = state
        .config
        .as_ref()
        .and_then(|config| config.install.as_ref());
    install
        .map(|install| install.image.clone())
        .unwrap_or_default()
}

/// What the installer does, or why it fails.
fn write_disk(node: &Node) -> Result<Installed, String> {
    let (failure, config) = {
        let mut state = node.state();
        (state.next_install_failure.take(), state.config.clone())
    };
    if let Some(reason) = failure {
        return Err(reason);
    }
    let install = config
        .as_ref()
        .and_then(|config| config.install.as_ref())
        .ok_or("no install section")?;
    let usable = |device: &str| {
        let disk = node.setup.disks.iter().find(|disk| disk.device == device);
        disk.is_some_and(|disk| disk.is_installable())
    };
    let disk = match &install.target {
        InstallTarget::Disk(device) if usable(device) => device.clone(),
        InstallTarget::Disk(device) => {
            return Err(format!("failed to open blockdevice {device:?}"));
        }
        InstallTarget::Selector => node
            .setup
            .disks
            .iter()
            .find(|disk| disk.is_installable())
            .map(|disk| disk.device.clone())
            .ok_or("no disks matched the expression")?,
        InstallTarget::Missing => return Err("no disk to install to".to_owned()),
    };
    Ok(Installed {
        disk,
        image: node.setup.installed_image(&install.image),
        is_signed: install.image.contains("-secureboot"),
    })
}
