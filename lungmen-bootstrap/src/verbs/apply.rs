//! `run()` and `run_until()`: observe every step, act where something is missing.

mod isos;
mod machines;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::engine::{Run, Stop};
use crate::run::event::{Event, EventKind, Observer};
use crate::run::report::{Advance, ApplicationInfo, Cluster, MachineInfo, PartialRun, StepReport};
use crate::run::stage::run_each;
use crate::run::step::StepId;
use crate::run::wait::Budget;
use crate::state::artifacts::ArtifactFile;
use crate::steps::applications::WaitForApplications;
use crate::steps::claim::ClaimCluster;
use crate::steps::kubeconfig::FetchKubeconfig;
use crate::steps::merge_talosconfig::MergeTalosconfig;
use crate::steps::preflight::Preflight;
use crate::steps::register::Register;
use crate::steps::save_secrets::{Replace, SaveSecrets};
use crate::steps::schematic;
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
    /// It is `run` in slices, for a controller that must not block. What servers do by themselves goes on between the calls: a
    /// build at the factory, a download of the node, a task of Proxmox VE, an installation. What this process does itself is
    /// finished, and may take longer than the budget: the making of a key, and an image that passes through this process
    /// because the node may not download. A wait gets at least one second. Each call takes the lease and gives it back.
    /// Dropping the future is safe at any await.
    ///
    /// # Errors
    /// As [`run`](Self::run), except `Deadline` of a wait that the budget ended.
    pub async fn advance(&self, budget: Duration) -> Result<Advance> {
        let run = self
            .start_within(StepId::Applications, Some(Budget::new(budget)))
            .await?;
        Ok(match run.waits_in {
            None => Advance::Complete(Box::new(self.cluster(run))),
            Some(step) => self.pending(step, run.last_wait),
        })
    }

    /// Where the time ran out, with what was waited for last.
    fn pending(&self, step: StepId, last_wait: Option<Event>) -> Advance {
        let retry_after = self.context().timing().next_look(step);
        let (waiting_for, cause, machine) = match last_wait.filter(|event| event.step == step) {
            Some(Event {
                kind:
                    EventKind::Waiting {
                        waiting_for, cause, ..
                    },
                machine,
                ..
            }) => (waiting_for, cause, machine),
            _ => (step.title().to_owned(), "no response".to_owned(), None),
        };
        Advance::Pending {
            step,
            machine,
            waiting_for,
            cause,
            retry_after,
        }
    }

    async fn start(&self, last: StepId) -> Result<Finished> {
        self.start_within(last, None).await
    }

    async fn start_within(&self, last: StepId, budget: Option<Budget>) -> Result<Finished> {
        let seen = Seen::default();
        let context = self.context().observed_by(seen.clone());
        let mut run = Run::new(context, last).within(budget);
        let mut results = Results::default();
        // Boxed, because the future of the whole chain is larger than a caller expects on the stack.
        let ended = Box::pin(whole_run(&mut run, &mut results)).await;
        let (reports, seen) = (run.into_reports(), seen.take());
        let waits_in = match ended {
            Ok(()) | Err(Stop::Reached) => None,
            Err(Stop::OutOfTime(step)) => Some(step),
            Err(Stop::Failed(error)) => return Err(error.after(reports, seen.warnings)),
        };
        Ok(Finished {
            waits_in,
            last_wait: seen.last_wait,
            reports,
            warnings: seen.warnings,
            results,
        })
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
            talos_version: desired.release.talos_version(),
            kubernetes_version: run.results.kubernetes_version,
            schematic_id: desired.release.schematic_id.to_string(),
            iso: desired.iso_volumes().join(", "),
            installer: desired.release.installer.clone(),
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
                talos_version: machine.release.talos_version(),
                schematic_id: machine.release.schematic_id.to_string(),
                installer: machine.installer.clone(),
            })
            .collect();
        machines.sort_by_key(|machine| machine.role);
        machines
    }
}

/// A chain that ended without an error.
struct Finished {
    /// The step in which the budget ended it.
    waits_in: Option<StepId>,
    last_wait: Option<Event>,
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
    run_each(run, &schematic::steps(run.context()), schematic::summary).await?;
    let identity = &machines::bring_up(run).await?;
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
            let is_new = run.acted(StepId::Register);
            let step = WaitForApplications { server, is_new };
            results.applications = run.run(&step).await?;
        }
        None => run.skip(StepId::Applications)?,
    }
    Ok(())
}

/// What a run has said so far, for its result.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    warnings: Vec<String>,
    last_wait: Option<Event>,
}

impl Seen {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Said {
        std::mem::take(&mut *self.said())
    }
}

impl Observer for Seen {
    fn observe(&self, event: &Event) {
        match &event.kind {
            EventKind::Warning { text } => self.said().warnings.push(text.clone()),
            EventKind::Waiting { .. } => self.said().last_wait = Some(event.clone()),
            _ => {}
        }
    }
}
