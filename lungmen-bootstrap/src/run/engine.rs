//! The engine: observe, act, verify, record. Every step runs through it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::{EventKind, Outcome};
use crate::run::report::{StepReport, StepState, StepStatus};
use crate::run::server::located;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::Budget;
use crate::state::journal::{Record, RecordState};
use crate::state::lease::Lease;
use crate::state::record::ClusterRecord;

/// Why a chain ends before its last step.
pub(crate) enum Stop {
    /// The last requested step is finished.
    Reached,
    /// The time for waiting is used up in this step, which waits for servers.
    OutOfTime(StepId),
    Failed(Error),
}

impl Stop {
    /// All values of work that went on side by side, or why some of it stopped: a failure says more than a lack of time, and
    /// that more than the end of what was requested.
    pub(crate) fn unless_all<T>(
        ended: impl IntoIterator<Item = Result<T, Self>>,
    ) -> Result<Vec<T>, Self> {
        let (mut values, mut failures, mut other) = (Vec::new(), Vec::new(), None);
        for end in ended {
            match end {
                Ok(value) => values.push(value),
                Err(Self::Failed(error)) => failures.push(error),
                Err(Self::OutOfTime(step)) => other = Some(Self::OutOfTime(step)),
                Err(Self::Reached) => other = other.or(Some(Self::Reached)),
            }
        }
        match Error::of_several(failures).map(Self::Failed).or(other) {
            Some(stop) => Err(stop),
            None => Ok(values),
        }
    }
}

/// What is done with a step whose effect is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It acts.
    Apply,
    /// The run ends there; nothing is changed.
    Observe,
}

/// What a wait gets at least, so that a small budget comes forward too.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// A run in progress: the reports so far and the last requested step.
pub(crate) struct Run {
    context: Context,
    last: StepId,
    mode: Mode,
    /// How long the run may wait in all; without it every wait has its own deadline only.
    budget: Option<Budget>,
    /// Steps of the cluster and those of its machines end side by side.
    reports: Mutex<Vec<StepReport>>,
    states: Mutex<Vec<StepState>>,
}

impl Run {
    pub(crate) fn new(context: Context, last: StepId) -> Self {
        Self {
            context,
            last,
            mode: Mode::Apply,
            budget: None,
            reports: Mutex::default(),
            states: Mutex::default(),
        }
    }

    /// A run that observes every step and changes nothing.
    pub(crate) fn observing(context: Context) -> Self {
        Self {
            mode: Mode::Observe,
            ..Self::new(context, StepId::Applications)
        }
    }

    /// The same run, which waits no longer than the budget in all.
    pub(crate) fn within(mut self, budget: Option<Budget>) -> Self {
        self.budget = budget;
        self
    }

    /// Reconciles a step. With a budget, a wait for a server ends with it; what the run does itself is never cut short.
    pub(super) async fn within_budget<S: Step>(
        &self,
        step: &S,
        context: Context,
    ) -> Result<Result<(S::Output, Outcome)>, Stop> {
        let waits = context.timing().of_servers(S::ID).is_some();
        let Some(budget) = self.budget.filter(|_| waits) else {
            return Ok(reconcile(step, &context).await);
        };
        let left = budget.left().max(LEAST_WAIT);
        let context = context.in_slice(left);
        if S::KIND == Kind::Check {
            let ended = tokio::time::timeout(left, reconcile(step, &context)).await;
            return ended.map_err(|_| Stop::OutOfTime(S::ID));
        }
        match reconcile(step, &context).await {
            Err(error) if error.kind() == ErrorKind::Deadline && budget.left().is_zero() => {
                Err(Stop::OutOfTime(S::ID))
            }
            ended => Ok(ended),
        }
    }

    pub(crate) fn only_observes(&self) -> bool {
        self.mode == Mode::Observe
    }

    /// Runs a step that every specification enables.
    pub(crate) async fn run<S: Step>(&self, step: &S) -> Result<S::Output, Stop> {
        if self.only_observes() {
            return self.look(step).await;
        }
        self.start(S::ID)?;
        let started = Instant::now();
        let context = self.context.for_step(S::ID);
        context.emit(EventKind::StepStarted);
        let span = tracing::info_span!("step", cluster = context.cluster_name(), step = %S::ID);
        let ended = self
            .within_budget(step, context.clone())
            .instrument(span)
            .await;
        match ended? {
            Ok((output, outcome)) => {
                self.finish(S::ID, outcome, &step.summary(&output), started);
                Ok(output)
            }
            Err(error) => Err(failed(&context, S::ID, error)),
        }
    }

    /// Runs a step that the specification may leave out; it has no output then.
    pub(crate) async fn run_if_enabled<S: Step>(
        &self,
        step: &S,
    ) -> Result<Option<S::Output>, Stop> {
        if step.enabled(&self.context) {
            self.run(step).await.map(Some)
        } else {
            self.skip(S::ID)?;
            Ok(None)
        }
    }

    /// Observes a step. The run ends at the first one that is not done: later ones need its output.
    async fn look<S: Step>(&self, step: &S) -> Result<S::Output, Stop> {
        let observed = step.look(&self.context.for_step(S::ID)).await;
        self.seen(S::ID, observed, |output| step.summary(output))
    }

