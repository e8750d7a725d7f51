//! etcd, bootstrapped on exactly one control plane node.

use talos_client::Client;
use talos_client::wait::Bootstrapped;

use crate::desired::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::spec::machine::Role;
use crate::state::journal::Record;

const NODE: &str = "node";

pub(crate) struct BootstrapEtcd<'a> {
    pub(crate) identity: &'a Identity,
}

impl Step for BootstrapEtcd<'_> {
    const ID: StepId = StepId::Bootstrap;
    type Output = usize;

    /// Done when etcd runs on every control plane node: they join by themselves once one of them is bootstrapped.
    async fn observe(&self, world: &World) -> Result<Observation<usize>> {
        let mut members = 0;
        let mut missing = Vec::new();
        for machine in control_planes(world) {
            if etcd_runs(&self.client(world, machine)?).await? {
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

    async fn act(&self, world: &World) -> Result<()> {
        if self.nobody_is_bootstrapped(world).await? {
            self.bootstrap(world).await?;
        }
        for machine in control_planes(world) {
            self.wait_for_etcd(world, machine).await?;
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
    fn references(&self, world: &World) -> Vec<(&'static str, String)> {
        control_planes(world)
            .next()
            .map(|machine| (NODE, machine.spec.name.clone()))
            .into_iter()
            .collect()
    }
}

impl BootstrapEtcd<'_> {
    fn client(&self, world: &World, machine: &Machine) -> Result<Client> {
        nodes::client(world, self.identity, machine)
    }

    async fn nobody_is_bootstrapped(&self, world: &World) -> Result<bool> {
        for machine in control_planes(world) {
            if etcd_runs(&self.client(world, machine)?).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells one node until it accepts, and waits until etcd is healthy there. Accepting twice is harmless on the same
    /// node.
    async fn bootstrap(&self, world: &World) -> Result<()> {
        let machine = chosen(world).await?;
        let poll = nodes::poll(world, world.timing().bootstrap);
        let outcome = self
            .client(world, machine)?
            .machine()
            .bootstrap_and_wait(poll, nodes::reporter(world, machine))
            .await
            .map_err(with_old_data_hint)?;
        if outcome == Bootstrapped::Already {
            world.note(format!(
                "{} had been bootstrapped before",
                machine.spec.name
            ));
        }
        Ok(())
    }

    async fn wait_for_etcd(&self, world: &World, machine: &Machine) -> Result<()> {
        let poll = nodes::poll(world, world.timing().bootstrap);
        self.client(world, machine)?
            .machine()
            .wait_for_etcd(poll, nodes::reporter(world, machine))
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

fn control_planes(world: &World) -> impl Iterator<Item = &Machine> {
    world
        .blueprint()
        .machines
        .iter()
        .filter(|machine| machine.spec.role == Role::ControlPlane)
}

/// The node that an earlier attempt began with, else the first control plane node.
async fn chosen(world: &World) -> Result<&Machine> {
    let records = world.journal().records().await?;
    let earlier = earlier_choice(&records, world.cluster_name());
    control_planes(world)
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
        .filter(|record| record.cluster == cluster && record.step == StepId::Bootstrap.name())
        .find_map(|record| record.references.get(NODE))
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::journal::Progress;

    #[test]
    fn the_first_attempt_decides_about_the_node() {
        let records = [
            Record::new("other", StepId::Bootstrap, Progress::Begun).with(NODE, "x"),
            Record::new("a", StepId::Apply, Progress::Begun).with(NODE, "y"),
            Record::new("a", StepId::Bootstrap, Progress::Begun).with(NODE, "tal02"),
            Record::new("a", StepId::Bootstrap, Progress::Begun).with(NODE, "tal01"),
        ];

        assert_eq!(earlier_choice(&records, "a"), Some("tal02"));
        assert_eq!(earlier_choice(&records, "b"), None);
    }
}
