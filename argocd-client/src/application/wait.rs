//! Waiting for one application, or for all of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::model::Application;
use super::readiness::{WaitFor, in_progress};
use super::reference::{AppRef, Target};
use super::report::ReadinessReport;
use super::status::{HealthStatus, OperationPhase};
use super::{Applications, Refresh};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::Poll;

/// How waiting for one application ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "an application that is not ready is no error"]
pub enum WaitOutcome {
    /// Everything that was asked for holds.
    Ready(Box<Application>),
    /// Resources turned `Degraded` while health was waited for.
    Degraded {
        /// Which ones, as `Kind/name`.
        resources: Vec<String>,
        /// The application then.
        last: Box<Application>,
    },
    /// The application is gone.
    Deleted,
    /// The deadline passed.
    TimedOut {
        /// The application as it was last seen, if it was seen at all.
        last: Option<Box<Application>>,
        /// Why it is not ready.
        reason: String,
    },
}

impl WaitOutcome {
    /// The ready application, or an error that says what is wrong.
    ///
    /// # Errors
    /// [`Failed`](ErrorKind::Failed) for degraded resources, [`NotFound`](ErrorKind::NotFound) for a
    /// deleted application, [`Deadline`](ErrorKind::Deadline).
    pub fn into_ready(self) -> Result<Application> {
        let error = |kind| Error::new(kind, "wait for application");
        match self {
            Self::Ready(application) => Ok(*application),
            Self::Degraded { resources, last } => Err(error(ErrorKind::Failed)
                .with_target(AppRef::from(&*last).to_string())
                .with_message(format!("degraded: {}", resources.join(", ")))),
            Self::Deleted => {
                Err(error(ErrorKind::NotFound).with_message("the application is gone"))
            }
            Self::TimedOut { last, reason } => Err(error(ErrorKind::Deadline)
                .with_target(
                    last.map(|last| AppRef::from(&*last).to_string())
                        .unwrap_or_default(),
                )
                .with_message(reason)),
        }
    }
}

type Observer = Arc<dyn Fn(&ReadinessReport) + Send + Sync>;

/// How all applications of a cluster are waited for.
#[derive(Clone)]
#[must_use = "a plan does nothing until it is given to a wait"]
pub struct TargetWait {
    conditions: WaitFor,
    poll: Poll,
    at_least: usize,
    settle: Duration,
    observer: Option<Observer>,
}

impl TargetWait {
    /// Looks as often and as long as `poll` says; synced, healthy, no operation pending.
    ///
    /// By default at least one application must exist, and the state need not hold for longer.
    pub fn new(poll: Poll) -> Self {
        Self {
            conditions: WaitFor::default(),
            poll,
            at_least: 1,
            settle: Duration::ZERO,
            observer: None,
        }
    }

    /// What must hold for every application.
    pub fn conditions(mut self, conditions: WaitFor) -> Self {
        self.conditions = conditions;
        self
    }

    /// How many applications must exist. None at all is ambiguous: application sets may not have
    /// made theirs yet. `0` accepts that.
    pub fn at_least(mut self, applications: usize) -> Self {
        self.at_least = applications;
        self
    }

    /// How long the same applications must stay ready. Health flaps right after a synchronisation,
    /// and applications create further ones.
    pub fn settle(mut self, duration: Duration) -> Self {
        self.settle = duration;
        self
    }

    /// Is called with the report of every look.
    pub fn observer(mut self, observer: impl Fn(&ReadinessReport) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }
}

impl fmt::Debug for TargetWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetWait")
            .field("conditions", &self.conditions)
            .field("poll", &self.poll)
            .field("at_least", &self.at_least)
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}

pub(super) async fn one(
    applications: &Applications,
    reference: &AppRef,
    conditions: &WaitFor,
    poll: &Poll,
) -> Result<WaitOutcome> {
    let end = poll.ends_at();
    let mut seen: Option<Application> = None;
    let mut health = BTreeMap::new();
    let mut failure: Option<Error> = None;
    loop {
        match timeout_at(end, applications.get(reference)).await {
            Ok(Ok(application)) => {
                if conditions.judge(&application).ready {
                    return Ok(WaitOutcome::Ready(Box::new(application)));
                }
                let degraded = newly_degraded(&mut health, &application);
                if conditions.wants_health() && !degraded.is_empty() {
                    return Ok(WaitOutcome::Degraded {
                        resources: degraded,
                        last: Box::new(application),
                    });
                }
                seen = Some(application);
                failure = None;
            }
            Ok(Err(error)) if is_gone(&error) => match (applications.find(reference).await?, &seen)
            {
                (None, _) => return Ok(WaitOutcome::Deleted),
                (Some(_), _) => return Err(error),
            },
            Ok(Err(error)) if error.is_transient() => failure = Some(error),
            Ok(Err(error)) => return Err(error),
            Err(_) => return timed_out(conditions, seen, failure),
        }
        if Instant::now() + poll.interval() >= end {
            return timed_out(conditions, seen, failure);
        }
        sleep(poll.interval()).await;
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotFoundOrForbidden
    )
}