    /// Takes down what was observed of a step.
    pub(crate) fn seen<T>(
        &self,
        step: StepId,
        observed: Result<Observation<T>>,
        summary: impl FnOnce(&T) -> String,
    ) -> Result<T, Stop> {
        let (status, output) = match observed {
            Ok(Observation::Done(output)) => {
                let summary = summary(&output);
                (StepStatus::Done { summary }, Some(output))
            }
            Ok(Observation::Absent(reason)) => (StepStatus::Absent { reason }, None),
            Err(error) => {
                let cause = error.cause_line();
                (StepStatus::Unknown { cause }, None)
            }
        };
        self.state(step, status);
        output.ok_or(Stop::Reached)
    }

    fn state(&self, step: StepId, status: StepStatus) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.push(StepState { step, status });
    }

    /// What was observed, in the order of the steps.
    pub(crate) fn into_states(self) -> Vec<StepState> {
        self.states
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports a step that the specification leaves out.
    pub(crate) fn skip(&self, step: StepId) -> Result<(), Stop> {
        if self.only_observes() {
            self.state(step, StepStatus::Skipped);
            return Ok(());
        }
        self.start(step)?;
        self.context.for_step(step).emit(EventKind::StepStarted);
        self.finish(step, Outcome::Skipped, "not configured", Instant::now());
        Ok(())
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Acquires the lease of the cluster. Everything afterwards happens only while it is held.
    pub(crate) async fn acquire_lease(&mut self) -> Result<Lease, Stop> {
        let context = self.context.for_step(StepId::Claim);
        let options = context.options().lease;
        let started = Instant::now();
        let mut attempt = 0;
        let acquired = Lease::acquire(Arc::clone(context.store()), options, |held| {
            attempt += 1;
            context.emit(EventKind::Waiting {
                waiting_for: "the lease of the cluster".into(),
                cause: format!("{} holds it", held.holder),
                attempt,
                elapsed: started.elapsed(),
                deadline: options.deadline(),
            });
        })
        .await;
        let lease = acquired.map_err(|error| failed(&context, StepId::Claim, error))?;
        self.context = self.context.with_lease(lease.guard());
        Ok(lease)
    }

    /// Goes on with the recorded cluster.
    pub(crate) fn adopt(&mut self, record: ClusterRecord) -> Result<(), Stop> {
        self.context = self
            .context
            .with_record(record)
            .map_err(|error| failed(&self.context, StepId::Claim, error))?;
        Ok(())
    }

    /// Ends the run because of an error outside a step: at the step after the last finished one.
    pub(crate) fn failed(&self, error: Error) -> Stop {
        let finished = self.reports().iter().map(|report| report.step).max();
        let step = StepId::ALL
            .into_iter()
            .find(|step| Some(*step) > finished)
            .unwrap_or(StepId::Applications);
        failed(&self.context.for_step(step), step, error)
    }

    /// Whether the step changed something.
    pub(crate) fn acted(&self, step: StepId) -> bool {
        let acted = |report: &StepReport| report.step == step && report.outcome == Outcome::Done;
        self.reports().iter().any(acted)
    }

    fn reports(&self) -> MutexGuard<'_, Vec<StepReport>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reports of the finished steps, in the order of the steps.
    pub(crate) fn into_reports(self) -> Vec<StepReport> {
        let mut reports = self
            .reports
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        reports.sort_by_key(|report| report.step);
        reports
    }

    /// The last requested step.
    pub(crate) fn last(&self) -> StepId {
        self.last
    }

    /// Ends the chain before a step that was not requested.
    pub(crate) fn start(&self, step: StepId) -> Result<(), Stop> {
        if step <= self.last {
            Ok(())
        } else {
            Err(Stop::Reached)
        }
    }

    pub(super) fn finish(&self, step: StepId, outcome: Outcome, summary: &str, started: Instant) {
        let duration = started.elapsed();
        self.context.for_step(step).emit(EventKind::StepFinished {
            outcome,
            summary: summary.to_owned(),
            duration,
        });
        self.reports().push(StepReport {
            step,
            outcome,
            summary: summary.to_owned(),
            duration,
        });
    }
}

/// Places the error, and reports it.
pub(super) fn failed(context: &Context, step: StepId, error: Error) -> Stop {
    let place = |error: Error| located(context, error.at_step(step));
    let error = place(error).with_each_other(place);
    context.emit(EventKind::StepFailed {
        error: error.with_others_line(),
    });
    Stop::Failed(error)
}

async fn reconcile<S: Step>(step: &S, context: &Context) -> Result<(S::Output, Outcome)> {
    let missing = match step.observe(context).await? {
        Observation::Done(output) if S::KIND == Kind::Check => {
            return Ok((output, Outcome::Checked));
        }
        Observation::Done(output) => return Ok((output, Outcome::AlreadyDone)),
        Observation::Absent(missing) => missing,
    };
    context.emit(EventKind::Acting { reason: missing });
    record(step, context, RecordState::Started, Vec::new()).await?;
    context.before_effect().await?;
    step.act(context).await?;
    match step.observe(context).await? {
        Observation::Done(output) => {
            record(step, context, RecordState::Done, step.evidence(&output)).await?;
            Ok((output, Outcome::Done))
        }
        Observation::Absent(still_missing) => Err(Error::new(ErrorKind::Server, "verify the step")
            .with_message(format!(
                "the step completed without error, but its verification failed: {still_missing}"
            ))
            .uncertain(true)),
    }
}

async fn record<S: Step>(
    step: &S,
    context: &Context,
    state: RecordState,
    evidence: Vec<(&'static str, String)>,
) -> Result<()> {
    let references = step.references(context).into_iter().chain(evidence);
    let record = references.fold(
        Record::new(context.cluster_name(), S::ID, state),
        |record, (key, value)| record.with(key, value),
    );
    context.journal().append(record).await
}
