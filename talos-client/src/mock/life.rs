//! The life of a mock node from power on to power off.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::sleep;

use super::builder::BootOrder;
use super::document::{InstallTarget, NodeConfig};
use super::etcd;
use super::event::MockEvent;
use super::identity::{Identity, Signer};
use super::machine_events;
use super::node::{self, Command, Etcd, Image, Installed, Mode, Node};
use crate::PublicKeyFingerprint;
use crate::api::certificate::PresentedCertificate;
use crate::api::cosi::Stage;

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

/// The phases of an upgrade that come before the installer (v1.10.7).
const UPGRADE_PHASES: [&str; 6] = [
    "drain",
    "cleanup",
    "stopEverything",
    "dbus",
    "unmountUser",
    "upgrade",
];

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
async fn obey(node: &Node) -> Next {
    node.until(|state| state.command.is_some()).await;
    let command = node.update(|state| {
        let command = state.command.take();
        state.stage = match command {
            Some(Command::Shutdown) => Stage::ShuttingDown,
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
    match command {
        Some(Command::Shutdown) => Next::Off,
        Some(Command::Reset { wipe, reboot }) => {
            node.update(|state| {
                if wipe.state {
                    state.configure(None);
                }
                if wipe.data {
                    state.has_etcd_data = false;
                    state.etcd_cluster = 0;
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

/// An upgrade with everything around its installer, phase by phase.
async fn upgrade(node: &Node, image: String) {
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
pub(super) async fn write_upgrade(node: &Node, image: String) -> Result<(), String> {
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
async fn fall_back(node: &Node) -> Next {
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
        maintenance(node).await?;
    }
    let is_installed = node.state().installed.is_some();
    if !is_installed {
        return install(node).await;
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

/// Serves maintenance mode until there is a complete configuration.
async fn maintenance(node: &Arc<Node>) -> Result<(), Halt> {
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

async fn install(node: &Arc<Node>) -> Result<Next, Halt> {
    // From v1.13 on the API comes back with the new identity while the node installs itself.
    if !node.has_maintenance_service() {
        open_configured(node)?;
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

/// Runs as a member of its cluster until another command arrives.
async fn configured(node: &Arc<Node>) -> Result<Next, Halt> {
    let (is_control_plane, has_cni) = {
        let state = node.state();
        let config = state.config.as_ref();
        (
            config.is_some_and(|config| config.is_control_plane),
            config.is_some_and(|config| config.has_cni),
        )
    };
    node.update(|state| {
        state.etcd = if is_control_plane {
            Etcd::Preparing
        } else {
            Etcd::Absent
        };
    });
    open_configured(node)?;
    let delays = node.setup.delays;
    sleep(delays.services).await;
    node.update(|state| state.has_services = true);
    sleep(delays.time_sync).await;
    node.update(|state| state.is_time_synced = true);

    if is_control_plane {
        etcd_data(node).await;
        node.update(|state| state.etcd = Etcd::Starting);
        sleep(delays.etcd).await;
        node.update(|state| state.etcd = Etcd::Healthy);
        node.events.push(MockEvent::EtcdHealthy);
    }
    sleep(delays.kubernetes).await;
    node.update(|state| {
        state.has_static_pods = true;
        state.stage = Stage::Running;
    });
    if has_cni && node.setup.becomes_ready {
        sleep(delays.node_ready).await;
        node.update(|state| state.is_node_ready = true);
    }
    std::future::pending().await
}

/// Waits until the node is bootstrapped, or joins the etcd cluster of another node.
async fn etcd_data(node: &Node) {
    let mut changes = node.setup.network.changes();
    loop {
        if node.state().has_etcd_data {
            return;
        }
        if let Some(cluster) = etcd::joinable(node) {
            node.update(|state| {
                state.has_etcd_data = true;
                state.etcd_cluster = cluster;
            });
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Opens the port with the identity of the configuration.
fn open_configured(node: &Arc<Node>) -> Result<(), Halt> {
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

fn names(node: &Node, more: &[String]) -> Vec<String> {
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

fn fingerprint(identity: &Identity) -> Option<PublicKeyFingerprint> {
    PresentedCertificate::parse(&identity.certificate)
        .ok()
        .map(|certificate| certificate.fingerprint)
}

fn no_certificate(error: impl std::fmt::Display) -> Halt {
    Halt(format!("no server certificate: {error}"))
}

fn no_port(error: std::io::Error) -> Halt {
    Halt(format!("cannot listen: {error}"))
}
