//! The applications of the cluster, synced and healthy.

use std::time::Duration;

use argocd_client::application::{Appearance, ReadinessReport, Target, TargetWait};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};
use argocd_client::{Client, Poll, WaitState};
use jiff::Timestamp;

use super::register::argocd;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::report::ApplicationInfo;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::first_interval;
use crate::state::journal::{Record, RecordState};

/// Waits until the applications of the cluster are synced and healthy. A cluster without applications is reported as a
/// warning: applications may be added at any time.
pub(crate) struct WaitForApplications {
    pub(crate) server: ServerUrl,
    /// Whether this run registered the cluster, so that applications may still be appearing.
    pub(crate) is_new: bool,
}

/// For how many intervals the list must stay the same before it counts as complete.
const PROBES_WITHOUT_CHANGE: u32 = 3;

impl Step for WaitForApplications {
    const ID: StepId = StepId::Applications;
    const KIND: Kind = Kind::Check;
    type Output = Vec<ApplicationInfo>;

    async fn observe(&self, context: &Context) -> Result<Observation<Vec<ApplicationInfo>>> {
        let (argocd, target) = argocd(context)?;
        refuse_failed_connection(context, argocd, &self.server).await?;
        let target = Target::new(self.server.clone(), &target.cluster_name);
        if let Some(why) = nothing_appeared(context, argocd, &target).await? {
            context.warn(format!(
                "{why}. Check the destination of your Applications or the selector of your ApplicationSets."
            ));
            return Ok(Observation::Done(Vec::new()));
        }
        let report = wait(context, argocd, &target, self.is_new).await?;
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

/// Why Argo CD has no applications for the cluster, after waiting for those that its ApplicationSets generate; nothing when
/// there are applications.
async fn nothing_appeared(
    context: &Context,
    argocd: &Client,
    target: &Target,
) -> Result<Option<String>> {
    let poll = poll(context, time_to_appear(context).await?);
    let applications = argocd.applications();
    let appearance = applications
        .wait_until_generated_observed(
            target,
            poll,
            observer(context, "applications of the cluster"),
        )
        .await?;
    Ok(match appearance {
        Appearance::Applications(_) => None,
        Appearance::Unproven(why) => Some(format!(
            "no application targets the cluster yet, and whether one is generated for it is not known: {why}"
        )),
        _ => Some(
            "no application targets the cluster: Argo CD has nothing to deploy there yet"
                .to_owned(),
        ),
    })
}

/// How long applications may still take to appear. The slices of a run share the time: without that none of them would ever
/// find that nothing appears.
async fn time_to_appear(context: &Context) -> Result<Duration> {
    let total = context.timing().applications_appear;
    if !context.is_slice() {
        return Ok(total);
    }
    let records = context.journal().records().await?;
    let newest = |step: StepId| {
        let of_step = records.iter().filter(|record| record.step == step.name());
        of_step.map(|record| record.at).max()
    };
    let began = newest(StepId::Applications).filter(|at| Some(*at) >= newest(StepId::Register));
    let Some(began) = began else {
        let record = Record::new(
            context.cluster_name(),
            StepId::Applications,
            RecordState::Started,
        );
        context.journal().append(record).await?;
        return Ok(total);
    };
    let waited = Timestamp::now().duration_since(began).unsigned_abs();
    // Enough for a look, and less than the slice.
    let least = context.within_slice(total) / 2;
    Ok(total.saturating_sub(waited).max(least))
}

/// Waits until the applications are ready. On a new cluster no further one may appear for a while: an ApplicationSet makes
/// them one after another.
async fn wait(
    context: &Context,
    argocd: &Client,
    target: &Target,
    is_new: bool,
) -> Result<ReadinessReport> {
    let plan = TargetWait::new(poll(context, context.timing().applications));
    let plan = if is_new {
        plan.stable_for(context.timing().interval * PROBES_WITHOUT_CHANGE)
    } else {
        plan
    };
    let applications = argocd.applications();
    let report = applications
        .wait_for_target_observed(target, &plan, observer(context, "the applications"))
        .await?;
    Ok(report)
}

fn poll(context: &Context, deadline: Duration) -> Poll {
    let longest = context.timing().interval;
    Poll::every(first_interval(longest))
        .up_to(longest)
        .deadline(deadline)
}

fn observer(context: &Context, what: &str) -> impl FnMut(&WaitState) + use<> {
    let (context, what) = (context.clone(), what.to_owned());
    move |state| {
        context.emit(EventKind::Waiting {
            waiting_for: what.clone(),
            cause: state.cause.clone(),
            attempt: state.attempt,
            elapsed: state.elapsed,
            deadline: state.deadline,
        });
    }
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
