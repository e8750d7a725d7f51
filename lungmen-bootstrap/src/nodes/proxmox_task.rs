//! Waiting for tasks of Proxmox VE, with their progress as events.

use std::time::Duration;

use proxmox_client::{Poll, Result, Task};

use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::wait::first_interval;

/// Waits until the task has ended without error; its warnings become warnings of the run.
pub(crate) async fn finish(
    context: &Context,
    what: &str,
    task: &Task,
    deadline: Duration,
) -> Result<()> {
    let longest = context.timing().interval;
    let poll = Poll::every(first_interval(longest))
        .up_to(longest)
        .deadline(deadline);
    let completion = task
        .wait_observed(poll, |state| {
            context.emit(EventKind::Waiting {
                waiting_for: what.to_owned(),
                cause: state.cause.clone(),
                attempt: state.attempt,
                elapsed: state.elapsed,
                deadline: state.deadline,
            });
        })
        .await?;
    for warning in completion.warnings {
        context.warn(warning);
    }
    Ok(())
}
