//! `observe()`: the state of every step, without changing anything.

use std::time::Duration;

use crate::run::bootstrap::ClusterBootstrap;
use crate::run::engine::Run;
use crate::run::report::{StepState, StepStatus};
use crate::run::step::StepId;

/// How long a single observation may wait for a server.
const LIMIT: Duration = Duration::from_secs(5);

impl ClusterBootstrap {
    /// Observes every step in order, up to the first one that is not done, and changes nothing. It takes no lease, so it
    /// may be called while a run works, and repeated at any time. Whether Argo CD still reaches the cluster is read, not tried:
    /// Argo CD tries it with an update, which a run makes and this does not.
    ///
    /// The result has one entry for each step. A server that does not respond makes its step
    /// [`Unknown`](StepStatus::Unknown); no call waits longer than a few seconds for it.
    pub async fn observe(&self) -> Vec<StepState> {
        let context = self.context().with_deadlines_up_to(LIMIT);
        let mut run = Run::observing(context);
        // Only the states matter: the run ends where a step is not done.
        let _ = Box::pin(super::apply::observed(&mut run)).await;
        let mut states = run.into_states();
        let reached = states.len();
        states.extend(StepId::ALL.into_iter().skip(reached).map(|step| StepState {
            step,
            status: StepStatus::NotReached,
        }));
        states
    }
}
