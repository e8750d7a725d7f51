//! Waiting for one application, with the rules of `argocd app wait`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::model::Application;
use super::readiness::{WaitFor, in_progress};
use super::reference::AppRef;
use super::status::{HealthStatus, OperationPhase};
use super::{Applications, Refresh};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, WaitState};

const OPERATION: &str = "wait for application";

/// How waiting for one application ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use = "an application that is not ready is not an error"]
pub enum WaitOutcome {
    /// All conditions hold.
    Ready(Box<Application>),
    /// Resources turned `Degraded` while health was waited for.
    Degraded {
        /// The resources, as `Kind/name`.
        resources: Vec<String>,
        /// The application when this was seen.
        last: Box<Application>,
    },
    /// The last operation failed and the controller will not repeat it for this revision.
    OperationFailed {
        /// `Failed` or `Error`.
        phase: OperationPhase,
        /// The controller's message.
        message: String,
        /// The application when this was seen.
        last: Box<Application>,
    },
    /// The application does not exist, and the account has the right to see it if it did.
    Deleted,
    /// The deadline passed.
    TimedOut {
        /// The application as it was last seen, if it was seen at all.
        last: Option<Box<Application>>,
        /// What was waited for and why it did not happen.
        reason: String,
    },
}

impl WaitOutcome {
    /// The ready application, or an error that says what is wrong.
    ///
    /// # Errors
    /// [`OperationFailed`](ErrorKind::OperationFailed) for degraded resources and failed operations,
    /// [`NotFound`](ErrorKind::NotFound) for a deleted application,
    /// [`Deadline`](ErrorKind::Deadline) when the deadline passed.
    pub fn into_ready(self) -> Result<Application> {
        let error = |kind| Error::new(kind, OPERATION);
        let target = |last: &Application| AppRef::from(last).to_string();
        match self {
            Self::Ready(application) => Ok(*application),
            Self::Degraded { resources, last } => Err(error(ErrorKind::OperationFailed)
                .with_target(target(&last))
                .with_message(format!("degraded: {}", resources.join(", ")))),
            Self::OperationFailed {
                phase,
                message,
                last,
            } => Err(error(ErrorKind::OperationFailed)
                .with_target(target(&last))
                .with_message(format!("operation {phase}: {message}"))),
            Self::Deleted => {
                Err(error(ErrorKind::NotFound).with_message("the application does not exist"))
            }
            Self::TimedOut { last, reason } => Err(error(ErrorKind::Deadline)
                .with_target(last.map(|last| target(&last)).unwrap_or_default())
                .with_message(reason)),
        }
    }
}

/// What one probe of an application found.
enum Found {
    End(WaitOutcome),
    Pending(String),
}

/// What a wait remembers between two probes.
struct Watched<'a> {
    conditions: &'a WaitFor,
    health: BTreeMap<String, HealthStatus>,
    /// End of the failed operation that the last probe saw, to see it twice.
    failed_at: Option<jiff::Timestamp>,
    seen: Option<Application>,
}

impl Watched<'_> {
    /// Judges what a probe found, in the order of the command line: ready, degraded, failed.
    fn judge(&mut self, application: Application) -> Found {
        let row = self.conditions.judge(&application);
        if row.ready {
            return Found::End(WaitOutcome::Ready(Box::new(application)));
        }
        let degraded = newly_degraded(&mut self.health, &application);
        if self.conditions.wants_health() && !degraded.is_empty() {
            return Found::End(WaitOutcome::Degraded {
                resources: degraded,
                last: Box::new(application),
            });
        }
        let failed_at = final_failure(&application);
        if failed_at.is_some() && failed_at == self.failed_at {
            return Found::End(failed(application));
        }
        self.failed_at = failed_at;
        let mut cause = row.to_string();
        if row.operation == OperationPhase::Succeeded && in_progress(&application) {
            cause.push_str(": the status is older than the last operation");
        }
        self.seen = Some(application);
        Found::Pending(cause)
    }
}

fn failed(application: Application) -> WaitOutcome {
    let state = application
        .status
        .operation_state
        .clone()
        .unwrap_or_default();
    WaitOutcome::OperationFailed {
        phase: state.phase,
        message: state.message,
        last: Box::new(application),
    }
}

/// When the last operation failed for good: the controller has compared since, and has not started
/// another one. It never repeats a failed automatic synchronisation of the same revision.
pub(super) fn final_failure(application: &Application) -> Option<jiff::Timestamp> {
    let state = application.status.operation_state.as_ref()?;
    let finished = state.finished_at?;
    let compared = application.status.reconciled_at? >= finished;
    (state.phase.is_failure() && compared && application.operation.is_none()).then_some(finished)
}

