//! The booted nodes: at which address each one is, and whether it is configured.

use std::collections::BTreeMap;

use talos_client::CertificateAuthority;

use super::machine::RunningMachine;
use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::each::each;
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::search::Search;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};

/// Waits until every machine answers on the Talos port.
pub(crate) struct FindNodes {
    pub(crate) machines: BTreeMap<String, RunningMachine>,
}

impl Step for FindNodes {
    const ID: StepId = StepId::FirstBoot;
    const KIND: Kind = Kind::Check;
    type Output = BTreeMap<String, FoundNode>;

    async fn observe(&self, context: &Context) -> Result<Observation<Self::Output>> {
        let bundle = context.record()?.bundle.clone();
        let authority = &Identity::of(bundle, jiff::Timestamp::now())?.authority()?;
        let nodes = each(&context.desired().machines, |machine| async move {
            let context = &context.for_machine(&machine.spec.name);
            let what = format!("{} to boot", machine.spec.name);
            Wait::new(what, context, context.timing().first_boot)
                .until(context, || {
                    let running = self.machines.get(&machine.spec.name);
                    probe(context, machine, running, authority)
                })
                .await
                .map_err(with_boot_hint)
        })
        .await?;
        Ok(Observation::Done(nodes))
    }

    fn summary(&self, nodes: &Self::Output) -> String {
        let lines: Vec<String> = nodes.values().map(ToString::to_string).collect();
        lines.join(", ")
    }
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
