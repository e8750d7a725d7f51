//! The applications of the cluster, synced and healthy.

use std::error::Error as StdError;

use argocd_client::application::{ReadinessReport, Target, TargetWait};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};
use argocd_client::{Client, Poll};

use super::register::argocd;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::event::EventKind;
use crate::run::report::ApplicationInfo;
use crate::run::wait::{Look, Wait};

/// Waits until the applications of the cluster are synced and healthy. It changes nothing. That none appears is a warning
/// and no failure: applications may come any day.
pub(crate) async fn applications(
    world: &World,
    server: &ServerUrl,
) -> Result<(Vec<ApplicationInfo>, String)> {
    let (argocd, target) = argocd(world)?;
    refuse_failed_connection(world, argocd, server).await?;
    let target = Target::new(server.clone(), &target.cluster_name);
    if !appeared(world, argocd, &target).await? {
        world.warn(
            "no application targets the cluster: Argo CD has nothing to deploy there yet; check the destination of your \
             applications or the selector of your application sets",
        );
        return Ok((Vec::new(), "no applications yet".into()));
    }
    let report = wait(world, argocd, &target).await?;
    if !report.is_ready() {
        return Err(not_ready(&target, &report));
    }
    let names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
    let summary = format!("synced and healthy: {}", names.join(", "));
    Ok((infos(&report), summary))
}

/// A failed connection does not become better by waiting for applications.
async fn refuse_failed_connection(
    world: &World,
    argocd: &Client,
    server: &ServerUrl,
) -> Result<()> {
    let cluster = argocd.clusters().get(server).await?;
    let state = cluster.connection();
    if state.status() == ConnectionStatus::Failed {
        return Err(
            Error::new(ErrorKind::Failed, "look at the connection of Argo CD")
                .with_target(server.to_string())
                .with_message(state.message.clone())
                .with_hint(
                    "Argo CD itself must reach the cluster, with the token that it was given",
                ),
        );
    }
    world.note(format!(
        "connection of Argo CD to the cluster: {}",
        state.status()
    ));
    Ok(())
}

async fn appeared(world: &World, argocd: &Client, target: &Target) -> Result<bool> {
    let applications = &argocd.applications();
    let limit = world.timing().applications_appear;
    let outcome = Wait::new("applications of the cluster", world, limit)
        .until(world, || async move {
            Ok(match applications.list_for(target).await {
                Ok(list) if list.is_empty() => Look::NotYet("none yet".into()),
                Ok(_) => Look::There(()),
                Err(error) if error.is_retryable() => Look::Failing(error.into()),
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

async fn wait(world: &World, argocd: &Client, target: &Target) -> Result<ReadinessReport> {
    let reporter = world.clone();
    let poll = Poll::every(world.timing().interval).within(world.timing().applications);
    let wait = TargetWait::new(poll).observer(move |report| {
        reporter.emit(EventKind::Waiting {
            waiting_for: "the applications".into(),
            because: report.summary(),
            attempt: 1,
        });
    });
    Ok(argocd.applications().wait_for_target(target, &wait).await?)
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
