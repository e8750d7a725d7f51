//! Waiting for tasks of Proxmox VE, with their log lines as events.

use std::time::Duration;

use proxmox_client::{Poll, Result, Task};

use crate::run::context::Context;
use crate::run::event::EventKind;

/// Waits until the task has ended well; its warnings become warnings of the run.
pub(crate) async fn finish(
    context: &Context,
    what: &str,
    task: &Task,
    deadline: Duration,
) -> Result<()> {
    let poll = Poll::every(context.timing().interval).deadline(deadline);
    let completion = task
        .wait_observed(poll, |state| {
            context.emit(EventKind::Waiting {
                waiting_for: what.to_owned(),
                cause: state.cause.clone(),
                attempt: state.attempt,
            });
        })
        .await?;
    for warning in completion.warnings {
        context.warn(warning);
    }
    Ok(())
}
