//! The ISOs in the making. Each machine waits for the one that it boots, and for no other.

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SetOnce};

use crate::desired::DesiredMachine;
use crate::run::engine::{Run, Stop};
use crate::run::stage::{Stage, look_at_steps};
use crate::run::step::StepId;
use crate::steps::image::{self, StoreIso};

/// How many ISOs are stored at a time.
const AT_ONCE: usize = 4;

/// The ISOs of a run.
pub(super) struct Isos<'run> {
    stage: Stage<'run>,
    steps: Vec<(String, StoreIso)>,
    /// Whether each of them is stored, as soon as that is known.
    stored: Vec<SetOnce<bool>>,
    turns: Semaphore,
}

impl<'run> Isos<'run> {
    /// Finds out which ISOs there are to be.
    pub(super) async fn prepare(run: &'run Run) -> Result<Self, Stop> {
        run.start(StepId::Image)?;
        let steps = image::steps(&run.context().for_step(StepId::Image)).await;
        let steps = steps.map_err(|error| run.failed(error))?;
        let stage = Stage::new(run, StepId::Image, steps.len(), image::summary);
        stage.enter()?;
        Ok(Self {
            stage,
            stored: steps.iter().map(|_| SetOnce::new()).collect(),
            steps,
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Stores all of them side by side, each one to its own end: a failure of one cuts short no other.
    pub(super) async fn store(&self) -> Result<(), Stop> {
        let storing = self.steps.iter().zip(&self.stored);
        let storing = storing.map(|((name, step), stored)| async {
            let _turn = self.turns.acquire().await;
            let ended = self.stage.pass_for_all(step, name).await;
            // It is set here only.
            let _ = stored.set(ended.is_ok());
            ended
        });
        Stop::unless_all(join_all(storing).await).map(drop)
    }

    /// Waits for the ISO of a machine.
    ///
    /// # Errors
    /// [`Stop::Reached`] when it is not stored; [`store`](Self::store) says why.
    pub(super) async fn of(&self, machine: &DesiredMachine) -> Result<(), Stop> {
        let own = self.steps.iter().position(|(_, step)| step.is_for(machine));
        let Some(own) = own else {
            return Err(Stop::Reached);
        };
        match self.stored[own].wait().await {
            true => Ok(()),
            false => Err(Stop::Reached),
        }
    }
}

/// Looks at all ISOs. The run ends here when one is missing.
pub(super) async fn look_at(run: &Run) -> Result<(), Stop> {
    match image::steps(&run.context().for_step(StepId::Image)).await {
        Ok(steps) => look_at_steps(run, &steps, image::summary).await,
        Err(error) => run.seen(StepId::Image, Err(error), |_: &()| String::new()),
    }
}
