//! The configurations, applied; the nodes, back with the identity of the cluster.

use talos_client::machine::ApplyOptions;
use talos_client::{MaintenanceClient, MaintenanceTrust, Probe};

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::progress::Progress;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};

pub(crate) struct Apply<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) nodes: &'a [Progress],
}

impl Step for Apply<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Act;
    type Output = ();

    async fn observe(&self, context: &Context) -> Result<Observation<()>> {
        let mut waiting = Vec::new();
        for machine in &context.desired().machines {
            if !self.answers(context, machine).await? {
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

    async fn act(&self, context: &Context) -> Result<()> {
        // A worker gets its certificate from a control plane node, so all are configured before any is waited for.
        for Progress {
            machine,
            found,
            config,
        } in self.nodes
        {
            if let FoundNode::Maintenance {
                endpoint,
                certificate,
            } = found
            {
                if self.answers(context, machine).await? {
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
                    context.warn(format!("{}: {warning}", machine.spec.name));
                }
                context.note(format!("{}: configuration accepted", machine.spec.name));
            }
        }
        for node in self.nodes {
            self.wait_for_identity(context, &node.machine, &node.found)
                .await?;
        }
        Ok(())
    }

    fn summary(&self, (): &()) -> String {
        "every node runs with the identity of the cluster".into()
    }
}

impl Apply<'_> {
    /// Whether the node lets us in at its declared address.
    async fn answers(&self, context: &Context, machine: &DesiredMachine) -> Result<bool> {
        let endpoint = nodes::endpoint(context, machine.spec.address);
        let authority = self.identity.authority()?;
        match talos_client::probe(&endpoint, Some(&authority), nodes::PROBE).await? {
            Probe::Configured(_) => {}
            _ => return Ok(false),
        }
        match nodes::client(context, self.identity, machine)?
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
        context: &Context,
        machine: &DesiredMachine,
        found: &FoundNode,
    ) -> Result<()> {
        let client = nodes::client(context, self.identity, machine)?;
        let poll = nodes::poll(context, context.timing().install);
        let at_declared = found.endpoint() == client.endpoint();
        let before = found.certificate().filter(|_| at_declared);
        let back =
            client.wait_for_identity_observed(before, poll, nodes::reporter(context, machine));
        tokio::select! {
            version = back => {
                let version = version.map_err(|error| installing(machine, error))?;
                context.note(format!("{}: Talos {}", machine.spec.name, version.tag));
                let schematic = client.resources().schematic_id().await?;
                runs_what_was_asked_for(context, machine, &version.tag, schematic.as_deref())
            }
            error = fell_back(context, machine, found), if !at_declared => Err(error),
        }
    }
}

/// The installer decides what is on the disk: another one than that of the ISO loses extensions at the first reboot, and
/// nobody notices before they are missed.
fn runs_what_was_asked_for(
    context: &Context,
    machine: &DesiredMachine,
    version: &str,
    schematic: Option<&str>,
) -> Result<()> {
    let desired = context.desired();
    let wanted = (desired.talos_version(), desired.schematic_id.as_str());
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
async fn fell_back(context: &Context, machine: &DesiredMachine, found: &FoundNode) -> Error {
    loop {
        if let Some(before) = found.certificate()
            && let Ok(Probe::Maintenance(now)) =
                talos_client::probe(found.endpoint(), None, nodes::PROBE).await
            && before.is_same_boot(&now) == Some(false)
        {
            return not_installed(machine);
        }
        tokio::time::sleep(context.timing().interval).await;
    }
}

/// A wait that was refused has seen the node in maintenance mode again.
fn installing(machine: &DesiredMachine, error: talos_client::Error) -> Error {
    match error.kind() {
        talos_client::ErrorKind::Rejected => not_installed(machine).with_source(error),
        talos_client::ErrorKind::Certificate => Error::from(error),
        _ => Error::from(error).with_hint(INSTALL_HINT),
    }
}

fn not_installed(machine: &DesiredMachine) -> Error {
    Error::new(ErrorKind::Server, "install the node")
        .with_target(machine.spec.name.clone())
        .with_message("the node rebooted into maintenance mode: the installation failed")
        .with_hint(INSTALL_HINT)
        .uncertain(true)
}

const INSTALL_HINT: &str = "look at the console of the VM: usual causes are the install disk, the installer image, and \
                            the way to the registry";
