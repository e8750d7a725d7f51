//! Observe, act, verify, record: how every step is run.

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::event::{EventKind, Outcome};
use crate::run::step::{Observation, StepId};
use crate::state::journal::{Progress, Record};

/// One step of the chain.
///
/// `observe` changes nothing and fails where it cannot tell: unknown is never "absent". `act` brings the effect
/// about and may be cut short anywhere; the next `observe` says what is left.
pub(crate) trait Step: Sync {
    const ID: StepId;
    /// References to the effect, handed to later steps.
    type Output: Send;

    /// Whether the specification asks for this step at all.
    fn wanted(&self, _world: &World) -> bool {
        true
    }

    fn observe(
        &self,
        world: &World,
    ) -> impl Future<Output = Result<Observation<Self::Output>>> + Send;

    fn act(&self, world: &World) -> impl Future<Output = Result<()>> + Send;

    /// What is there now, in one line.
    fn summary(&self, output: &Self::Output) -> String;

    /// References for the journal, known before the step acts. Never key material.
    fn references(&self, _world: &World) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// What a step did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StepReport {
    /// The step.
    pub step: StepId,
    /// How it ended.
    pub outcome: Outcome,
    /// What is there now, in one line.
    pub summary: String,
    /// How long it took.
    #[serde(
        rename = "duration_ms",
        serialize_with = "crate::run::event::as_millis"
    )]
    pub duration: Duration,
}

/// Why a chain ends before its last step.
pub(crate) enum Stop {
    /// The step that was asked for is finished.
    Reached,
    Failed(Error),
}

/// A run in progress: what has been done and how far it shall go.
pub(crate) struct Run<'a> {
    world: &'a World,
    last: StepId,
    pub(crate) reports: Vec<StepReport>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(world: &'a World, last: StepId) -> Self {
        Self {
            world,
            last,
            reports: Vec::new(),
        }
    }

    /// Runs a step that the specification may do without; it has no output then.
    pub(crate) async fn perform_if_wanted<S: Step>(
        &mut self,
        step: &S,
    ) -> Result<Option<S::Output>, Stop> {
        let started = Instant::now();
        let output = if step.wanted(self.world) {
            Some(self.observed(step, started).await?)
        } else {
            self.not_wanted(S::ID)?;
            None
        };
        Ok(output)
    }

    /// Runs a step that only looks, however long it has to look.
    pub(crate) async fn check<T>(
        &mut self,
        step: StepId,
        look: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T, Stop> {
        self.begin(step)?;
        let started = Instant::now();
        let world = self.world.for_step(step);
        world.emit(EventKind::StepStarted);
        match look.await {
            Ok((found, summary)) => {
                self.finished(step, Outcome::Checked, &summary, started);
                Ok(found)
            }
            Err(error) => Err(failed(&world, step, error)),
        }
    }

    /// Runs a step that every specification asks for.
    pub(crate) async fn perform<S: Step>(&mut self, step: &S) -> Result<S::Output, Stop> {
        self.observed(step, Instant::now()).await
    }

    /// The last step that was asked for.
    pub(crate) fn last(&self) -> StepId {
        self.last
    }

    /// A step that depends on one that was not wanted.
    pub(crate) fn not_wanted(&mut self, step: StepId) -> Result<(), Stop> {
        self.begin(step)?;
        self.finished(
            step,
            Outcome::NotWanted,
            "not in the specification",
            Instant::now(),
        );
        Ok(())
    }

    async fn observed<S: Step>(&mut self, step: &S, started: Instant) -> Result<S::Output, Stop> {
        self.begin(S::ID)?;
        let world = self.world.for_step(S::ID);
        world.emit(EventKind::StepStarted);
        match converge(step, &world).await {
            Ok((output, outcome)) => {
                self.finished(S::ID, outcome, &step.summary(&output), started);
                Ok(output)
            }
            Err(error) => Err(failed(&world, S::ID, error)),
        }
    }

    /// Stops the chain before a step that was not asked for.
    fn begin(&self, step: StepId) -> Result<(), Stop> {
        if step <= self.last {
            Ok(())
        } else {
            Err(Stop::Reached)
        }
    }

    fn finished(&mut self, step: StepId, outcome: Outcome, summary: &str, started: Instant) {
        let duration = started.elapsed();
        self.world.for_step(step).emit(EventKind::StepFinished {
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

fn failed(world: &World, step: StepId, error: Error) -> Stop {
    let error = error.at_step(step);
    world.emit(EventKind::StepFailed {
        error: error.to_string(),
    });
    Stop::Failed(error)
}

async fn converge<S: Step>(step: &S, world: &World) -> Result<(S::Output, Outcome)> {
    let missing = match step.observe(world).await? {
        Observation::Done(output) => return Ok((output, Outcome::AlreadyDone)),
        Observation::Absent(missing) => missing,
    };
    world.emit(EventKind::Acting { because: missing });
    record(step, world, Progress::Begun).await?;
    step.act(world).await?;
    match step.observe(world).await? {
        Observation::Done(output) => {
            record(step, world, Progress::Done).await?;
            Ok((output, Outcome::Done))
        }
        Observation::Absent(still_missing) => Err(Error::new(ErrorKind::Failed, "verify the step")
            .with_message(format!("everything was done, but {still_missing}"))
            .uncertain(true)),
    }
}

async fn record<S: Step>(step: &S, world: &World, progress: Progress) -> Result<()> {
    let record = step.references(world).into_iter().fold(
        Record::new(world.cluster_name(), S::ID, progress),
        |record, (key, value)| record.with(key, value),
    );
    world.journal().append(record).await
}
