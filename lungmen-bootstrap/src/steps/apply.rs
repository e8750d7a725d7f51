//! The configurations, applied; the nodes, back with the identity of the cluster.

use secrecy::SecretString;
use talos_client::machine::ApplyOptions;
use talos_client::{MaintenanceClient, MaintenanceTrust, Probe};

use super::first_boot::FoundNode;
use crate::desired::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};

pub(crate) struct Apply<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) found: &'a [FoundNode],
    pub(crate) configs: &'a [SecretString],
}

impl Step for Apply<'_> {
    const ID: StepId = StepId::Apply;
    type Output = ();

    async fn observe(&self, world: &World) -> Result<Observation<()>> {
        let mut waiting = Vec::new();
        for machine in &world.blueprint().machines {
            if !self.answers(world, machine).await? {
                waiting.push(machine.spec.name.as_str());
            }
        }
        if waiting.is_empty() {
            Ok(Observation::Done(()))
        } else {
            Ok(Observation::absent(format!(
                "{} without the configuration",
                waiting.join(", ")
            )))
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        // A worker gets its certificate from a control plane node, so all are configured before any is waited for.
        for ((machine, found), config) in world
            .blueprint()
            .machines
            .iter()
            .zip(self.found)
            .zip(self.configs)
        {
            if let FoundNode::Maintenance {
                endpoint,
                certificate,
            } = found
            {
                if self.answers(world, machine).await? {
                    continue;
                }
                let client = MaintenanceClient::builder(endpoint.clone())
                    // The node that was found and checked, and no other.
                    .trust(MaintenanceTrust::Pinned(vec![certificate.fingerprint]))
                    .build()?;
                let applied = client
                    .apply_configuration(config, ApplyOptions::default())
                    .await?;
                for warning in applied.warnings {
                    world.warn(format!("{}: {warning}", machine.spec.name));
                }
                world.note(format!("{}: configuration accepted", machine.spec.name));
            }
        }
        for (machine, found) in world.blueprint().machines.iter().zip(self.found) {
            self.wait_for_identity(world, machine, found).await?;
        }
        Ok(())
    }

    fn summary(&self, (): &()) -> String {
        "every node runs with the identity of the cluster".into()
    }
}

impl Apply<'_> {
    /// Whether the node lets us in at its declared address.
    async fn answers(&self, world: &World, machine: &Machine) -> Result<bool> {
        let endpoint = nodes::endpoint(world, machine.spec.address);
        let authority = self.identity.authority()?;
        match talos_client::probe(&endpoint, Some(&authority), nodes::PROBE).await? {
            Probe::Configured(_) => {}
            _ => return Ok(false),
        }
        match nodes::client(world, self.identity, machine)?
            .machine()
            .version()
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_retryable() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits through installation and reboot. A node that comes up in maintenance mode again has failed to install.
    async fn wait_for_identity(
        &self,
        world: &World,
        machine: &Machine,
        found: &FoundNode,
    ) -> Result<()> {
        let client = nodes::client(world, self.identity, machine)?;
        let poll = nodes::poll(world, world.timing().install);
        let at_declared = found.endpoint() == client.endpoint();
        let before = found.certificate().filter(|_| at_declared);
        let back = client.wait_for_identity(before, poll, nodes::reporter(world, machine));
        tokio::select! {
            version = back => {
                let version = version.map_err(|error| installing(machine, error))?;
                world.note(format!("{}: Talos {}", machine.spec.name, version.tag));
                let schematic = client.resources().schematic_id().await?;
                runs_what_was_asked_for(world, machine, &version.tag, schematic.as_deref())
            }
            error = fell_back(world, machine, found), if !at_declared => Err(error),
        }
    }
}

/// The installer decides what is on the disk: another one than that of the ISO loses extensions at the first reboot, and
/// nobody notices before they are missed.
fn runs_what_was_asked_for(
    world: &World,
    machine: &Machine,
    version: &str,
    schematic: Option<&str>,
) -> Result<()> {
    let blueprint = world.blueprint();
    let wanted = (blueprint.talos_version(), blueprint.schematic_id.as_str());
    let found = (version, schematic.unwrap_or("none"));
    if (wanted.0.as_str(), wanted.1) == found {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, "look at the installed node")
        .with_target(machine.spec.name.clone())
        .with_message(format!(
            "it runs Talos {} with schematic {}, not {} with {}",
            found.0, found.1, wanted.0, wanted.1
        ))
        .with_hint("a patch may set another machine.install.image; the one that belongs to the ISO is in the plan")
        .uncertain(true))
}

/// Watches the address at which the node waited for its configuration, when that is not the declared one: a node that
/// fails to install gets it again. Ends only with that failure.
async fn fell_back(world: &World, machine: &Machine, found: &FoundNode) -> Error {
    loop {
        if let Some(before) = found.certificate()
            && let Ok(Probe::Maintenance(now)) =
                talos_client::probe(found.endpoint(), None, nodes::PROBE).await
            && before.is_same_boot(&now) == Some(false)
        {
            return not_installed(machine);
        }
        tokio::time::sleep(world.timing().interval).await;
    }
}

/// A wait that was refused has seen the node in maintenance mode again.
fn installing(machine: &Machine, error: talos_client::Error) -> Error {
    match error.kind() {
        talos_client::ErrorKind::Rejected => not_installed(machine).with_source(error),
        talos_client::ErrorKind::Certificate => Error::from(error),
        _ => Error::from(error).with_hint(INSTALL_HINT),
    }
}

fn not_installed(machine: &Machine) -> Error {
    Error::new(ErrorKind::Failed, "install the node")
        .with_target(machine.spec.name.clone())
        .with_message("the node rebooted into maintenance mode: the installation failed")
        .with_hint(INSTALL_HINT)
        .uncertain(true)
}

const INSTALL_HINT: &str = "look at the console of the VM: usual causes are the install disk, the installer image, and \
                            the way to the registry";
