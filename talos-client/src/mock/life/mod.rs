//! The life of a mock node from power on to power off.

mod configured;
mod identity;
mod install;
mod maintenance;
mod platform;
mod upgrade;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::sleep;

use super::builder::BootOrder;
use super::etcd;
use super::event::MockEvent;
use super::node::{self, Command, Image, Node, Wipe};
use crate::api::cosi::Stage;

use self::configured::configured;
use self::install::{install, installs_itself, uninstalled};
use self::maintenance::maintenance;
use self::platform::configured_by_platform;
use self::upgrade::{fall_back, upgrade};

pub(super) use self::upgrade::write_upgrade;

/// How the next boot begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Through the firmware, which follows the boot order.
    Firmware,
    /// Directly into the installed kernel.
    Kexec,
}

/// What a node does after a boot has come to its end.
enum Next {
    Boot(Start),
    Off,
}

/// Why nothing more happens until somebody acts.
struct Halt(String);

/// Boots again and again, until it is shut down or aborted.
pub(super) async fn live(node: Arc<Node>) {
    let mut start = Start::Firmware;
    loop {
        let next = tokio::select! {
            ended = boot(&node, start) => match ended {
                Ok(next) => next,
                Err(Halt(reason)) => {
                    node.events.push(MockEvent::Halted { reason });
                    obey(&node).await
                }
            },
            next = obey(&node) => next,
        };
        node.port.close().await;
        match next {
            Next::Boot(next) => start = next,
            Next::Off => {
                node.update(node::power_off);
                node.events.push(MockEvent::PoweredOff);
                return;
            }
        }
        node.events.push(MockEvent::Rebooting);
        node.update(node::power_off);
        sleep(node.setup.delays.reboot).await;
    }
}

/// Waits for a command and does what does not need the node to be down.
async fn obey(node: &Arc<Node>) -> Next {
    node.until(|state| state.command.is_some()).await;
    let command = node.update(|state| {
        let command = state.command.take();
        state.stage = match command {
            Some(Command::Shutdown { .. }) => Stage::ShuttingDown,
            Some(Command::Reset { .. }) => Stage::Resetting,
            Some(Command::Upgrade { .. }) => Stage::Upgrading,
            _ => Stage::Rebooting,
        };
        command
    });
    let start = if node.setup.is_secure_boot {
        Start::Firmware
    } else {
        Start::Kexec
    };
    if command.as_ref().is_some_and(Command::drains) {
        node.events.push(MockEvent::Draining);
    }
    match command {
        Some(Command::Shutdown { .. }) => Next::Off,
        Some(Command::Reset {
            wipe,
            reboot,
            is_graceful,
        }) => {
            leave_etcd(node, wipe, is_graceful);
            node.update(|state| {
                if wipe.state {
                    state.configure(None);
                }
                if wipe.data {
                    state.has_etcd_data = false;
                    state.etcd_cluster = 0;
                    state.is_etcd_voter = false;
                }
                if wipe.talos {
                    state.installed = None;
                    state.previous = None;
                }
            });
            node.events.push(MockEvent::Reset);
            if reboot { Next::Boot(start) } else { Next::Off }
        }
        Some(Command::Upgrade {
            image,
            is_staged: true,
        }) => {
            node.update(|state| state.staged_upgrade = Some(image));
            Next::Boot(start)
        }
        Some(Command::Upgrade { image, .. }) => {
            upgrade(node, image).await;
            Next::Boot(start)
        }
        Some(Command::Rollback) => {
            node.update(|state| {
                if let (Some(installed), Some(previous)) =
                    (&mut state.installed, &mut state.previous)
                {
                    std::mem::swap(&mut installed.image, previous);
                }
                state.is_broken = false;
            });
            Next::Boot(start)
        }
        Some(Command::Reboot) | None => Next::Boot(start),
    }
}

/// A graceful reset leaves etcd, as far as that is possible; any other only loses the data of its member.
fn leave_etcd(node: &Arc<Node>, wipe: Wipe, is_graceful: bool) {
    if wipe.data && !(is_graceful && etcd::leave(node).is_ok()) {
        etcd::lose(node);
    }
}

async fn boot(node: &Arc<Node>, start: Start) -> Result<Next, Halt> {
    let (image, from_iso) = load(node, start)?;
    if !from_iso && node.state().is_broken {
        return Ok(fall_back(node).await);
    }
    node.update(|state| {
        state.image = image;
        state.stage = Stage::Booting;
        state.booted = SystemTime::now();
    });
    sleep(node.setup.delays.boot).await;

    // A staged upgrade is done before anything uses the disk, and before the API is up.
    if let Some(image) = node.update(|state| state.staged_upgrade.take()) {
        node.update(|state| state.stage = Stage::Upgrading);
        upgrade(node, image).await;
        return Ok(Next::Boot(start));
    }
    let has_config = node.state().config.is_some();
    if from_iso || !has_config {
        node.update(|state| state.configure(None));
        if !configured_by_platform(node)? {
            maintenance(node).await?;
        }
    }
    let is_installed = node.state().installed.is_some();
    if !is_installed {
        return if installs_itself(node) {
            install(node).await
        } else {
            uninstalled(node).await
        };
    }
    configured(node).await
}

/// What the firmware or the kernel finds to boot.
fn load(node: &Node, start: Start) -> Result<(Image, bool), Halt> {
    let state = node.state();
    let Some(installed) = &state.installed else {
        return match state.boot_order {
            BootOrder::DiskOnly => Err(Halt("no bootable device".to_owned())),
            BootOrder::DiskFirst | BootOrder::IsoFirst => Ok((node.setup.iso.clone(), true)),
        };
    };
    if start == Start::Firmware && state.boot_order == BootOrder::IsoFirst {
        return Err(Halt(
            "Talos is already installed to disk but booted from another media and talos.halt_if_installed kernel \
             parameter is set. Please reboot from the disk."
                .to_owned(),
        ));
    }
    if node.setup.is_secure_boot && !installed.is_signed {
        return Err(Halt(
            "Secure Boot refuses the boot loader on the disk: the installer image is not a secure boot one".to_owned(),
        ));
    }
    Ok((installed.image.clone(), false))
}