/// Probes an application until it is ready, lost or too late.
pub(crate) async fn one(
    probe: impl AsyncFn() -> Result<Option<Application>>,
    reference: &AppRef,
    conditions: &WaitFor,
    poll: Poll,
    mut observer: impl FnMut(&WaitState),
) -> Result<WaitOutcome> {
    let end = poll.ends_at();
    let mut waiting = Waiting::new(format!("application {reference} to be ready"), poll);
    let mut watched = Watched {
        conditions,
        health: BTreeMap::new(),
        failed_at: None,
        seen: None,
    };
    let mut failure: Option<Error> = None;
    loop {
        waiting.state.attempt += 1;
        let Ok(read) = timeout_at(end, probe()).await else {
            return waiting.timed_out(reference, watched.seen, failure);
        };
        match read {
            Ok(None) => return Ok(WaitOutcome::Deleted),
            Ok(Some(application)) => match watched.judge(application) {
                Found::End(outcome) => return Ok(outcome),
                Found::Pending(cause) => {
                    waiting.state.cause = cause;
                    failure = None;
                }
            },
            Err(error) if error.is_retryable() => {
                waiting.state.cause = error.to_string();
                failure = Some(error);
            }
            Err(error) => return Err(error),
        }
        let interval = waiting.report(&mut observer);
        if Instant::now() + interval >= end {
            return waiting.timed_out(reference, watched.seen, failure);
        }
        sleep(interval).await;
    }
}

/// The application, or none when its absence is proved.
async fn probe(applications: &Applications, reference: &AppRef) -> Result<Option<Application>> {
    match applications.application(reference).await {
        Ok(application) => Ok(Some(application)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The state of a wait and its plan.
pub(super) struct Waiting {
    pub(super) state: WaitState,
    poll: Poll,
    started: Instant,
}

impl Waiting {
    pub(super) fn new(waiting_for: String, poll: Poll) -> Self {
        Self {
            state: WaitState {
                waiting_for: waiting_for.into(),
                cause: String::new(),
                attempt: 0,
                elapsed: Duration::ZERO,
                deadline: poll.total(),
            },
            poll,
            started: Instant::now(),
        }
    }

    /// Tells the observer and returns the interval until the next probe.
    pub(super) fn report(&mut self, observer: &mut impl FnMut(&WaitState)) -> Duration {
        self.state.elapsed = self.started.elapsed();
        observer(&self.state);
        self.poll.interval(self.state.attempt)
    }

    fn timed_out(
        &self,
        reference: &AppRef,
        seen: Option<Application>,
        failure: Option<Error>,
    ) -> Result<WaitOutcome> {
        let unread = failure.is_some();
        let error = self
            .state
            .timed_out(OPERATION, &reference.to_string(), failure);
        if unread {
            return Err(error);
        }
        Ok(WaitOutcome::TimedOut {
            last: seen.map(Box::new),
            reason: error.message().to_owned(),
        })
    }
}

/// The resources that were healthy, or progressing, at the last probe and are `Degraded` now.
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

impl Applications {
    /// Waits for one application with the rules of `argocd app wait`.
    ///
    /// Like the command line, the wait ends early when a resource turns `Degraded` while health is
    /// waited for. Unlike it, the wait also ends when the last operation failed for good, and an
    /// application that is being deleted is never ready. The outcome is a value: an application that
    /// is not ready in time is not an error.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when the account may not see the
    /// application; [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session;
    /// [`Deadline`](ErrorKind::Deadline) when the server could not be asked at the end.
    pub async fn wait(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
    ) -> Result<WaitOutcome> {
        self.wait_observed(application, conditions, poll, |_| {})
            .await
    }

    /// The same as [`wait`](Self::wait); `observer` sees the state after every probe.
    ///
    /// # Errors
    /// The kinds of [`wait`](Self::wait).
    pub async fn wait_observed(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<WaitOutcome> {
        one(
            async || probe(self, application).await,
            application,
            conditions,
            poll,
            observer,
        )
        .await
    }

    /// Refreshes once and then waits, as after a change that the controller has not seen. The
    /// deadline of `poll` covers both.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) when the refresh takes longer than the deadline;
    /// [`NotFound`](ErrorKind::NotFound), [`Forbidden`](ErrorKind::Forbidden),
    /// [`Unauthenticated`](ErrorKind::Unauthenticated); [`Deadline`](ErrorKind::Deadline) when the
    /// application could not be read at the end.
    pub async fn refresh_and_wait(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
    ) -> Result<WaitOutcome> {
        let end = poll.ends_at();
        self.refresh(application, Refresh::Normal, poll.total())
            .await?;
        let left = end.saturating_duration_since(Instant::now());
        self.wait(application, conditions, poll.deadline(left))
            .await
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
    fn a_failed_operation_is_final_once_the_controller_has_compared_since() {
        let application = |reconciled: &str, operation: serde_json::Value| -> Application {
            serde_json::from_value(json!({
                "operation": operation,
                "status": {
                    "reconciledAt": reconciled,
                    "operationState": {"phase": "Failed", "finishedAt": "2026-01-01T00:00:10Z"},
                },
            }))
            .unwrap()
        };

        let none = serde_json::Value::Null;
        assert!(final_failure(&application("2026-01-01T00:00:10Z", none.clone())).is_some());
        assert!(final_failure(&application("2026-01-01T00:00:09Z", none)).is_none());
        assert!(final_failure(&application("2026-01-01T00:00:11Z", json!({"sync": {}}))).is_none());
    }
}
