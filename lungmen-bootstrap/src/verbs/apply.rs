//! `run()` and `run_until()`: observe every step, act where something is missing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::engine::{Run, Stop};
use crate::run::event::{Event, EventKind, Observer};
use crate::run::report::{Advance, ApplicationInfo, Cluster, MachineInfo, PartialRun, StepReport};
use crate::run::step::StepId;
use crate::run::wait::Budget;
use crate::state::artifacts::ArtifactFile;
use crate::steps::applications::WaitForApplications;
use crate::steps::apply::Apply;
use crate::steps::claim::ClaimCluster;
use crate::steps::configuration::Configure;
use crate::steps::etcd_bootstrap::BootstrapEtcd;
use crate::steps::first_boot::FindNodes;
use crate::steps::image::StoreIso;
use crate::steps::kubeconfig::FetchKubeconfig;
use crate::steps::machine::CreateMachines;
use crate::steps::merge_talosconfig::MergeTalosconfig;
use crate::steps::preflight::Preflight;
use crate::steps::register::Register;
use crate::steps::save_secrets::{Replace, SaveSecrets};
use crate::steps::schematic::RegisterSchematic;
use crate::steps::spec::CheckSpec;
use crate::steps::verify::Verify;

impl ClusterBootstrap {
    /// Builds the cluster, or finishes building it.
    ///
    /// Every step observes before it acts, so the call may be repeated at any time: after a failure, after the process
    /// was killed, and on a complete cluster, where it changes nothing. Dropping the future stops the run where it is.
    ///
    /// # Errors
    /// Any [`ErrorKind`](crate::ErrorKind), with the step, the operation, its target and a hint.
    /// [`Error::is_safe_to_repeat`](crate::Error::is_safe_to_repeat) tells whether to run again.
    pub async fn run(&self) -> Result<Cluster> {
        let run = self.start(StepId::Applications).await?;
        Ok(self.cluster(run))
    }

    /// Runs the steps up to and including `last`. May be repeated like [`run`](Self::run).
    ///
    /// # Errors
    /// Any [`ErrorKind`](crate::ErrorKind), with the step, the operation, its target and a hint.
    pub async fn run_until(&self, last: StepId) -> Result<PartialRun> {
        let run = self.start(last).await?;
        Ok(PartialRun {
            reached: last,
            steps: run.reports,
            files: self.files(),
            warnings: run.warnings,
        })
    }

    /// Does what can be done now, waits for nodes and the cluster for at most `budget` in all, and says when to call again.
    ///
    /// It is `run` in slices, for a controller that must not block. Nothing that it does itself is cut short: a transfer of an
    /// image, a task of Proxmox VE or the making of a key is finished, and may take longer than the budget. A wait gets at
    /// least one second. Each call takes the lease and gives it back. Dropping the future is safe at any await.
    ///
    /// # Errors
    /// As [`run`](Self::run), except `Deadline` of a wait that the budget ended.
    pub async fn advance(&self, budget: Duration) -> Result<Advance> {
        let run = self
            .start_within(StepId::Applications, Some(Budget::new(budget)))
            .await?;
        Ok(match run.is_out_of_time {
            false => Advance::Complete(Box::new(self.cluster(run))),
            true => Advance::Pending {
                retry_after: self.context().timing().interval,
            },
        })
    }

    async fn start(&self, last: StepId) -> Result<Finished> {
        self.start_within(last, None).await
    }

    async fn start_within(&self, last: StepId, budget: Option<Budget>) -> Result<Finished> {
        let warnings = Warnings::default();
        let context = self.context().observed_by(warnings.clone());
        let mut run = Run::new(context, last).within(budget);
        let mut results = Results::default();
        // Boxed, because the future of the whole chain is larger than a caller expects on the stack.
        let ended = Box::pin(whole_run(&mut run, &mut results)).await;
        match ended {
            Ok(()) | Err(Stop::Reached | Stop::OutOfTime) => Ok(Finished {
                is_out_of_time: matches!(ended, Err(Stop::OutOfTime)),
                reports: run.reports,
                warnings: warnings.take(),
                results,
            }),
            Err(Stop::Failed(error)) => Err(error.after(run.reports, warnings.take())),
        }
    }

    fn files(&self) -> Vec<ArtifactFile> {
        let context = self.context();
        context.artifacts().existing(context.desired().artifacts())
    }

