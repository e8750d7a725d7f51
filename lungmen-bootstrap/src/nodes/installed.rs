//! Whether a configured node runs from its disk, where its configuration is.

use talos_client::Client;
use talos_client::cosi::{MachineStatus, Stage, SystemDisk};

use crate::desired::DesiredMachine;
use crate::error::Result;
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::wait::{Probed, Wait};

/// Waits until the node says so over mutual TLS. Talos v1.13 and later answer with the identity of the cluster while they
/// install themselves, too.
pub(crate) async fn wait(
    context: &Context,
    identity: &Identity,
    machine: &DesiredMachine,
) -> Result<()> {
    let client = nodes::client(context, identity, machine)?;
    let what = format!("{} to run from its disk", machine.spec.name);
    Wait::new(what, context, context.timing().install)
        .until(context, || look(&client))
        .await
}

async fn look(client: &Client) -> Result<Probed<()>> {
    let resources = client.resources();
    let asked = tokio::try_join!(
        resources.find_singleton::<SystemDisk>(),
        resources.find_singleton::<MachineStatus>(),
    );
    let (disk, status) = match asked {
        Ok(answers) => answers,
        Err(error) if error.is_retryable() => return Ok(Probed::Retry(error.into())),
        Err(error) => return Err(error.into()),
    };
    let Some(stage) = status.map(|status| status.spec.stage) else {
        return Ok(Probed::Pending("the node does not say what it does".into()));
    };
    Ok(match (disk, stage) {
        (Some(_), Stage::Booting | Stage::Running) => Probed::Ready(()),
        (None, stage) => Probed::Pending(format!("Talos is on no disk yet; the node is {stage}")),
        (Some(_), stage) => Probed::Pending(format!("the node is {stage}")),
    })
}
