//! The same work for several machines, side by side.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::desired::DesiredMachine;
use crate::error::Result;

/// How many machines are worked on at a time.
const AT_ONCE: usize = 16;

/// Runs `work` for each machine. The first error ends the work on the others at their next await.
///
/// # Errors
/// The first error, with the name of its machine.
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
            let working = work(machine);
            async move {
                match working.await {
                    Ok(value) => Ok((name, value)),
                    Err(error) => Err(error.at_machine(name)),
                }
            }
        })
        .collect();
    futures_util::stream::iter(running)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
