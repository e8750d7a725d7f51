//! The applications of the cluster, synced and healthy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use argocd_client::Poll;
use argocd_client::application::{ReadinessReport, Target, TargetWait, WaitFor};
use argocd_client::cluster::{ConnectionStatus, ServerUrl};

use super::register::argocd;
use crate::cluster::ApplicationInfo;
use crate::engine::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::step::{Observation, StepId};
use crate::wait::{Look, Wait};
use crate::world::World;

pub(crate) struct Applications<'a> {
    server: &'a ServerUrl,
    /// Nothing appeared in time, which is a warning and no failure: applications may come any day.
    none_appeared: AtomicBool,
}

impl<'a> Applications<'a> {
    pub(crate) fn new(server: &'a ServerUrl) -> Self {
        Self {
            server,
            none_appeared: AtomicBool::new(false),
        }
    }
}

impl Step for Applications<'_> {
    const ID: StepId = StepId::Applications;
    type Output = Vec<ApplicationInfo>;

    async fn observe(&self, world: &World) -> Result<Observation<Vec<ApplicationInfo>>> {
        let (argocd, _) = argocd(world)?;
        let report = argocd
            .applications()
            .report(&self.target(world)?, &WaitFor::default())
            .await?;
        if report.rows.is_empty() && !self.none_appeared.load(Ordering::Relaxed) {
            return Ok(Observation::absent("no application targets the cluster yet"));
        }
        if report.is_ready() {
            return Ok(Observation::Done(infos(&report)));
        }
        Ok(Observation::absent(report.summary()))
    }

    async fn act(&self, world: &World) -> Result<()> {
        self.refuse_failed_connection(world).await?;
        if !self.appeared(world).await? {
            world.warn(
                "no application targets the cluster: Argo CD has nothing to deploy there yet; check the destination \
                 of your applications or the selector of your application sets",
            );
            self.none_appeared.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let report = self.wait(world, 1, world.timing().applications).await?;
        if report.is_ready() {
            Ok(())
        } else {
            Err(not_ready(&report))
        }
    }

    fn summary(&self, applications: &Vec<ApplicationInfo>) -> String {
        match applications.as_slice() {
            [] => "no applications yet".into(),
            all => {
                let names: Vec<&str> = all.iter().map(|info| info.name.as_str()).collect();
                format!("synced and healthy: {}", names.join(", "))
            }
        }
    }
}

impl Applications<'_> {
    fn target(&self, world: &World) -> Result<Target> {
        let (_, target) = argocd(world)?;
        Ok(Target::new(self.server.clone(), &target.cluster_name))
    }

    /// A failed connection does not become better by waiting for applications.
    async fn refuse_failed_connection(&self, world: &World) -> Result<()> {
        let (argocd, _) = argocd(world)?;
        let cluster = argocd.clusters().get(self.server).await?;
        let state = cluster.connection();
        if state.status() == ConnectionStatus::Failed {
            return Err(Error::new(ErrorKind::Failed, "look at the connection of Argo CD")
                .with_target(self.server.to_string())
                .with_message(state.message.clone())
                .with_hint("Argo CD itself must reach the cluster, with the token that it was given"));
        }
        world.note(format!("connection of Argo CD to the cluster: {}", state.status()));
        Ok(())
    }

    async fn appeared(&self, world: &World) -> Result<bool> {
        let limit = world.timing().applications_appear;
        let (argocd, _) = argocd(world)?;
        let target = self.target(world)?;
        let (applications, target) = (&argocd.applications(), &target);
        let outcome = Wait::new("applications of the cluster", world, limit)
            .until(world, || async move {
                let found = applications.list_for(target).await;
                Ok(match found {
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
            Err(error) if error.kind() == ErrorKind::Deadline && std::error::Error::source(&error).is_none() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn wait(
        &self,
        world: &World,
        at_least: usize,
        deadline: Duration,
    ) -> Result<ReadinessReport> {
        let (argocd, _) = argocd(world)?;
        let reporter = world.clone();
        let wait = TargetWait::new(Poll::every(world.timing().interval).within(deadline))
            .at_least(at_least)
            .observer(move |report| {
                reporter.emit(EventKind::Waiting {
                    waiting_for: "the applications".into(),
                    because: report.summary(),
                    attempt: 1,
                });
            });
        Ok(argocd
            .applications()
            .wait_for_target(&self.target(world)?, &wait)
            .await?)
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

fn not_ready(report: &ReadinessReport) -> Error {
    let rows: Vec<String> = report.pending().map(ToString::to_string).collect();
    Error::new(ErrorKind::Deadline, "wait for the applications")
        .with_message(report.summary())
        .with_source(std::io::Error::other(rows.join("; ")))
        .with_hint("look at these applications in Argo CD; the cluster itself is complete")
}
