//! A step that several things pass one by one: machines, each as soon as it has passed the step before, or the ISOs they boot.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use tracing::Instrument as _;

use crate::desired::DesiredMachine;
use crate::error::{Error, Result, all_of};
use crate::nodes::each::each;
use crate::run::context::Context;
use crate::run::engine::{Run, Stop, failed};
use crate::run::event::{EventKind, Outcome};
use crate::run::step::{Observation, Step, StepId};

/// Makes one line of the lines of all that passed.
pub(crate) type Summary = fn(&[String]) -> String;

/// The step begins with the first machine that comes to it and is finished with the last one that has passed it.
pub(crate) struct Stage<'run> {
    run: &'run Run,
    id: StepId,
    count: usize,
    summary: Summary,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    started: Option<Instant>,
    outcome: Option<Outcome>,
    /// What is there now of each that has passed, by its name.
    passed: BTreeMap<String, String>,
}

impl<'run> Stage<'run> {
    /// A stage for so many machines or other things.
    pub(crate) fn new(run: &'run Run, id: StepId, count: usize, summary: Summary) -> Self {
        Self {
            run,
            id,
            count,
            summary,
            progress: Mutex::default(),
        }
    }

    /// Begins the step, unless another machine has.
    ///
    /// # Errors
    /// [`Stop::Reached`] when the step was not requested.
    pub(crate) fn enter(&self) -> Result<(), Stop> {
        self.run.start(self.id)?;
        let mut progress = self.progress();
        if progress.started.is_none() {
            progress.started = Some(Instant::now());
            drop(progress);
            self.context().emit(EventKind::StepStarted);
        }
        Ok(())
    }

    /// Does on one machine what the step is about, and notes that the machine has passed.
    pub(crate) async fn pass<S: Step>(&self, step: &S, machine: &str) -> Result<S::Output, Stop> {
        let output = self.work(step, machine).await?;
        self.passed(machine, step.summary(&output));
        Ok(output)
    }

    /// Does on one machine a part of what the step is about.
    pub(crate) async fn work<S: Step>(&self, step: &S, machine: &str) -> Result<S::Output, Stop> {
        let context = self.context().for_machine(machine);
        let span = tracing::info_span!(
            "step",
            cluster = context.cluster_name(),
            step = %self.id,
            machine
        );
        let ended = self.reconcile(step, &context).instrument(span).await?;
        ended.map_err(|error| failed(&context, self.id, error.at_machine(machine.to_owned())))
    }

    /// Does what the step is about for something that no machine alone has, and notes that it has passed.
    pub(crate) async fn pass_for_all<S: Step>(
        &self,
        step: &S,
        name: &str,
    ) -> Result<S::Output, Stop> {
        let context = self.context();
        let span = tracing::info_span!(
            "step",
            cluster = context.cluster_name(),
            step = %self.id,
            name
        );
        let ended = self.reconcile(step, &context).instrument(span).await?;
        let output = ended.map_err(|error| failed(&context, self.id, error))?;
        self.passed(name, step.summary(&output));
        Ok(output)
    }

    async fn reconcile<S: Step>(
        &self,
        step: &S,
        context: &Context,
    ) -> Result<Result<S::Output>, Stop> {
        self.enter()?;
        let ended = self.run.within_budget(step, context.clone()).await?;
        Ok(ended.map(|(output, outcome)| {
            self.progress().add(outcome);
            output
        }))
    }

    /// Notes that one has passed, with what is there now. The last one finishes the step.
    pub(crate) fn passed(&self, name: &str, line: String) {
        let mut progress = self.progress();
        progress.passed.insert(name.to_owned(), line);
        if progress.passed.len() < self.count {
            return;
        }
        let lines: Vec<String> = progress.passed.values().cloned().collect();
        let outcome = progress.outcome.unwrap_or(Outcome::AlreadyDone);
        let started = progress.started.unwrap_or_else(Instant::now);
        drop(progress);
        self.run
            .finish(self.id, outcome, &(self.summary)(&lines), started);
    }