fn timed_out(
    conditions: &WaitFor,
    seen: Option<Application>,
    failure: Option<Error>,
) -> Result<WaitOutcome> {
    if let Some(failure) = failure {
        return Err(Error::new(ErrorKind::Deadline, "wait for application")
            .with_message("the application could not be read")
            .with_source(failure));
    }
    let reason = seen.as_ref().map_or_else(
        || "the server did not answer".to_owned(),
        |application| {
            let row = conditions.judge(application);
            if row.operation == OperationPhase::Succeeded && in_progress(application) {
                format!("{row}: the status is older than the last operation")
            } else {
                row.to_string()
            }
        },
    );
    Ok(WaitOutcome::TimedOut {
        last: seen.map(Box::new),
        reason,
    })
}

/// The resources that were well, or progressing, at the last look and are `Degraded` now.
fn newly_degraded(
    before: &mut BTreeMap<String, HealthStatus>,
    application: &Application,
) -> Vec<String> {
    let mut degraded = Vec::new();
    for resource in &application.status.resources {
        let now = resource
            .health
            .as_ref()
            .map(|health| health.status.clone())
            .unwrap_or_default();
        let key = format!(
            "{}/{}/{}/{}",
            resource.group, resource.kind, resource.namespace, resource.name
        );
        let was = before.insert(key, now.clone());
        let was_known = was.is_some_and(|was| {
            !matches!(
                was,
                HealthStatus::Unknown | HealthStatus::Unset | HealthStatus::Degraded
            )
        });
        if now == HealthStatus::Degraded && was_known {
            degraded.push(resource.to_string());
        }
    }
    degraded
}

pub(super) async fn all(
    applications: &Applications,
    target: &Target,
    wait: &TargetWait,
) -> Result<ReadinessReport> {
    let end = wait.poll.ends_at();
    let mut report: Option<ReadinessReport> = None;
    let mut failure: Option<Error> = None;
    let mut ready_since: Option<(Instant, Vec<String>)> = None;
    loop {
        match timeout_at(end, applications.report(target, &wait.conditions)).await {
            Ok(Ok(mut now)) => {
                now.expected = wait.at_least;
                if let Some(observer) = &wait.observer {
                    observer(&now);
                }
                if has_settled(&now, &mut ready_since, wait.settle) {
                    return Ok(now);
                }
                report = Some(now);
                failure = None;
            }
            Ok(Err(error)) if error.is_transient() => failure = Some(error),
            Ok(Err(error)) => return Err(error),
            Err(_) => return last_report(target, report, failure),
        }
        if Instant::now() + wait.poll.interval() >= end {
            return last_report(target, report, failure);
        }
        sleep(wait.poll.interval()).await;
    }
}

/// Whether the same set of applications has been ready for long enough.
fn has_settled(
    report: &ReadinessReport,
    since: &mut Option<(Instant, Vec<String>)>,
    settle: Duration,
) -> bool {
    if !report.is_ready() {
        *since = None;
        return false;
    }
    let names: Vec<String> = report
        .rows
        .iter()
        .map(|row| format!("{}/{}", row.namespace, row.name))
        .collect();
    match since {
        Some((started, known)) if *known == names => started.elapsed() >= settle,
        _ => {
            *since = Some((Instant::now(), names));
            settle.is_zero()
        }
    }
}

fn last_report(
    target: &Target,
    report: Option<ReadinessReport>,
    failure: Option<Error>,
) -> Result<ReadinessReport> {
    let Some(mut report) = report else {
        let error = Error::new(ErrorKind::Deadline, "wait for applications")
            .with_target(target.to_string())
            .with_message("the applications could not be listed");
        return Err(match failure {
            Some(failure) => error.with_source(failure),
            None => error,
        });
    };
    report.last_error = failure.map(|failure| failure.to_string());
    Ok(report)
}

impl Applications {
    /// Refreshes once and then waits, as after a change that the controller has not seen.
    ///
    /// # Errors
    /// Those of [`refresh`](Self::refresh) and [`wait`](Self::wait).
    pub async fn refresh_and_wait(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: &Poll,
    ) -> Result<WaitOutcome> {
        let budget = poll.ends_at().duration_since(Instant::now());
        self.refresh(application, Refresh::Normal, budget).await?;
        self.wait(application, conditions, poll).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_resource(health: &str) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "status": {"resources": [{"kind": "Deployment", "name": "web", "health": {"status": health}}]},
        }))
        .unwrap()
    }

    #[test]
    fn only_a_change_from_a_known_state_to_degraded_counts() {
        let mut known = BTreeMap::new();

        assert!(newly_degraded(&mut known, &with_resource("Degraded")).is_empty());
        assert!(newly_degraded(&mut known, &with_resource("Degraded")).is_empty());
        assert!(newly_degraded(&mut known, &with_resource("Progressing")).is_empty());
        assert_eq!(
            newly_degraded(&mut known, &with_resource("Degraded")),
            ["Deployment/web"]
        );
        assert!(newly_degraded(&mut known, &with_resource("Unknown")).is_empty());
        assert!(newly_degraded(&mut known, &with_resource("Degraded")).is_empty());
    }

    #[test]
    fn a_changed_set_of_applications_starts_to_settle_anew() {
        let row = WaitFor::nothing().judge(&with_resource("Healthy"));
        let one = ReadinessReport::new(vec![row.clone()], 1);
        let two = ReadinessReport::new(vec![row.clone(), row], 1);
        let mut since = None;

        assert!(has_settled(&one, &mut None, Duration::ZERO));
        assert!(!has_settled(&one, &mut since, Duration::from_secs(60)));
        let first = since.as_ref().map(|(started, _)| *started);
        assert!(!has_settled(&two, &mut since, Duration::from_secs(60)));
        assert_ne!(since.map(|(started, _)| started), first);
    }
}
