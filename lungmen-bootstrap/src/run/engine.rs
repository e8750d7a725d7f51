//! The engine: observe, act, verify, record. Every step runs through it.

use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::event::{EventKind, Outcome};
use crate::run::report::StepReport;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::journal::{Record, RecordState};

/// Why a chain ends before its last step.
pub(crate) enum Stop {
    /// The last requested step is finished.
    Reached,
    Failed(Error),
}

/// A run in progress: the reports so far and the last requested step.
pub(crate) struct Run<'a> {
    context: &'a Context,
    last: StepId,
    pub(crate) reports: Vec<StepReport>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(context: &'a Context, last: StepId) -> Self {
        Self {
            context,
            last,
            reports: Vec::new(),
        }
    }

    /// Runs a step that every specification enables.
    pub(crate) async fn run<S: Step>(&mut self, step: &S) -> Result<S::Output, Stop> {
        self.start(S::ID)?;
        let started = Instant::now();
        let context = self.context.for_step(S::ID);
        context.emit(EventKind::StepStarted);
        match reconcile(step, &context).await {
            Ok((output, outcome)) => {
                self.finish(S::ID, outcome, &step.summary(&output), started);
                Ok(output)
            }
            Err(error) => Err(failed(&context, S::ID, error)),
        }
    }

    /// Runs a step that the specification may leave out; it has no output then.
    pub(crate) async fn run_if_enabled<S: Step>(
        &mut self,
        step: &S,
    ) -> Result<Option<S::Output>, Stop> {
        if step.enabled(self.context) {
            self.run(step).await.map(Some)
        } else {
            self.skip(S::ID)?;
            Ok(None)
        }
    }

    /// Reports a step that the specification leaves out.
    pub(crate) fn skip(&mut self, step: StepId) -> Result<(), Stop> {
        self.start(step)?;
        self.context.for_step(step).emit(EventKind::StepStarted);
        self.finish(step, Outcome::Skipped, "not configured", Instant::now());
        Ok(())
    }

    /// The last requested step.
    pub(crate) fn last(&self) -> StepId {
        self.last
    }

    /// Ends the chain before a step that was not requested.
    fn start(&self, step: StepId) -> Result<(), Stop> {
        if step <= self.last {
            Ok(())
        } else {
            Err(Stop::Reached)
        }
    }

    fn finish(&mut self, step: StepId, outcome: Outcome, summary: &str, started: Instant) {
        let duration = started.elapsed();
        self.context.for_step(step).emit(EventKind::StepFinished {
            outcome,
            summary: summary.to_owned(),
            duration,
        });
        self.reports.push(StepReport {
            step,
            outcome,
            summary: summary.to_owned(),
            duration,
        });
    }
}

fn failed(context: &Context, step: StepId, error: Error) -> Stop {
    let error = error.at_step(step);
    context.emit(EventKind::StepFailed {
        error: error.to_string(),
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
    record(step, context, RecordState::Started).await?;
    step.act(context).await?;
    match step.observe(context).await? {
        Observation::Done(output) => {
            record(step, context, RecordState::Done).await?;
            Ok((output, Outcome::Done))
        }
        Observation::Absent(still_missing) => Err(Error::new(ErrorKind::Server, "verify the step")
            .with_message(format!(
                "the step completed without error, but its verification failed: {still_missing}"
            ))
            .uncertain(true)),
    }
}

async fn record<S: Step>(step: &S, context: &Context, state: RecordState) -> Result<()> {
    let record = step.references(context).into_iter().fold(
        Record::new(context.cluster_name(), S::ID, state),
        |record, (key, value)| record.with(key, value),
    );
    context.journal().append(record).await
}
