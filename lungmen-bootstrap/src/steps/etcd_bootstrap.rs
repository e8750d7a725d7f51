//! etcd, bootstrapped on exactly one control plane node.

use talos_client::Client;
use talos_client::wait::Bootstrapped;

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::spec::machine::Role;
use crate::state::journal::Record;

const NODE: &str = "node";

pub(crate) struct BootstrapEtcd<'a> {
    pub(crate) identity: &'a Identity,
}

impl Step for BootstrapEtcd<'_> {
    const ID: StepId = StepId::EtcdBootstrap;
    const KIND: Kind = Kind::Act;
    type Output = usize;

    /// Done when etcd runs on every control plane node: they join by themselves once one of them is bootstrapped.
    async fn observe(&self, context: &Context) -> Result<Observation<usize>> {
        let mut members = 0;
        let mut missing = Vec::new();
        for machine in control_planes(context) {
            if etcd_runs(&self.client(context, machine)?).await? {
                members += 1;
            } else {
                missing.push(machine.spec.name.as_str());
            }
        }
        if missing.is_empty() {
            Ok(Observation::Done(members))
        } else {
            Ok(Observation::absent(format!(
                "etcd does not run on {}",
                missing.join(", ")
            )))
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        if self.nobody_is_bootstrapped(context).await? {
            self.bootstrap(context).await?;
        }
        for machine in control_planes(context) {
            self.wait_for_etcd(context, machine).await?;
        }
        Ok(())
    }

    fn summary(&self, members: &usize) -> String {
        match members {
            1 => "etcd is healthy".into(),
            n => format!("etcd is healthy on {n} nodes"),
        }
    }

    /// The node is on record before it is told to bootstrap: after a crash no other one is ever told to.
    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        control_planes(context)
            .next()
            .map(|machine| (NODE, machine.spec.name.clone()))
            .into_iter()
            .collect()
    }
}

impl BootstrapEtcd<'_> {
    fn client(&self, context: &Context, machine: &DesiredMachine) -> Result<Client> {
        nodes::client(context, self.identity, machine)
    }

    async fn nobody_is_bootstrapped(&self, context: &Context) -> Result<bool> {
        for machine in control_planes(context) {
            if etcd_runs(&self.client(context, machine)?).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells one node until it accepts, and waits until etcd is healthy there. Accepting twice is harmless on the same
    /// node.
    async fn bootstrap(&self, context: &Context) -> Result<()> {
        let machine = chosen(context).await?;
        let poll = nodes::poll(context, context.timing().bootstrap);
        let outcome = self
            .client(context, machine)?
            .machine()
            .bootstrap_and_wait_observed(poll, nodes::reporter(context, machine))
            .await
            .map_err(with_old_data_hint)?;
        if outcome == Bootstrapped::Already {
            context.note(format!(
                "{} had been bootstrapped before",
                machine.spec.name
            ));
        }
        Ok(())
    }

    async fn wait_for_etcd(&self, context: &Context, machine: &DesiredMachine) -> Result<()> {
        let poll = nodes::poll(context, context.timing().bootstrap);
        self.client(context, machine)?
            .machine()
            .wait_for_etcd_observed(poll, nodes::reporter(context, machine))
            .await
            .map_err(with_old_data_hint)?;
        Ok(())
    }
}

fn with_old_data_hint(error: talos_client::Error) -> Error {
    let timed_out = error.kind() == talos_client::ErrorKind::Deadline;
    let error = Error::from(error);
    if timed_out {
        error.with_hint(
            "if the disk of the VM has data of an older cluster, etcd cannot start: reset the node",
        )
    } else {
        error
    }
}

async fn etcd_runs(client: &Client) -> Result<bool> {
    match client.machine().service("etcd").await {
        Ok(service) => Ok(service.is_running_and_healthy()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn control_planes(context: &Context) -> impl Iterator<Item = &DesiredMachine> {
    context
        .desired()
        .machines
        .iter()
        .filter(|machine| machine.spec.role == Role::ControlPlane)
}

/// The node that an earlier attempt began with, else the first control plane node.
async fn chosen(context: &Context) -> Result<&DesiredMachine> {
    let records = context.journal().records().await?;
    let earlier = earlier_choice(&records, context.cluster_name());
    control_planes(context)
        .find(|machine| earlier.is_none_or(|name| machine.spec.name == name))
        .ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "choose the node to bootstrap")
                .with_target(earlier.unwrap_or_default())
                .with_message("an earlier run began to bootstrap a node that is no longer in the specification")
                .with_hint("put the machine back into the specification; a second node would make a second cluster")
        })
}

/// The first attempt counts: later ones repeat it.
fn earlier_choice<'a>(records: &'a [Record], cluster: &str) -> Option<&'a str> {
    records
        .iter()
        .filter(|record| record.cluster == cluster && record.step == StepId::EtcdBootstrap.name())
        .find_map(|record| record.references.get(NODE))
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::journal::RecordState;

    #[test]
    fn the_first_attempt_decides_about_the_node() {
        let records = [
            Record::new("other", StepId::EtcdBootstrap, RecordState::Started).with(NODE, "x"),
            Record::new("a", StepId::Apply, RecordState::Started).with(NODE, "y"),
            Record::new("a", StepId::EtcdBootstrap, RecordState::Started).with(NODE, "tal02"),
            Record::new("a", StepId::EtcdBootstrap, RecordState::Started).with(NODE, "tal01"),
        ];

        assert_eq!(earlier_choice(&records, "a"), Some("tal02"));
        assert_eq!(earlier_choice(&records, "b"), None);
    }
}