    /// Ends the step because of an error that no machine alone has.
    pub(crate) fn failed(&self, error: Error) -> Stop {
        failed(&self.context(), self.id, error)
    }

    pub(crate) fn context(&self) -> Context {
        self.run.context().for_step(self.id)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// One machine on which something was done makes it a step that acted.
    fn add(&mut self, outcome: Outcome) {
        if self.outcome != Some(Outcome::Done) {
            self.outcome = Some(outcome);
        }
    }
}

/// Observes a step on every machine, and takes down what was seen of all of them.
///
/// # Errors
/// [`Stop::Reached`] when the step is not done on all of them.
pub(crate) async fn look_at_each<'a, S: Step>(
    run: &'a Run,
    step: impl Fn(&'a DesiredMachine) -> Result<S>,
    summary: Summary,
) -> Result<BTreeMap<String, S::Output>, Stop> {
    let context = &run.context().for_step(S::ID);
    let seen = each(&run.context().desired().machines, |machine| {
        let step = step(machine);
        async move {
            let step = step?;
            look(&step, &context.for_machine(&machine.spec.name)).await
        }
    });
    take_down::<S>(run, seen.await, summary)
}

/// Runs a step for each of several things that no machine alone has, side by side, or only looks at them where the run only
/// observes.
///
/// # Errors
/// What ended some of them; [`Stop::Reached`] when the step is not done for all of them and the run only observes.
pub(crate) async fn run_each<S: Step>(
    run: &Run,
    steps: &[(String, S)],
    summary: Summary,
) -> Result<(), Stop> {
    if run.only_observes() {
        return look_at_steps(run, steps, summary).await;
    }
    let stage = Stage::new(run, S::ID, steps.len(), summary);
    stage.enter()?;
    let ways = steps
        .iter()
        .map(|(name, step)| stage.pass_for_all(step, name));
    Stop::unless_all(join_all(ways).await).map(drop)
}

/// Observes a step for each of several things that no machine alone has.
///
/// # Errors
/// [`Stop::Reached`] when the step is not done for all of them.
pub(crate) async fn look_at_steps<S: Step>(
    run: &Run,
    steps: &[(String, S)],
    summary: Summary,
) -> Result<(), Stop> {
    let context = run.context().for_step(S::ID);
    let looks = steps.iter().map(|(name, step)| async {
        let seen = look(step, &context).await?;
        Ok((name.clone(), seen))
    });
    let seen = all_of(join_all(looks).await).map(|seen| seen.into_iter().collect());
    take_down::<S>(run, seen, summary).map(drop)
}

/// What is done, with its line, or what is missing.
type Look<T> = Result<(String, T), String>;

async fn look<S: Step>(step: &S, context: &Context) -> Result<Look<S::Output>> {
    Ok(match step.look(context).await? {
        Observation::Done(output) => Ok((step.summary(&output), output)),
        Observation::Absent(missing) => Err(missing),
    })
}

fn take_down<S: Step>(
    run: &Run,
    seen: Result<BTreeMap<String, Look<S::Output>>>,
    summary: Summary,
) -> Result<BTreeMap<String, S::Output>, Stop> {
    let done = run.seen(S::ID, seen.map(all_done), |done| {
        let lines: Vec<String> = done.values().map(|(line, _)| line.clone()).collect();
        summary(&lines)
    })?;
    let outputs = done.into_iter().map(|(name, (_, output))| (name, output));
    Ok(outputs.collect())
}

/// What is done for all, or what is missing for some.
fn all_done<T>(seen: BTreeMap<String, Result<T, String>>) -> Observation<BTreeMap<String, T>> {
    let missing: Vec<&str> = seen
        .values()
        .filter_map(|state| state.as_ref().err().map(String::as_str))
        .collect();
    if !missing.is_empty() {
        return Observation::absent(missing.join(", "));
    }
    let done = seen
        .into_iter()
        .filter_map(|(name, state)| Some((name, state.ok()?)));
    Observation::Done(done.collect())
}
