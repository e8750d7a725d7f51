//! The booted nodes: at which address each one is, and whether it is configured.

use std::net::IpAddr;

use proxmox_client::vm::guest::AddressSelector;
use talos_client::{Authority, Endpoint, MaintenanceClient, MaintenanceTrust, PresentedCertificate, Probe};

use super::machine::RunningMachine;
use crate::blueprint::Machine;
use crate::engine::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::known_secrets;
use crate::nodes;
use crate::step::{Observation, StepId};
use crate::wait::{Look, Wait};
use crate::world::World;

pub(crate) struct FindNodes<'a> {
    pub(crate) machines: &'a [RunningMachine],
}

/// A node that answers.
#[derive(Debug, Clone)]
pub(crate) enum FoundNode {
    /// It waits for a configuration.
    Maintenance {
        endpoint: Endpoint,
        certificate: Box<PresentedCertificate>,
    },
    /// It has the identity of the cluster.
    Configured { endpoint: Endpoint },
}

impl FoundNode {
    pub(crate) fn is_configured(&self) -> bool {
        matches!(self, Self::Configured { .. })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Maintenance { endpoint, .. } | Self::Configured { endpoint } => endpoint,
        }
    }

    /// The certificate it had in maintenance mode; every boot has another one.
    pub(crate) fn certificate(&self) -> Option<&PresentedCertificate> {
        match self {
            Self::Maintenance { certificate, .. } => Some(certificate),
            Self::Configured { .. } => None,
        }
    }
}

impl Step for FindNodes<'_> {
    const ID: StepId = StepId::FirstBoot;
    type Output = Vec<FoundNode>;

    async fn observe(&self, world: &World) -> Result<Observation<Vec<FoundNode>>> {
        let authority = authority(world).await?;
        let mut nodes = Vec::new();
        for (machine, running) in self.pairs(world) {
            match look(world, machine, running, authority.as_ref()).await? {
                Look::There(node) => nodes.push(node),
                Look::NotYet(cause) => return Ok(Observation::absent(format!("{}: {cause}", machine.spec.name))),
                Look::Failing(error) => return Ok(Observation::absent(error.to_string())),
            }
        }
        Ok(Observation::Done(nodes))
    }

    async fn act(&self, world: &World) -> Result<()> {
        let authority = authority(world).await?;
        let authority = authority.as_ref();
        for (machine, running) in self.pairs(world) {
            Wait::new(format!("{} to boot", machine.spec.name), world, world.timing().first_boot)
                .until(world, || look(world, machine, running, authority))
                .await
                .map_err(with_boot_hint)?;
        }
        Ok(())
    }

    fn summary(&self, nodes: &Vec<FoundNode>) -> String {
        let lines: Vec<String> = nodes
            .iter()
            .map(|node| {
                let mode = if node.is_configured() { "configured" } else { "in maintenance mode" };
                format!("{} {mode}", node.endpoint())
            })
            .collect();
        lines.join(", ")
    }
}

impl FindNodes<'_> {
    fn pairs<'s>(&'s self, world: &'s World) -> impl Iterator<Item = (&'s Machine, &'s RunningMachine)> {
        world.blueprint().machines.iter().zip(self.machines)
    }
}

fn with_boot_hint(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Deadline => error.with_hint(
            "look at the console of the VM: it must boot the ISO, get an address, and this host must reach port 50000",
        ),
        _ => error,
    }
}

/// The authority of the cluster, where its secrets exist: it tells our nodes from foreign ones.
async fn authority(world: &World) -> Result<Option<Authority>> {
    match known_secrets::find(world).await? {
        Some(bundle) => Ok(Some(Identity::of(bundle, jiff::Timestamp::now())?.authority()?)),
        None => Ok(None),
    }
}

/// Looks at the declared address, then at those that the guest agent reports.
async fn look(
    world: &World,
    machine: &Machine,
    running: &RunningMachine,
    authority: Option<&Authority>,
) -> Result<Look<FoundNode>> {
    let mut causes = Vec::new();
    for address in candidates(machine, running, &mut causes).await {
        let endpoint = nodes::endpoint(world, address);
        match talos_client::probe(&endpoint, authority, nodes::PROBE).await? {
            Probe::Configured(_) => return Ok(Look::There(FoundNode::Configured { endpoint })),
            Probe::Maintenance(certificate) => {
                return same_machine(machine, endpoint, certificate).await;
            }
            Probe::Foreign(_) if authority.is_none() && address == machine.spec.address => {
                return Err(known_secrets::lost());
            }
            Probe::Foreign(certificate) => return Err(nodes::foreign(machine, &certificate)),
            Probe::Closed(error) => causes.push(format!("{address}: {}", error.message())),
            _ => causes.push(format!("{address}: not a Talos node")),
        }
    }
    Ok(Look::NotYet(causes.join("; ")))
}

async fn candidates(
    machine: &Machine,
    running: &RunningMachine,
    causes: &mut Vec<String>,
) -> Vec<IpAddr> {
    let mut addresses = vec![machine.spec.address];
    if machine.spec.guest_agent {
        match agent_address(running).await {
            Ok(Some(address)) if address != machine.spec.address => addresses.push(address),
            Ok(Some(_)) => {}
            Ok(None) => causes.push("guest agent: no address yet".into()),
            // The agent is a help, not a condition: it disappears during the installation.
            Err(error) => causes.push(format!("guest agent: {}", error.message())),
        }
    }
    addresses
}

async fn agent_address(running: &RunningMachine) -> proxmox_client::Result<Option<IpAddr>> {
    let Some(mac) = running.config.networks.get(&0).and_then(|device| device.mac.clone()) else {
        return Ok(None);
    };
    let interfaces = running.vm.guest_interfaces().await?;
    Ok(AddressSelector::for_mac(mac).select(&interfaces))
}

/// The node reports the SMBIOS UUID of its VM: the proof that this is the machine that was created.
async fn same_machine(
    machine: &Machine,
    endpoint: Endpoint,
    certificate: PresentedCertificate,
) -> Result<Look<FoundNode>> {
    let client = MaintenanceClient::builder(endpoint.clone())
        .trust(MaintenanceTrust::Pinned(vec![certificate.fingerprint]))
        .build()?;
    match client.system_information().await {
        Ok(information) if machine.uuid.is(&information.uuid) => Ok(Look::There(FoundNode::Maintenance {
            endpoint,
            certificate: Box::new(certificate),
        })),
        Ok(information) => Err(another_machine(machine, &endpoint, &information.uuid)),
        Err(error) if error.is_retryable() || error.is_not_found() => Ok(Look::Failing(error.into())),
        Err(error) => Err(error.into()),
    }
}

fn another_machine(machine: &Machine, endpoint: &Endpoint, uuid: &str) -> Error {
    Error::new(ErrorKind::NotOurs, "look at the node")
        .with_target(endpoint.to_string())
        .with_message(format!(
            "a Talos node waits there, but it is another machine: its UUID is {uuid}, that of {} is {}",
            machine.spec.name, machine.uuid
        ))
        .with_hint("machines[].address must be free for this machine; nothing was sent to the other one")
}
