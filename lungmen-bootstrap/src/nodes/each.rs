//! The same work for several machines, side by side.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use tracing::Instrument as _;

use crate::desired::DesiredMachine;
use crate::error::{Result, all_of};

/// How many machines are worked on at a time.
pub(crate) const AT_ONCE: usize = 16;

/// Runs `work` for each machine, each one to its own end: a failure of one cuts short no other.
///
/// # Errors
/// One error with the failures of all machines that failed, each with the name of its machine.
pub(crate) async fn each<'a, T, F, W>(
    machines: impl IntoIterator<Item = &'a DesiredMachine>,
    work: F,
) -> Result<BTreeMap<String, T>>
where
    F: Fn(&'a DesiredMachine) -> W,
    W: Future<Output = Result<T>>,
{
    let running: Vec<_> = machines
        .into_iter()
        .map(|machine| {
            let name = machine.spec.name.clone();
            let span = tracing::info_span!("machine", machine = %name);
            let working = work(machine).instrument(span);
            async move {
                match working.await {
                    Ok(value) => Ok((name, value)),
                    Err(error) => Err(error.at_machine(name)),
                }
            }
        })
        .collect();
    let ended: Vec<Result<(String, T)>> = futures_util::stream::iter(running)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(all_of(ended)?.into_iter().collect())
}
