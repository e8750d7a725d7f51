//! Waiting for tasks of Proxmox VE, with their log lines as events.

use std::time::Duration;

use proxmox_client::{Poll, Result, Task};

use crate::run::context::World;
use crate::run::event::EventKind;

/// Waits until the task has ended well; its warnings become warnings of the run.
pub(crate) async fn finish(
    world: &World,
    what: &str,
    task: &Task,
    deadline: Duration,
) -> Result<()> {
    let poll = Poll::every(world.timing().interval).deadline(deadline);
    let completion = task
        .wait_observed(poll, |state| {
            world.emit(EventKind::Waiting {
                waiting_for: what.to_owned(),
                because: state.cause.clone(),
                attempt: state.attempt,
            });
        })
        .await?;
    for warning in completion.warnings {
        world.warn(warning);
    }
    Ok(())
}
