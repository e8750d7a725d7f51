//! Waiting for all applications of a cluster.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Applications;
use super::readiness::WaitFor;
use super::reference::Target;
use super::report::ReadinessReport;
use super::wait::Waiting;
use crate::error::{Error, Result};
use crate::poll::{Poll, WaitState};

/// How all applications of a cluster are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan does nothing until it is given to a wait"]
pub struct TargetWait {
    conditions: WaitFor,
    poll: Poll,
    at_least: usize,
    stable_for: Duration,
}

impl TargetWait {
    /// Probes as often and as long as `poll` says; synced, healthy, no operation pending.
    ///
    /// By default at least one application must exist, and the state need not hold for longer.
    pub fn new(poll: Poll) -> Self {
        Self {
            conditions: WaitFor::default(),
            poll,
            at_least: 1,
            stable_for: Duration::ZERO,
        }
    }

    /// Sets what must hold for every application.
    pub fn conditions(mut self, conditions: WaitFor) -> Self {
        self.conditions = conditions;
        self
    }

    /// Sets how many applications must exist. None at all is ambiguous: application sets may not
    /// have created theirs yet. `0` accepts that.
    pub fn at_least(mut self, applications: usize) -> Self {
        self.at_least = applications;
        self
    }

    /// Sets how long the same applications must stay ready. Health changes back and forth right
    /// after a synchronisation, and applications create further ones.
    pub fn stable_for(mut self, duration: Duration) -> Self {
        self.stable_for = duration;
        self
    }
}

/// Since when the same applications have been ready.
#[derive(Default)]
struct Stable {
    since: Option<(Instant, Vec<String>)>,
}

impl Stable {
    /// Whether the same set of applications has been ready for long enough.
    fn holds(&mut self, report: &ReadinessReport, stable_for: Duration) -> bool {
        if !report.is_ready() {
            self.since = None;
            return false;
        }
        let names: Vec<String> = report
            .rows
            .iter()
            .map(|row| format!("{}/{}", row.namespace, row.name))
            .collect();
        match &self.since {
            Some((started, known)) if *known == names => started.elapsed() >= stable_for,
            _ => {
                self.since = Some((Instant::now(), names));
                stable_for.is_zero()
            }
        }
    }
}

pub(super) async fn all(
    applications: &Applications,
    target: &Target,
    wait: &TargetWait,
    mut observer: impl FnMut(&WaitState),
) -> Result<ReadinessReport> {
    let end = wait.poll.ends_at();
    let waiting_for = format!("the applications of {} to be ready", target.name());
    let mut waiting = Waiting::new(waiting_for, wait.poll);
    let mut last = Last::default();
    let mut stable = Stable::default();
    loop {
        waiting.state.attempt += 1;
        match timeout_at(end, applications.report(target, &wait.conditions)).await {
            Ok(Ok(mut now)) => {
                now.expected = wait.at_least;
                let settled = stable.holds(&now, wait.stable_for);
                now.changing = now.is_ready() && !settled;
                waiting.state.cause = now.summary();
                let ended = settled || last.has_failed_twice(&now);
                if ended {
                    waiting.report(&mut observer);
                    return Ok(now);
                }
                last = Last {
                    report: Some(now),
                    failure: None,
                };
            }
            Ok(Err(error)) if error.is_retryable() => {
                waiting.state.cause = error.to_string();
                last.failure = Some(error);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return last.at_the_deadline(target, &waiting.state),
        }
        let interval = waiting.report(&mut observer);
        if Instant::now() + interval >= end {
            return last.at_the_deadline(target, &waiting.state);
        }
        sleep(interval).await;
    }
}

/// What the last probes found.
#[derive(Default)]
struct Last {
    report: Option<ReadinessReport>,
    failure: Option<Error>,
}

impl Last {
    /// Whether nothing but failed operations is left, now and at the last probe.
    fn has_failed_twice(&self, now: &ReadinessReport) -> bool {
        now.is_failed() && self.report.as_ref().is_some_and(ReadinessReport::is_failed)
    }

    fn at_the_deadline(self, target: &Target, state: &WaitState) -> Result<ReadinessReport> {
        match self.report {
            Some(mut report) => {
                report.last_error = self.failure.map(|failure| failure.to_string());
                Ok(report)
            }
            None => {
                Err(state.timed_out("wait for applications", &target.to_string(), self.failure))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Application;

    #[test]
    fn a_changed_set_of_applications_must_be_stable_from_its_own_start() {
        let row = WaitFor::nothing().judge(&Application::default());
        let one = ReadinessReport::new(vec![row.clone()], 1);
        let two = ReadinessReport::new(vec![row.clone(), row], 1);
        let mut stable = Stable::default();

        assert!(Stable::default().holds(&one, Duration::ZERO));
        assert!(!stable.holds(&one, Duration::from_secs(60)));
        let first = stable.since.as_ref().map(|(started, _)| *started);
        assert!(!stable.holds(&two, Duration::from_secs(60)));
        assert_ne!(stable.since.map(|(started, _)| started), first);
    }
}
