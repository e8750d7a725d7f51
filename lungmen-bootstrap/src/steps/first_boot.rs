//! A booted node: at which address it is, and whether it is configured.

use talos_client::CertificateAuthority;

use super::machine::RunningMachine;
use crate::desired::DesiredMachine;
use crate::desired::user_data::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::found::FoundNode;
use crate::nodes::search::Search;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};

/// Waits until the machine answers on the Talos port.
pub(crate) struct FindNode<'a> {
    pub(crate) machine: &'a DesiredMachine,
    pub(crate) running: &'a RunningMachine,
    /// The authority of the Talos API of the cluster.
    pub(crate) authority: &'a CertificateAuthority,
}

impl Step for FindNode<'_> {
    const ID: StepId = StepId::FirstBoot;
    const KIND: Kind = Kind::Check;
    type Output = FoundNode;

    async fn observe(&self, context: &Context) -> Result<Observation<FoundNode>> {
        let what = format!("{} to boot", self.machine.spec.name);
        let timing = context.timing();
        let limit = match self.machine.delivery {
            Delivery::Maintenance => timing.first_boot,
            // It installs itself before it answers.
            Delivery::UserData(_) => timing.first_boot.saturating_add(timing.install),
        };
        let node = Wait::new(what, context, limit)
            .until(context, || {
                probe(context, self.machine, Some(self.running), self.authority)
            })
            .await
            .map_err(with_boot_hint)?;
        Ok(Observation::Done(node))
    }

    fn summary(&self, node: &FoundNode) -> String {
        node.to_string()
    }
}

/// The found nodes in one line.
pub(crate) fn summary(nodes: &[String]) -> String {
    nodes.join(", ")
}

fn with_boot_hint(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Deadline => error.with_hint(
            "Check the console of the VM: it must boot the ISO and get an address, and this host must reach port 50000.",
        ),
        _ => error,
    }
}

/// Probes the declared address once, then those that the guest agent and the resolvers report. Changes nothing.
pub(crate) async fn probe(
    context: &Context,
    machine: &DesiredMachine,
    running: Option<&RunningMachine>,
    authority: &CertificateAuthority,
) -> Result<Probed<FoundNode>> {
    Search::new(context, machine, running, authority)
        .run()
        .await
}
