//! The run: which step follows which, and what they hand to each other.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::Result;
use crate::run::builder::ClusterBootstrapBuilder;
use crate::run::context::World;
use crate::run::engine::{Run, StepReport, Stop};
use crate::run::event::{Event, EventKind};
use crate::run::report::{ApplicationInfo, Cluster, MachineInfo};
use crate::run::step::StepId;
use crate::state::artifacts::ArtifactFile;
use crate::steps::applications::applications;
use crate::steps::apply::Apply;
use crate::steps::configuration::Configure;
use crate::steps::etcd_bootstrap::BootstrapEtcd;
use crate::steps::first_boot::find_nodes;
use crate::steps::image::BringIso;
use crate::steps::kubeconfig::FetchKubeconfig;
use crate::steps::machine::CreateMachines;
use crate::steps::preflight::preflight;
use crate::steps::register::Register;
use crate::steps::save_secrets::Save;
use crate::steps::schematic::RegisterSchematic;
use crate::steps::verify::verify;
use crate::verbs::plan::Plan;

/// A checked bootstrap, ready to run. Clones are cheap and share everything.
#[derive(Clone)]
pub struct ClusterBootstrap {
    world: World,
}

impl std::fmt::Debug for ClusterBootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterBootstrap")
            .field("cluster", &self.world.cluster_name())
            .finish_non_exhaustive()
    }
}

/// How far a partial run came.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunProgress {
    /// The last step that is finished.
    pub reached: StepId,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// The files that exist, with their modes.
    pub files: Vec<ArtifactFile>,
    /// What the user should know although every step succeeded.
    pub warnings: Vec<String>,
}

impl ClusterBootstrap {
    /// Starts with the name of the cluster and the https endpoint of its Kubernetes API.
    pub fn builder(
        name: impl Into<String>,
        endpoint: impl Into<String>,
    ) -> ClusterBootstrapBuilder {
        ClusterBootstrapBuilder::new(name.into(), endpoint.into())
    }

    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    /// What a run will do, without doing it. Makes no call.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.world.blueprint().plan()
    }

    /// Builds the cluster, or finishes building it.
    ///
    /// Every step looks before it acts, so the call may be repeated at any time: after a failure, after the process
    /// was killed, and after everything is done, when it changes nothing. Dropping the future stops the run where it
    /// is.
    ///
    /// # Errors
    /// With the step, what was attempted on what, a hint, and whether a repetition is safe; see
    /// [`ErrorKind`](crate::ErrorKind).
    pub async fn run(&self) -> Result<Cluster> {
        let run = self.start(StepId::Applications).await?;
        Ok(self.cluster(run))
    }

    /// Runs the steps up to and including `last`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(&self, last: StepId) -> Result<RunProgress> {
        let run = self.start(last).await?;
        Ok(RunProgress {
            reached: last,
            steps: run.reports,
            files: self.files(),
            warnings: run.warnings,
        })
    }

    async fn start(&self, last: StepId) -> Result<Finished> {
        let warnings = Warnings::default();
        let world = self.world.observed_by(warnings.clone());
        let mut run = Run::new(&world, last);
        let mut results = Results::default();
        // Boxed, because the future of the whole chain is larger than a caller expects on the stack.
        let ended = Box::pin(chain(&world, &mut run, &mut results)).await;
        match ended {
            Ok(()) | Err(Stop::Reached) => Ok(Finished {
                reports: run.reports,
                warnings: warnings.take(),
                results,
            }),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn files(&self) -> Vec<ArtifactFile> {
        let world = &self.world;
        world.artifacts().existing(world.blueprint().artifacts())
    }

    fn cluster(&self, run: Finished) -> Cluster {
        let blueprint = self.world.blueprint();
        Cluster {
            name: blueprint.cluster.clone(),
            endpoint: blueprint.endpoint.clone(),
            talos_version: blueprint.talos_version(),
            kubernetes_version: run.results.kubernetes_version,
            schematic_id: blueprint.schematic_id.to_string(),
            iso: blueprint.iso_volume.to_string(),
            installer: blueprint.installer.clone(),
            machines: blueprint
                .machines
                .iter()
                .map(|machine| MachineInfo {
                    name: machine.spec.name.clone(),
                    vm_id: machine.spec.vm_id,
                    role: machine.spec.role,
                    address: machine.spec.address,
                })
                .collect(),
            output: self.world.artifacts().folder().to_path_buf(),
            files: self.files(),
            secrets: run.results.secrets,
            argocd_cluster: blueprint
                .argocd
                .as_ref()
                .map(|target| target.cluster_name.clone()),
            applications: run.results.applications,
            steps: run.reports,
            warnings: run.warnings,
        }
    }
}

/// A chain that ended well.
struct Finished {
    reports: Vec<StepReport>,
    warnings: Vec<String>,
    results: Results,
}

/// What the caller is told and no file holds.
#[derive(Default)]
struct Results {
    kubernetes_version: String,
    secrets: Option<String>,
    applications: Vec<ApplicationInfo>,
}

/// The steps in their order. Each line needs what the lines before it found out.
async fn chain(world: &World, run: &mut Run<'_>, results: &mut Results) -> Result<(), Stop> {
    run.check(StepId::Spec, ready(Ok(spec(&world.for_step(StepId::Spec)))))
        .await?;
    run.check(
        StepId::Preflight,
        preflight(&world.for_step(StepId::Preflight), run.last()),
    )
    .await?;
    run.perform(&RegisterSchematic::default()).await?;
    run.perform(&BringIso).await?;
    let machines = run.perform(&CreateMachines).await?;
    let found = run
        .check(
            StepId::FirstBoot,
            find_nodes(&world.for_step(StepId::FirstBoot), &machines),
        )
        .await?;
    let configured = run.perform(&Configure { found: &found }).await?;
    let identity = &configured.identity;
    run.perform(&Apply {
        identity,
        found: &found,
        configs: &configured.configs,
    })
    .await?;
    run.perform(&BootstrapEtcd { identity }).await?;
    let kubernetes = run.perform(&FetchKubeconfig { identity }).await?;
    let health = run
        .check(
            StepId::Verify,
            verify(&world.for_step(StepId::Verify), &kubernetes),
        )
        .await?;
    results.kubernetes_version = health.version.git_version;
    let kept = run.perform_if_wanted(&Save).await?;
    results.secrets = kept.and_then(|places| places.secret);
    let server = run
        .perform_if_wanted(&Register {
            kubernetes: &kubernetes,
        })
        .await?;
    match server {
        Some(server) => {
            let world = world.for_step(StepId::Applications);
            let ready = run
                .check(StepId::Applications, applications(&world, &server))
                .await?;
            results.applications = ready;
        }
        None => run.not_wanted(StepId::Applications)?,
    }
    Ok(())
}

/// The checks were made when the bootstrap was built; here their warnings are told.
fn spec(world: &World) -> ((), String) {
    let blueprint = world.blueprint();
    for warning in &blueprint.warnings {
        world.warn(warning);
    }
    let summary = format!(
        "Talos {}, Kubernetes {}, {} machine(s)",
        blueprint.image.version(),
        blueprint.kubernetes_version,
        blueprint.machines.len()
    );
    ((), summary)
}

/// Collects the warnings of a run for its result.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl crate::run::event::Observer for Warnings {
    fn observe(&self, event: &Event) {
        if let EventKind::Warning { text } = &event.kind {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.clone());
        }
    }
}
