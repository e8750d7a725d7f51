//! Every server of the chain in one process, connected to each other.
//!
//! A started VM boots by its boot order and becomes a Talos node in maintenance mode. An applied configuration installs it,
//! and it returns with the certificate authority *of that configuration*. A bootstrap starts etcd and then the Kubernetes
//! API, with the certificates of the same configuration. Argo CD calls the new cluster before it registers it, and its
//! applications become healthy. A VM that would not boot on hardware does not boot here.

mod address_book;
mod argocd;
mod cluster;
mod firmware;
mod hardware;
mod nocloud;
mod node;
mod pace;
mod servers;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use argocd_client::mock::ArgoCdMock;
use factory_client::mock::{FactoryMock, FactoryMockBuilder};
use futures_util::Stream;
use proxmox_client::id::VmId;
use proxmox_client::mock::{PveMock, PveMockBuilder};
use talos_client::mock::TalosMock;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::mock::kubernetes::KubernetesMock;
use crate::mock::openbao::OpenBaoMock;
use crate::run::builder::ClusterBootstrapBuilder;
use crate::run::timing::Timing;
use crate::spec::Spec;

pub use pace::Pace;
pub(crate) use servers::Expected;
pub use servers::LabEvent;

use address_book::LabAddresses;
use hardware::Places;
use servers::{Hardware, Servers};
use state::{Saved, StateFile};

/// The lab. Its servers stop when it is dropped.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lungmen_bootstrap::mock::Lab;
/// use lungmen_bootstrap::{Spec, StepId};
///
/// let spec = Spec::load(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/example/lungmen.yaml"))?;
/// let output = tempfile::tempdir()?;
/// let lab = Lab::start().await?;
///
/// let bootstrap = lab.bootstrap(spec).output(output.path()).build()?;
/// bootstrap.run_until(StepId::Machine).await?;
///
/// assert_eq!(lab.proxmox().vm_ids().len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Lab {
    servers: Arc<Servers>,
    state: Option<Arc<StateFile>>,
    // Dropped before the servers.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("proxmox", &self.servers.pve.endpoint().as_str())
            .finish_non_exhaustive()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.save(&self.servers);
        }
    }
}

/// Builder for a [`Lab`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing before `start`"]
pub struct LabBuilder {
    pace: Pace,
    proxmox: Option<PveMockBuilder>,
    factory: Option<FactoryMockBuilder>,
    spec: Option<Spec>,
    state: Option<PathBuf>,
    snippets: BTreeMap<String, PathBuf>,
    without_applications: bool,
}

impl LabBuilder {
    /// Sets how long things take; milliseconds by default.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Sets the Proxmox VE. The default has node `pve-01`, storages `local` and `nvme-lvm`, bridges `vmbr0` and `vmbr1`, and
    /// the token of an administrator.
    pub fn proxmox(mut self, builder: PveMockBuilder) -> Self {
        self.proxmox = Some(builder);
        self
    }

    /// Sets the Image Factory; the pace of the lab decides how long it builds.
    pub fn factory(mut self, builder: FactoryMockBuilder) -> Self {
        self.factory = Some(builder);
        self
    }

    /// Gives Proxmox VE the nodes, storages and bridges of this specification, unless [`proxmox`](Self::proxmox) sets one.
    /// With a [`state`](Self::state) file it keeps those of earlier specifications, because machines may still be there.
    pub fn spec(mut self, spec: &Spec) -> Self {
        self.spec = Some(spec.clone());
        self
    }

    /// Gives a storage for snippets of the specification its folder: the one that the bootstrap writes into. No effect with
    /// [`proxmox`](Self::proxmox), whose storages have folders of their own.
    pub fn snippets(mut self, storage: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.snippets.insert(storage.into(), folder.into());
        self
    }

    /// Keeps the simulated servers in a file, so that the next process finds them as this one left them. The file has mode
    /// 0600, because it contains the secrets of the simulated cluster, and says that everything in it is simulated.
    pub fn state(mut self, file: impl Into<PathBuf>) -> Self {
        self.state = Some(file.into());
        self
    }

    /// Creates no application for registered clusters.
    pub fn without_applications(mut self) -> Self {
        self.without_applications = true;
        self
    }

