//! The state of a mock node, and what follows from it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use tokio::sync::watch;

use super::builder::{BootOrder, Setup};
use super::call::{Calls, Requests};
use super::document::NodeConfig;
use super::event::MockEvent;
use super::fault::FaultQueue;
use super::images::Images;
use super::log::Log;
use super::port::Port;
use super::store::Store;
use super::volumes::Volumes;
use super::{machine_events, resources, services};
use crate::api::cosi::Stage;
use crate::api::pb::machine as pb;
use crate::config::TalosVersion;

/// Which of its two faces the node shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// None: the port is closed.
    Down,
    Maintenance,
    Configured,
}

/// How far etcd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Etcd {
    /// A worker has none.
    Absent,
    /// Waits for the bootstrap.
    Preparing,
    Starting,
    Healthy,
    /// It runs, but its cluster has lost the quorum.
    Unhealthy,
}

/// What somebody wants the node to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Reboot,
    Shutdown {
        is_forced: bool,
    },
    /// Writes another release to the disk, and boots it; reboots first when it is staged.
    Upgrade {
        image: String,
        is_staged: bool,
    },
    /// Boots the release before the last upgrade.
    Rollback,
    /// Wipes what is named.
    Reset {
        wipe: Wipe,
        reboot: bool,
        is_graceful: bool,
    },
}

impl Command {
    /// Whether the node cordons and drains its Kubernetes node first.
    pub(super) const fn drains(&self) -> bool {
        match self {
            Self::Shutdown { is_forced } => !*is_forced,
            Self::Reset { is_graceful, .. } => *is_graceful,
            _ => false,
        }
    }
}

/// What a reset wipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wipe {
    /// The configuration.
    pub(super) state: bool,
    /// The data of etcd and Kubernetes.
    pub(super) data: bool,
    /// Talos itself.
    pub(super) talos: bool,
}

/// The image that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) version: String,
    pub(super) schematic: Option<String>,
    pub(super) extensions: Vec<String>,
}

/// What is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) disk: String,
    pub(super) image: Image,
    /// Whether the boot loader is signed.
    pub(super) is_signed: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) stage: Stage,
    pub(super) image: Image,
    pub(super) installed: Option<Installed>,
    /// The release before the last upgrade.
    pub(super) previous: Option<Image>,
    pub(super) boot_order: BootOrder,
    /// What the platform has for the next boot.
    pub(super) user_data: Option<SecretString>,
    /// The configuration in effect.
    pub(super) config: Option<Arc<NodeConfig>>,
    /// The one on the disk, which the next boot begins with once Talos is installed.
    pub(super) persistent: Option<Arc<NodeConfig>>,
    /// What a configuration that is being tried replaced, and a number that no other trial has.
    pub(super) trial: Option<(u64, Arc<NodeConfig>)>,
    /// How many configurations were tried so far.
    pub(super) trials: u64,
    /// Whether etcd has data; survives a reboot.
    pub(super) has_etcd_data: bool,
    /// The cluster that the member on this node belongs to; 0 for none.
    pub(super) etcd_cluster: u64,
    /// The id of that member; 0 without one.
    pub(super) etcd_member: u64,
    /// Whether that member has a vote; survives a reboot.
    pub(super) is_etcd_voter: bool,
    /// Orders the candidates for the leadership.
    pub(super) etcd_rank: u32,
    pub(super) etcd_alarms: Vec<pb::EtcdMemberAlarm>,
    /// What the etcd member of the node keeps saying while it is cut off.
    pub(super) kept_members: Option<pb::EtcdMembers>,
    /// What was uploaded for a recovery.
    pub(super) recovery_snapshot: Option<Vec<u8>>,
    pub(super) etcd: Etcd,
    pub(super) has_services: bool,
    pub(super) is_time_synced: bool,
    /// How far its clock is ahead of that of this host.
    pub(super) clock_ahead: Duration,
    pub(super) has_static_pods: bool,
    pub(super) is_node_ready: bool,
    pub(super) booted: SystemTime,
    pub(super) next_install_failure: Option<String>,
    pub(super) next_upgrade_failure: Option<String>,
    /// Whether the next release that is installed by an upgrade does not come up.
    pub(super) is_next_release_broken: bool,
    /// Whether the release on the disk does not come up.
    pub(super) is_broken: bool,
    /// The image that an early boot is to install.
    pub(super) staged_upgrade: Option<String>,
    /// The request under which things happen until the node goes down.
    pub(super) actor: String,
    /// How many requests got an id so far.
    pub(super) actors: u64,
    /// Services that were stopped through the API.
    pub(super) stopped_services: Vec<String>,
    pub(super) service_history: services::History,
    pub(super) images: Images,
    pub(super) volumes: Volumes,
    pub(super) meta: std::collections::BTreeMap<u32, Vec<u8>>,
    pub(super) command: Option<Command>,
    pub(super) events: Arc<Log<pb::Event>>,
}

