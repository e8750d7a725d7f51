//! The servers of a lab and the state that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use argocd_client::mock::ArgoCdMock;
use factory_client::mock::{FactoryMock, FactoryMockBuilder};
use futures_util::Stream;
use proxmox_client::id::VmId;
use proxmox_client::mock::{PveMock, PveMockBuilder, Route};
use serde::{Deserialize, Serialize};
use talos_client::mock::{Network, TalosMock};
use tokio::task::JoinSet;

use super::argocd;
use super::firmware::NoBoot;
use super::hardware::Places;
use super::pace::{Delays, Pace};
use crate::error::Result;
use crate::mock::kubernetes::KubernetesMock;
use crate::mock::openbao::OpenBaoMock;
use crate::mock::serve::Events;
use crate::openbao;

/// Something that happened in a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabEvent {
    /// A started VM boots the ISO and becomes a Talos node.
    Booted {
        /// The VM.
        vm: VmId,
    },
    /// A started VM does not boot.
    NotBooted {
        /// The VM.
        vm: VmId,
        /// The message on its console.
        reason: String,
    },
    /// The Kubernetes API of the cluster starts.
    KubernetesStarted,
}

/// Address and role of a machine once it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Its address, which is also in its certificate.
    pub(crate) address: IpAddr,
    /// A worker gets its certificate from a control plane node.
    pub(crate) is_worker: bool,
}

/// A VM that has booted, and its node.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) talos: TalosMock,
    /// Its address before it is configured: from DHCP, or from its nocloud drive.
    pub(super) first: IpAddr,
    /// Its address once it is configured.
    pub(super) declared: IpAddr,
    pub(super) has_agent: bool,
    /// The host name that its nocloud drive gives it.
    pub(super) hostname: Option<String>,
    /// The Talos version of its image.
    pub(super) version: String,
}

impl Machine {
    /// Its present address: the configuration changes it.
    pub(super) fn address(&self) -> IpAddr {
        if self.talos.config().is_some() {
            self.declared
        } else {
            self.first
        }
    }
}

#[derive(Default)]
struct LabState {
    expected: BTreeMap<u32, Expected>,
    /// Mounts and paths of the secrets of clusters.
    secrets: BTreeSet<(String, String)>,
    /// The options with which VMs were created.
    options: BTreeMap<VmId, Vec<(String, String)>>,
    machines: BTreeMap<VmId, Machine>,
    kubernetes: Option<KubernetesMock>,
    /// Host and port of the endpoint of the cluster.
    endpoint: Option<(String, u16)>,
}

/// What is not running yet: the servers that a caller may set.
pub(super) struct Hardware {
    pub(super) proxmox: PveMockBuilder,
    /// The places that specifications asked for; `None` when no specification did.
    pub(super) places: Option<Places>,
    pub(super) factory: FactoryMockBuilder,
}

pub(super) struct Servers {
    pub(super) pve: PveMock,
    /// The places of Proxmox VE that specifications asked for.
    pub(super) places: Option<Places>,
    pub(super) factory: FactoryMock,
    pub(super) openbao: OpenBaoMock,
    pub(super) openbao_client: openbao::Client,
    pub(super) argocd: ArgoCdMock,
    /// The network of the nodes: members of one cluster find each other, their authorities distinguish clusters.
    pub(super) network: Network,
    pace: Mutex<Pace>,
    /// While saved servers are restored, there are no delays.
    restoring: Mutex<bool>,
    state: Mutex<LabState>,
    /// What goes on by itself until the lab ends. Each of the tasks holds a node, which holds its ports.
    tasks: Mutex<JoinSet<()>>,
    /// Held while the API server of the cluster starts.
    pub(super) starting: tokio::sync::Mutex<()>,
    events: Events<LabEvent>,
}

impl Servers {
    pub(super) async fn start(
        pace: Pace,
        hardware: Hardware,
        with_applications: bool,
        restoring: bool,
    ) -> Result<Arc<Self>> {
        let delays = pace.delays();
        // Argo CD calls clusters of the same lab.
        let own: Arc<OnceLock<std::sync::Weak<Self>>> = Arc::default();
        let argocd = argocd::start(&delays, with_applications, restoring, Arc::clone(&own)).await;
        let openbao = OpenBaoMock::start().await;
        let servers = Arc::new(Self {
            pve: hardware.proxmox.task_delay(delays.task).start().await,
            places: hardware.places,
            factory: hardware
                .factory
                .build_delay(delays.image_build)
                .start()
                .await,
            openbao_client: openbao.client(),
            openbao,
            argocd,
            network: Network::new(),
            pace: Mutex::new(pace),
            restoring: Mutex::new(restoring),
            state: Mutex::default(),
            tasks: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
            events: Events::default(),
        });
        let _ = own.set(Arc::downgrade(&servers));
        Ok(servers)
    }