    /// Starts all servers on the loopback interface.
    ///
    /// # Errors
    /// `Io` and `Decode` when the state file cannot be read; `InvalidSpec` with every finding about the specification
    /// when a name in it cannot be one of Proxmox VE; `Server` when the saved state cannot be restored.
    pub async fn start(self) -> Result<Lab> {
        let file = self.state.map(|path| Arc::new(StateFile::new(path)));
        let saved = file.as_ref().map(|file| file.load()).transpose()?.flatten();
        let restoring = saved.is_some();
        let earlier = saved.as_ref().and_then(Saved::places);
        let places = match (&self.spec, earlier) {
            (Some(spec), earlier) => Some(Places::of(spec).and(earlier.unwrap_or_default())),
            (None, earlier) => earlier,
        };
        let proxmox = match (self.proxmox, &places) {
            (Some(builder), _) => builder,
            (None, Some(places)) => match places.proxmox(&self.snippets) {
                Ok(builder) => builder,
                Err(error) => return Err(all_findings(self.spec).unwrap_or(error)),
            },
            (None, None) => PveMock::builder(),
        };
        let hardware = Hardware {
            proxmox,
            places,
            factory: self.factory.unwrap_or_else(FactoryMock::builder),
        };
        let servers =
            Servers::start(self.pace, hardware, !self.without_applications, restoring).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(node::follow_machines(Arc::clone(&servers)));
        if let Some(saved) = saved {
            state::restore(&servers, saved).await?;
        }
        servers.run_at(self.pace);
        if let Some(file) = &file {
            tasks.spawn(state::keep(Arc::clone(file), Arc::clone(&servers)));
        }
        Ok(Lab {
            servers,
            state: file,
            _tasks: tasks,
        })
    }
}

/// Everything that is wrong with a specification of which one place has a wrong name.
fn all_findings(spec: Option<Spec>) -> Option<Error> {
    spec?.bootstrap().outline().err()
}

impl Lab {
    /// Starts a lab in which everything takes milliseconds.
    ///
    /// # Errors
    /// `Failed` when a server cannot start.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Starts with other settings.
    pub fn builder() -> LabBuilder {
        LabBuilder::default()
    }

    /// A bootstrap of the specification with clients of all servers of the lab, its addresses and its timing.
    pub fn bootstrap(&self, spec: Spec) -> ClusterBootstrapBuilder {
        self.connect(spec.bootstrap())
    }

    /// Sets the clients, addresses and timing of a builder to those of the lab.
    pub fn connect(&self, builder: ClusterBootstrapBuilder) -> ClusterBootstrapBuilder {
        let servers = &self.servers;
        servers.expect(builder.expected_machines());
        if let Some(target) = builder.openbao_target() {
            servers.expect_secret(&target.mount, &target.path);
        }
        builder
            .proxmox(servers.pve.client())
            .factory(servers.factory.client())
            .openbao_client(servers.openbao_client.clone())
            .argocd_client(servers.argocd.client())
            .address_book(LabAddresses::of(servers))
            .timing(self.timing())
    }

    /// Deadlines and intervals for the pace of the lab.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.servers.pace().timing()
    }

    /// Proxmox VE.
    #[must_use]
    pub fn proxmox(&self) -> &PveMock {
        &self.servers.pve
    }

    /// The Image Factory.
    #[must_use]
    pub fn factory(&self) -> &FactoryMock {
        &self.servers.factory
    }

    /// OpenBao.
    #[must_use]
    pub fn openbao(&self) -> &OpenBaoMock {
        &self.servers.openbao
    }

    /// Argo CD.
    #[must_use]
    pub fn argocd(&self) -> &ArgoCdMock {
        &self.servers.argocd
    }

    /// The Talos node in a VM; `None` before its first boot.
    #[must_use]
    pub fn talos(&self, vm: VmId) -> Option<TalosMock> {
        self.servers.talos(vm)
    }

    /// The Kubernetes API of the cluster; `None` before etcd is healthy.
    #[must_use]
    pub fn kubernetes(&self) -> Option<KubernetesMock> {
        self.servers.kubernetes()
    }

    /// What happens from now on.
    pub fn events(&self) -> impl Stream<Item = LabEvent> + Send + use<> {
        self.servers.events()
    }
}
