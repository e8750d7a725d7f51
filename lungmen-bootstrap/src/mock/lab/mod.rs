//! Every server of the chain in one process, wired into one world.
//!
//! A started VM boots what its boot order says and becomes a Talos node in maintenance mode; an applied configuration
//! installs it, and it comes back with the certificate authority *of that configuration*; a bootstrap brings etcd and
//! then the Kubernetes API, with the certificates of the same configuration; Argo CD really calls the new cluster before
//! it registers it, and its applications become healthy. A VM that would not boot on hardware does not boot here.

mod address_book;
mod argocd;
mod cluster;
mod firmware;
mod node;
mod pace;
mod state;
mod world;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use argocd_client::mock::ArgoCdMock;
use factory_client::mock::FactoryMock;
use proxmox_client::id::VmId;
use proxmox_client::mock::{PveMock, PveMockBuilder};
use talos_client::mock::TalosMock;
use tokio::task::JoinSet;

use crate::error::Result;
use crate::mock::kubernetes::KubernetesMock;
use crate::mock::openbao::OpenBaoMock;
use crate::run::builder::ClusterBootstrapBuilder;
use crate::run::timing::Timing;
use crate::spec::Spec;

pub use pace::Pace;
pub(crate) use world::Expected;
pub use world::LabEvent;

use address_book::LabAddresses;
use state::StateFile;
use world::World;

/// The lab. Its servers stop when it is dropped.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lungmen_bootstrap::mock::Lab;
/// use lungmen_bootstrap::{Spec, StepId};
///
/// let spec = Spec::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/lungmen.yaml"))?;
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
    world: Arc<World>,
    state: Option<Arc<StateFile>>,
    // Stops the wiring before the servers.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("proxmox", &self.world.pve.endpoint().as_str())
            .finish_non_exhaustive()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.save(&self.world);
        }
    }
}

/// Sets up a [`Lab`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing before `start`"]
pub struct LabBuilder {
    pace: Pace,
    proxmox: Option<PveMockBuilder>,
    state: Option<PathBuf>,
    without_applications: bool,
}

impl LabBuilder {
    /// How long things take; milliseconds unless set.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Another Proxmox VE than one with node `pve-01`, storages `local` and `nvme-lvm`, bridges `vmbr0` and `vmbr1`, and
    /// an administrator's token.
    pub fn proxmox(mut self, builder: PveMockBuilder) -> Self {
        self.proxmox = Some(builder);
        self
    }

    /// Keeps the world in a file (mode 0600: it has the secrets of the cluster), so that the next process finds the
    /// servers as this one left them.
    pub fn state(mut self, file: impl Into<PathBuf>) -> Self {
        self.state = Some(file.into());
        self
    }

    /// No application targets a registered cluster.
    pub fn without_applications(mut self) -> Self {
        self.without_applications = true;
        self
    }

    /// Starts all servers on the loopback interface.
    ///
    /// # Errors
    /// `Io` when the state cannot be read; `Failed` when a server cannot start or the state cannot be restored.
    pub async fn start(self) -> Result<Lab> {
        let file = self.state.map(|path| Arc::new(StateFile::new(path)));
        let saved = file.as_ref().map(|file| file.load()).transpose()?.flatten();
        let restoring = saved.is_some();
        let proxmox = self.proxmox.unwrap_or_else(PveMock::builder);
        let world = World::start(self.pace, proxmox, !self.without_applications, restoring).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(node::follow_machines(Arc::clone(&world)));
        if let Some(saved) = saved {
            state::restore(&world, saved).await?;
        }
        world.run_at(self.pace);
        if let Some(file) = &file {
            tasks.spawn(state::keep(Arc::clone(file), Arc::clone(&world)));
        }
        Ok(Lab {
            world,
            state: file,
            _tasks: tasks,
        })
    }
}

impl Lab {
    /// A lab in which everything takes milliseconds.
    ///
    /// # Errors
    /// `Failed` when a server cannot start.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a lab.
    pub fn builder() -> LabBuilder {
        LabBuilder::default()
    }

    /// A builder for the specification, with clients of all servers of the lab and its timing.
    pub fn bootstrap(&self, spec: Spec) -> ClusterBootstrapBuilder {
        self.equip(spec.bootstrap())
    }

    /// Gives a builder clients of all servers of the lab, its addresses and its timing.
    pub fn equip(&self, builder: ClusterBootstrapBuilder) -> ClusterBootstrapBuilder {
        let world = &self.world;
        world.expect(builder.expected_machines());
        if let Some(target) = builder.openbao_target() {
            world.expect_secret(&target.mount, &target.path);
        }
        builder
            .proxmox(world.pve.client())
            .factory(world.factory.client())
            .openbao_client(world.openbao_client.clone())
            .argocd_client(world.argocd.client())
            .address_book(LabAddresses::of(world))
            .timing(self.timing())
    }

    /// Deadlines and intervals that suit the pace of the lab.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.world.pace().timing()
    }

    /// Proxmox VE.
    #[must_use]
    pub fn proxmox(&self) -> &PveMock {
        &self.world.pve
    }

    /// The Image Factory.
    #[must_use]
    pub fn factory(&self) -> &FactoryMock {
        &self.world.factory
    }

    /// OpenBao.
    #[must_use]
    pub fn openbao(&self) -> &OpenBaoMock {
        &self.world.openbao
    }

    /// Argo CD.
    #[must_use]
    pub fn argocd(&self) -> &ArgoCdMock {
        &self.world.argocd
    }

    /// The Talos node that a VM has become; `None` before it has booted for the first time.
    #[must_use]
    pub fn talos(&self, vm: VmId) -> Option<TalosMock> {
        self.world.talos(vm)
    }

    /// The Kubernetes API of the cluster; `None` before etcd is healthy.
    #[must_use]
    pub fn kubernetes(&self) -> Option<KubernetesMock> {
        self.world.kubernetes()
    }

    /// What happened so far, in the order in which it happened.
    #[must_use]
    pub fn events(&self) -> Vec<LabEvent> {
        self.world.events()
    }
}