    /// Runs work that ends with the lab at the latest. It must not hold the servers while it waits.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    fn lock(&self) -> MutexGuard<'_, LabState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the restoration: from now on the delays are those of the pace.
    pub(super) fn run_at(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
        *self
            .restoring
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
    }

    pub(super) fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delays of servers that start now.
    pub(super) fn delays(&self) -> Delays {
        if *self
            .restoring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            Delays::none()
        } else {
            self.pace().delays()
        }
    }

    /// Adds machines with their addresses and roles.
    pub(super) fn expect(&self, machines: impl IntoIterator<Item = (u32, Expected)>) {
        self.lock().expected.extend(machines);
    }

    pub(super) fn expected(&self) -> BTreeMap<u32, Expected> {
        self.lock().expected.clone()
    }

    /// Adds a secret of a cluster.
    pub(super) fn expect_secret(&self, mount: &str, path: &str) {
        self.lock()
            .secrets
            .insert((mount.to_owned(), path.to_owned()));
    }

    pub(super) fn secret_targets(&self) -> Vec<(String, String)> {
        self.lock().secrets.iter().cloned().collect()
    }

    pub(super) fn remember_options(&self, vm: VmId, options: Vec<(String, String)>) {
        self.lock().options.insert(vm, options);
    }

    /// The options of the VM: those of its creation, or of the saved servers.
    pub(super) fn options_of(&self, vm: VmId) -> Vec<(String, String)> {
        if let Some(options) = self.lock().options.get(&vm) {
            return options.clone();
        }
        let id = vm.to_string();
        let created = self
            .pve
            .calls()
            .into_iter()
            .rev()
            .find(|call| call.route == Route::CreateVm && call.param("vmid") == Some(&id));
        let options: Vec<(String, String)> = created
            .map(|call| call.params)
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, _)| name != "vmid" && name != "node")
            .collect();
        self.remember_options(vm, options.clone());
        options
    }

    pub(super) fn declared_address(&self, vm: VmId, dhcp: IpAddr) -> IpAddr {
        let expected = self.lock().expected.get(&vm.get()).copied();
        expected.map_or(dhcp, |expected| expected.address)
    }

    pub(super) fn is_worker(&self, vm: VmId) -> bool {
        let expected = self.lock().expected.get(&vm.get()).copied();
        expected.is_some_and(|expected| expected.is_worker)
    }

    /// DHCP of the lab: 10.0.2.200 and up.
    pub(super) fn next_dhcp_address(&self) -> IpAddr {
        let taken = u8::try_from(self.lock().machines.len()).unwrap_or(u8::MAX);
        Ipv4Addr::new(10, 0, 2, 200_u8.saturating_add(taken)).into()
    }

    pub(super) fn machine(&self, vm: VmId) -> Option<Machine> {
        self.lock().machines.get(&vm).cloned()
    }

    pub(super) fn machines(&self) -> Vec<(VmId, Machine)> {
        let state = self.lock();
        state
            .machines
            .iter()
            .map(|(vm, machine)| (*vm, machine.clone()))
            .collect()
    }

    pub(super) fn add_machine(&self, vm: VmId, machine: Machine) {
        self.lock().machines.insert(vm, machine);
    }

    pub(super) fn remove_machine(&self, vm: VmId) -> Option<Machine> {
        let mut state = self.lock();
        state.options.remove(&vm);
        state.machines.remove(&vm)
    }

    pub(super) fn talos(&self, vm: VmId) -> Option<TalosMock> {
        self.machine(vm).map(|machine| machine.talos)
    }

    pub(super) fn kubernetes(&self) -> Option<KubernetesMock> {
        self.lock().kubernetes.clone()
    }

    /// Whether this is the endpoint of the cluster: a DNS name, a virtual IP address or a load balancer.
    pub(super) fn is_endpoint(&self, host: &str, port: u16) -> bool {
        let state = self.lock();
        state
            .endpoint
            .as_ref()
            .is_some_and(|(name, number)| name == host && *number == port)
    }

    pub(super) fn set_kubernetes(
        &self,
        kubernetes: KubernetesMock,
        endpoint: Option<(String, u16)>,
    ) {
        {
            let mut state = self.lock();
            state.kubernetes = Some(kubernetes);
            state.endpoint = endpoint;
        }
        self.emit(LabEvent::KubernetesStarted);
    }

    pub(super) fn emit(&self, event: LabEvent) {
        self.events.emit(event);
    }

    pub(super) fn emit_no_boot(&self, vm: VmId, reason: &NoBoot) {
        self.emit(LabEvent::NotBooted {
            vm,
            reason: reason.to_string(),
        });
    }

    pub(super) fn events(&self) -> impl Stream<Item = LabEvent> + Send + use<> {
        self.events.stream()
    }
}