    fn cluster(&self, run: Finished) -> Cluster {
        let desired = self.context().desired();
        Cluster {
            name: desired.cluster.clone(),
            endpoint: desired.endpoint.clone(),
            talos_version: desired.talos_version(),
            kubernetes_version: run.results.kubernetes_version,
            schematic_id: desired.schematic_id.to_string(),
            iso: desired.iso_volumes().join(", "),
            installer: desired.installer.clone(),
            machines: self.machines(),
            output: self.context().artifacts().folder().map(Path::to_path_buf),
            files: self.files(),
            secrets: run.results.secrets,
            argocd_cluster: desired
                .argocd
                .as_ref()
                .map(|target| target.cluster_name.clone()),
            applications: run.results.applications,
            steps: run.reports,
            warnings: run.warnings,
        }
    }

    /// Control plane machines first, each role in the order of the specification.
    fn machines(&self) -> Vec<MachineInfo> {
        let mut machines: Vec<MachineInfo> = self
            .context()
            .desired()
            .machines
            .iter()
            .map(|machine| MachineInfo {
                name: machine.spec.name.clone(),
                vm_id: machine.spec.vm_id,
                role: machine.spec.role,
                address: machine.spec.address,
            })
            .collect();
        machines.sort_by_key(|machine| machine.role);
        machines
    }
}

/// A chain that ended without an error.
struct Finished {
    /// Whether the budget ended it before its last step.
    is_out_of_time: bool,
    reports: Vec<StepReport>,
    warnings: Vec<String>,
    results: Results,
}

/// Results that are returned to the caller but not written to a file.
#[derive(Default)]
struct Results {
    kubernetes_version: String,
    secrets: Option<String>,
    applications: Vec<ApplicationInfo>,
}

/// The checks, then everything else while the lease is held.
async fn whole_run(run: &mut Run, results: &mut Results) -> Result<(), Stop> {
    for warning in run.context().journal().warnings() {
        run.context().warn(warning);
    }
    run.run(&CheckSpec).await?;
    run.run(&Preflight { last: run.last() }).await?;
    if run.last() < StepId::Claim {
        return Err(Stop::Reached);
    }
    let mut lease = run.acquire_lease().await?;
    let ended = {
        let chain = Box::pin(async { Ok(chain(run, results).await) });
        lease.keep(chain).await
    };
    // A lease that is not released expires; the next run on this host need not wait for that.
    if let Err(error) = lease.release().await {
        tracing::debug!(%error, "the lease was not released");
    }
    match ended {
        Ok(ended) => ended,
        Err(lost) => Err(run.failed(lost)),
    }
}

/// All steps without a lease, for a run that only observes.
pub(super) async fn observed(run: &mut Run) -> Result<(), Stop> {
    run.run(&CheckSpec).await?;
    run.run(&Preflight { last: run.last() }).await?;
    chain(run, &mut Results::default()).await
}

/// The steps in their order. Each line needs the results of the lines before it.
async fn chain(run: &mut Run, results: &mut Results) -> Result<(), Stop> {
    let record = run.run(&ClaimCluster).await?;
    run.adopt(record)?;
    run.run(&RegisterSchematic::default()).await?;
    run.run(&StoreIso::default()).await?;
    let machines = run.run(&CreateMachines).await?;
    let found = run.run(&FindNodes { machines }).await?;
    let configured = run.run(&Configure { nodes: found }).await?;
    let identity = &configured.identity;
    run.run(&Apply {
        identity,
        nodes: &configured.nodes,
    })
    .await?;
    run.run(&BootstrapEtcd { identity }).await?;
    let fetch = FetchKubeconfig::new(identity);
    let kubernetes = run.run(&fetch).await?;
    let health = run
        .run(&Verify {
            kubernetes: &kubernetes,
        })
        .await?;
    results.kubernetes_version = health.version.git_version;
    let kubeconfig = fetch.text(run.context());
    let save = SaveSecrets {
        identity,
        kubeconfig: kubeconfig.map_err(|error| run.failed(error))?,
        replace: Replace::Useless,
    };
    results.secrets = run.run_if_enabled(&save).await?;
    run.run_if_enabled(&MergeTalosconfig).await?;
    let server = run
        .run_if_enabled(&Register {
            kubernetes: &kubernetes,
        })
        .await?;
    match server {
        Some(server) => {
            let is_new = run.acted();
            let step = WaitForApplications { server, is_new };
            results.applications = run.run(&step).await?;
        }
        None => run.skip(StepId::Applications)?,
    }
    Ok(())
}

/// Collects the warnings of a run for its result.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Warnings {
    fn observe(&self, event: &Event) {
        if let EventKind::Warning { text } = &event.kind {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.clone());
        }
    }
}