/// A mock node: what it is, its state, and everything that follows from it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) setup: Setup,
    pub(super) port: Port,
    pub(super) store: Store,
    pub(super) calls: Calls,
    pub(super) requests: Requests,
    pub(super) faults: FaultQueue,
    pub(super) events: Arc<Log<MockEvent>>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl State {
    /// Publishes an event under the request that caused it.
    pub(super) fn push(&mut self, mut event: pb::Event) {
        event.actor_id.clone_from(&self.actor);
        self.events.push(event);
    }

    /// Takes a configuration into effect, on the disk too; or none at all.
    pub(super) fn configure(&mut self, config: Option<Arc<NodeConfig>>) {
        self.persistent.clone_from(&config);
        self.config = config;
        self.trial = None;
    }
}

impl Node {
    pub(super) fn new(setup: Setup, port: Port) -> Self {
        let state = State {
            mode: Mode::Down,
            stage: Stage::Unknown,
            image: setup.iso.clone(),
            installed: setup.installed.clone(),
            previous: None,
            boot_order: setup.boot_order,
            user_data: None,
            config: None,
            persistent: None,
            trial: None,
            trials: 0,
            has_etcd_data: false,
            etcd_cluster: 0,
            etcd_member: 0,
            is_etcd_voter: false,
            etcd_rank: 0,
            etcd_alarms: Vec::new(),
            kept_members: None,
            recovery_snapshot: None,
            etcd: Etcd::Absent,
            has_services: false,
            is_time_synced: false,
            clock_ahead: Duration::ZERO,
            has_static_pods: false,
            is_node_ready: false,
            booted: SystemTime::now(),
            next_install_failure: setup.install_failure.clone(),
            next_upgrade_failure: None,
            is_next_release_broken: false,
            is_broken: false,
            staged_upgrade: None,
            actor: String::new(),
            actors: 0,
            stopped_services: Vec::new(),
            service_history: services::History::default(),
            images: Images::default(),
            volumes: setup.volumes.clone(),
            meta: std::collections::BTreeMap::new(),
            command: None,
            events: Log::new(),
        };
        Self {
            setup,
            port,
            store: Store::new(),
            calls: Calls::default(),
            requests: Requests::default(),
            faults: FaultQueue::default(),
            events: Log::new(),
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and publishes what follows: resources, events, and who waits is woken.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, stage) = {
            let mut state = self.state();
            let before = machine_events::Snapshot::of(&state);
            let result = change(&mut state);
            if state.mode != Mode::Down {
                let services = services::current(&state);
                state.service_history.note(services);
            }
            let after = machine_events::Snapshot::of(&state);
            self.store.replace(resources::derive(&self.setup, &state));
            for event in machine_events::between(&before, &after) {
                state.push(event);
            }
            let stage = (before.stage() != after.stage()).then(|| after.stage());
            (result, stage)
        };
        if let Some(stage) = stage {
            self.events.push(MockEvent::StageChanged(stage));
        }
        self.changed.send_replace(());
        self.setup.network.notify();
        result
    }

    /// Waits until the state is as wanted.
    pub(super) async fn until(&self, reached: impl Fn(&State) -> bool) {
        let mut changed = self.changes();
        loop {
            if reached(&self.state()) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells when the state has changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn mode(&self) -> Mode {
        self.state().mode
    }

    pub(super) fn version(&self) -> TalosVersion {
        TalosVersion::parse(&self.state().image.version).unwrap_or_else(|_| TalosVersion::latest())
    }

    /// The release as Talos v1.`minor`.
    pub(super) fn minor(&self) -> u64 {
        self.version().release().minor
    }

    /// Until v1.12 maintenance mode is served by a small server of its own.
    pub(super) fn has_maintenance_service(&self) -> bool {
        let release = self.version().release();
        (release.major, release.minor) < (1, 13)
    }

    /// Whether a value of the `node` header means this node.
    pub(super) fn is_called(&self, name: &str) -> bool {
        match name.parse::<IpAddr>() {
            Ok(address) => self.setup.addresses.contains(&address),
            Err(_) => name == self.hostname(),
        }
    }

    pub(super) fn hostname(&self) -> String {
        hostname(&self.setup, &self.state())
    }

    pub(super) fn config_text(&self) -> Option<SecretString> {
        self.state()
            .config
            .as_ref()
            .map(|config| config.text.clone())
    }
}

pub(super) fn hostname(setup: &Setup, state: &State) -> String {
    state
        .config
        .as_ref()
        .and_then(|config| config.hostname.clone())
        .unwrap_or_else(|| setup.hostname.clone())
}

/// Leaves only what is on the disk.
pub(super) fn power_off(state: &mut State) {
    state.mode = Mode::Down;
    state.stage = Stage::Unknown;
    if state.installed.is_none() {
        state.persistent = None;
    }
    state.config.clone_from(&state.persistent);
    state.trial = None;
    state.etcd = Etcd::Absent;
    state.has_services = false;
    state.is_time_synced = false;
    state.has_static_pods = false;
    state.is_node_ready = false;
    state.stopped_services.clear();
    state.service_history = services::History::default();
    state.command = None;
    state.actor.clear();
    state.events = Log::new();
}
