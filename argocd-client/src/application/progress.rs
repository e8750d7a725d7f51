//! How far a wait for several applications is, and when it ends.

use std::time::Duration;

use tokio::time::Instant;

use super::report::ReadinessReport;
use super::target_wait::TargetWait;
use super::wait::Waiting;
use super::watch::Failure;
use crate::error::{Error, Result};
use crate::poll::WaitState;

/// Since when the same applications have been in one state: all ready, or failed for good.
#[derive(Default)]
struct Held {
    since: Option<(Instant, Vec<String>)>,
}

impl Held {
    /// Looks at the next report, and says whether the state began with it or is not there.
    fn look(&mut self, report: &ReadinessReport, holds: bool) -> bool {
        if !holds {
            self.since = None;
            return true;
        }
        let rows = report.rows.iter();
        let names: Vec<String> = rows
            .map(|row| format!("{}/{}", row.namespace, row.name))
            .collect();
        match &self.since {
            Some((_, known)) if *known == names => false,
            _ => {
                self.since = Some((Instant::now(), names));
                true
            }
        }
    }

    /// When the state will have lasted for so long.
    fn until(&self, duration: Duration) -> Option<Instant> {
        let (since, _) = self.since.as_ref()?;
        since.checked_add(duration)
    }

    fn has_lasted(&self, duration: Duration) -> bool {
        let since = self.since.as_ref();
        since.is_some_and(|(since, _)| since.elapsed() >= duration)
    }
}

/// Whose applications are waited for.
pub(crate) struct Subject {
    /// In sentences.
    pub(crate) name: String,
    /// In errors.
    pub(crate) target: String,
}

pub(super) enum Judgement {
    Pending,
    /// All are ready by what the stream said, which may have dropped something.
    Unconfirmed,
    Ended(ReadinessReport),
}

/// What is known so far.
pub(super) struct Progress {
    target: String,
    waiting: Waiting,
    ready: Held,
    failing: Held,
    /// Whether a list has shown the present state.
    confirmed: bool,
    report: Option<ReadinessReport>,
    failure: Option<Error>,
}

impl Progress {
    pub(super) fn new(wait: &TargetWait, subject: Subject) -> Self {
        let waiting_for = format!("the applications of {} to be ready", subject.name);
        Self {
            waiting: Waiting::new(waiting_for, wait.poll),
            target: subject.target,
            ready: Held::default(),
            failing: Held::default(),
            confirmed: false,
            report: None,
            failure: None,
        }
    }

    pub(super) fn has_listed(&self) -> bool {
        self.report.is_some()
    }

    /// When the state will have lasted long enough to end the wait; nothing for a moment that has passed.
    pub(super) fn next_moment(&self, wait: &TargetWait) -> Option<Instant> {
        let ready = self.ready.until(wait.stable_for);
        let failing = self.failing.until(wait.poll.interval(1));
        let now = Instant::now();
        let moments = ready.into_iter().chain(failing);
        moments.filter(|moment| *moment > now).min()
    }

    pub(super) fn judge(
        &mut self,
        mut now: ReadinessReport,
        listed: bool,
        wait: &TargetWait,
        observer: &mut impl FnMut(&WaitState),
    ) -> Judgement {
        let began = self.ready.look(&now, now.is_ready());
        self.confirmed = listed || (self.confirmed && !began);
        self.failing.look(&now, now.is_failed());
        let settled = self.ready.has_lasted(wait.stable_for);
        now.changing = now.is_ready() && !(settled && self.confirmed);
        let ended = (settled && self.confirmed) || self.failing.has_lasted(wait.poll.interval(1));
        self.failure = if listed { None } else { self.failure.take() };
        let cause = now.summary();
        if listed || cause != self.waiting.state.cause {
            self.waiting.state.attempt += 1;
            self.waiting.state.cause = cause;
            self.waiting.report(observer);
        }
        if ended {
            return Judgement::Ended(now);
        }
        self.report = Some(now);
        if settled {
            Judgement::Unconfirmed
        } else {
            Judgement::Pending
        }
    }

    /// Notes a failure and says after which interval to go on.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        observer: &mut impl FnMut(&WaitState),
    ) -> Duration {
        self.waiting.state.attempt += 1;
        if let Failure::List(error) = failure {
            self.waiting.state.cause = error.to_string();
            self.failure = Some(error);
        }
        self.waiting.report(observer)
    }

    pub(super) fn at_the_deadline(self) -> Result<ReadinessReport> {
        match self.report {
            Some(mut report) => {
                report.last_error = self.failure.map(|failure| failure.to_string());
                Ok(report)
            }
            None => Err(self.waiting.state.timed_out(
                "wait for applications",
                &self.target,
                self.failure,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{Application, WaitFor};

    #[test]
    fn a_changed_set_of_applications_must_be_stable_from_its_own_start() {
        let row = WaitFor::nothing().judge(&Application::default());
        let one = ReadinessReport::new(vec![row.clone()], 1);
        let two = ReadinessReport::new(vec![row.clone(), row], 1);
        let mut held = Held::default();

        assert!(held.look(&one, true));
        assert!(held.has_lasted(Duration::ZERO));
        assert!(!held.has_lasted(Duration::from_secs(60)));
        assert!(!held.look(&one, true));
        let first = held.until(Duration::ZERO);
        assert!(held.look(&two, true));
        assert_ne!(held.until(Duration::ZERO), first);
        assert!(held.look(&two, false));
        assert_eq!(held.until(Duration::ZERO), None);
    }
}
