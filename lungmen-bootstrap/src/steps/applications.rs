//! The applications of the cluster, synced and healthy.

use std::error::Error as StdError;

use argocd_client::application::{ReadinessReport, Target, TargetWait};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};
use argocd_client::{Client, Poll};

use super::register::argocd;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::report::ApplicationInfo;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};

/// Waits until the applications of the cluster are synced and healthy. A cluster without applications is reported as a
/// warning: applications may be added at any time.
pub(crate) struct WaitForApplications {
    pub(crate) server: ServerUrl,
}

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
        let report = wait(context, argocd, &target).await?;
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

/// A failed connection does not become better by waiting for applications.
async fn refuse_failed_connection(
    context: &Context,
    argocd: &Client,
    server: &ServerUrl,
) -> Result<()> {
    let cluster = argocd.clusters().cluster(server).await?;
    let state = cluster.connection();
    if state.status() == ConnectionStatus::Failed {
        return Err(
            Error::new(ErrorKind::Server, "look at the connection of Argo CD")
                .with_target(server.to_string())
                .with_message(state.message.clone())
                .with_hint(
                    "Argo CD itself must reach the cluster, with the token that it was given",
                ),
        );
    }
    context.note(format!(
        "connection of Argo CD to the cluster: {}",
        state.status()
    ));
    Ok(())
}

async fn appeared(context: &Context, argocd: &Client, target: &Target) -> Result<bool> {
    let applications = &argocd.applications();
    let limit = context.timing().applications_appear;
    let outcome = Wait::new("applications of the cluster", context, limit)
        .until(context, || async move {
            Ok(match applications.list_for(target).await {
                Ok(list) if list.is_empty() => Probed::Pending("none yet".into()),
                Ok(_) => Probed::Ready(()),
                Err(error) if error.is_retryable() => Probed::Retry(error.into()),
                Err(error) => return Err(error.into()),
            })
        })
        .await;
    match outcome {
        Ok(()) => Ok(true),
        // Only a server that said "none" to the last has none.
        Err(error) if error.kind() == ErrorKind::Deadline && StdError::source(&error).is_none() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn wait(context: &Context, argocd: &Client, target: &Target) -> Result<ReadinessReport> {
    let poll = Poll::every(context.timing().interval).deadline(context.timing().applications);
    let applications = argocd.applications();
    let report = applications
        .wait_for_target_observed(target, &TargetWait::new(poll), |state| {
            context.emit(EventKind::Waiting {
                waiting_for: "the applications".into(),
                cause: state.cause.clone(),
                attempt: state.attempt,
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
        .with_hint("look at these applications in Argo CD; the cluster itself is complete")
}
