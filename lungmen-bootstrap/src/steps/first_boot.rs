//! The booted nodes: at which address each one is, and whether it is configured.

use std::fmt;
use std::net::IpAddr;

use proxmox_client::vm::guest::AddressSelector;
use talos_client::{
    Authority, Endpoint, MaintenanceClient, MaintenanceTrust, PresentedCertificate, Probe,
};

use super::machine::RunningMachine;
use crate::desired::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::World;
use crate::run::wait::{Look, Wait};
use crate::state::secrets as known_secrets;

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

/// Waits until every machine answers on the Talos port. It changes nothing.
pub(crate) async fn find_nodes(
    world: &World,
    machines: &[RunningMachine],
) -> Result<(Vec<FoundNode>, String)> {
    let authority = authority(world).await?;
    let authority = authority.as_ref();
    let mut nodes = Vec::new();
    for (machine, running) in world.blueprint().machines.iter().zip(machines) {
        let what = format!("{} to boot", machine.spec.name);
        let node = Wait::new(what, world, world.timing().first_boot)
            .until(world, || look(world, machine, running, authority))
            .await
            .map_err(with_boot_hint)?;
        nodes.push(node);
    }
    let lines: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    Ok((nodes, lines.join(", ")))
}

impl fmt::Display for FoundNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.is_configured() {
            "configured"
        } else {
            "in maintenance mode"
        };
        write!(f, "{} {mode}", self.endpoint())
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
        Some(bundle) => Ok(Some(
            Identity::of(bundle, jiff::Timestamp::now())?.authority()?,
        )),
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
    let Some(mac) = running
        .config
        .networks
        .get(&0)
        .and_then(|device| device.mac.clone())
    else {
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
        Ok(information) if machine.uuid.is(&information.uuid) => {
            Ok(Look::There(FoundNode::Maintenance {
                endpoint,
                certificate: Box::new(certificate),
            }))
        }
        Ok(information) => Err(another_machine(machine, &endpoint, &information.uuid)),
        Err(error) if error.is_retryable() || error.is_not_found() => {
            Ok(Look::Failing(error.into()))
        }
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
