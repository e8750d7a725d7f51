//! The applications of the cluster, synced and healthy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argocd_client::application::{ReadinessReport, Target, TargetWait};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};
use argocd_client::{Client, Poll};

use super::register::argocd;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::report::ApplicationInfo;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait, first_interval};

/// Waits until the applications of the cluster are synced and healthy. A cluster without applications is reported as a
/// warning: applications may be added at any time.
pub(crate) struct WaitForApplications {
    pub(crate) server: ServerUrl,
    /// Whether this run registered the cluster, so that applications may still be appearing.
    pub(crate) is_new: bool,
}

/// How often the list must stay the same before it counts as complete.
const PROBES_WITHOUT_CHANGE: u32 = 3;

impl Step for WaitForApplications {
    const ID: StepId = StepId::Applications;
    const KIND: Kind = Kind::Check;
    type Output = Vec<ApplicationInfo>;

    async fn observe(&self, context: &Context) -> Result<Observation<Vec<ApplicationInfo>>> {
        let (argocd, target) = argocd(context)?;
        refuse_failed_connection(context, argocd, &self.server).await?;
        let target = Target::new(self.server.clone(), &target.cluster_name);
        if !appeared(context, argocd, &target).await? {
            context.warn(
                "no application targets the cluster: Argo CD has nothing to deploy there yet. Check the destination of \
                 your Applications or the selector of your ApplicationSets.",
            );
            return Ok(Observation::Done(Vec::new()));
        }
        let report = if self.is_new {
            settled(context, argocd, &target).await?
        } else {
            wait(context, argocd, &target, context.timing().applications).await?
        };
        if !report.is_ready() {
            return Err(not_ready(&target, &report));
        }
        Ok(Observation::Done(infos(&report)))
    }

    fn summary(&self, applications: &Vec<ApplicationInfo>) -> String {
        if applications.is_empty() {
            return "no applications yet".into();
        }
        let names: Vec<&str> = applications.iter().map(|row| row.name.as_str()).collect();
        format!("synced and healthy: {}", names.join(", "))
    }
}

/// Waiting for applications does not repair a failed connection.
async fn refuse_failed_connection(
    context: &Context,
    argocd: &Client,
    server: &ServerUrl,
) -> Result<()> {
    let cluster = argocd.clusters().cluster(server).await?;
    let state = cluster.connection();
    if state.status() == ConnectionStatus::Failed {
        return Err(Error::new(
            ErrorKind::Server,
            "check the connection of Argo CD to the cluster",
        )
        .with_target(server.to_string())
        .with_message(state.message.clone())
        .with_hint(
            "Argo CD itself must be able to reach the endpoint of the cluster with its token.",
        ));
    }
    context.note(format!(
        "Connection of Argo CD to the cluster: {}",
        state.status()
    ));
    Ok(())
}

/// Whether Argo CD has applications for the cluster, after waiting for the first one. `false` only when its last response
/// listed none.
async fn appeared(context: &Context, argocd: &Client, target: &Target) -> Result<bool> {
    let applications = &argocd.applications();
    let limit = context.timing().applications_appear;
    let last_was_empty = &AtomicBool::new(false);
    let outcome = Wait::new("applications of the cluster", context, limit)
        .until(context, || async move {
            let listed = applications.list_for(target).await;
            last_was_empty.store(listed.is_ok(), Ordering::Relaxed);
            match listed {
                Ok(list) if list.is_empty() => Ok(Probed::Pending("none yet".into())),
                Ok(_) => Ok(Probed::Ready(())),
                Err(error) if error.is_retryable() => Ok(Probed::Retry(error.into())),
                Err(error) => Err(error.into()),
            }
        })
        .await;
    match outcome {
        Ok(()) => Ok(true),
        Err(error)
            if error.kind() == ErrorKind::Deadline && last_was_empty.load(Ordering::Relaxed) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Waits until the applications are ready and no further one appears: an ApplicationSet makes them one after another. All
/// of that has one deadline.
async fn settled(context: &Context, argocd: &Client, target: &Target) -> Result<ReadinessReport> {
    let (started, deadline) = (Instant::now(), context.timing().applications);
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        let report = wait(context, argocd, target, left).await?;
        if !report.is_ready() || !grows(context, argocd, target, &report).await? {
            return Ok(report);
        }
    }
}

/// Whether another application appears within a few intervals.
async fn grows(
    context: &Context,
    argocd: &Client,
    target: &Target,
    report: &ReadinessReport,
) -> Result<bool> {
    for _ in 0..PROBES_WITHOUT_CHANGE {
        tokio::time::sleep(context.timing().interval).await;
        let listed = argocd.applications().list_for(target).await?.len();
        if listed > report.rows.len() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn wait(
    context: &Context,
    argocd: &Client,
    target: &Target,
    deadline: Duration,
) -> Result<ReadinessReport> {
    let longest = context.timing().interval;
    let poll = Poll::every(first_interval(longest))
        .up_to(longest)
        .deadline(deadline);
    let applications = argocd.applications();
    let report = applications
        .wait_for_target_observed(target, &TargetWait::new(poll), |state| {
            context.emit(EventKind::Waiting {
                waiting_for: "the applications".into(),
                cause: state.cause.clone(),
                attempt: state.attempt,
                elapsed: state.elapsed,
                deadline: state.deadline,
            });
        })
        .await?;
    Ok(report)
}

fn infos(report: &ReadinessReport) -> Vec<ApplicationInfo> {
    report
        .rows
        .iter()
        .map(|row| ApplicationInfo {
            name: row.name.clone(),
            sync: row.sync.to_string(),
            health: row.health.to_string(),
        })
        .collect()
}

fn not_ready(target: &Target, report: &ReadinessReport) -> Error {
    let rows: Vec<String> = report.pending().map(ToString::to_string).collect();
    Error::new(ErrorKind::Deadline, "wait for the applications")
        .with_target(target.name())
        .with_message(report.summary())
        .with_source(std::io::Error::other(rows.join("; ")))
        .with_hint("Check these applications in Argo CD; the cluster itself is complete.")
}
