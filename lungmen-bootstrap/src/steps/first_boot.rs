//! The booted nodes: at which address each one is, and whether it is configured.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proxmox_client::vm::guest::AddressSelector;
use talos_client::{
    CertificateAuthority, Endpoint, MaintenanceClient, MaintenanceTrust, PresentedCertificate,
    Probe,
};

use super::machine::RunningMachine;
use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};
use crate::state::secrets as known_secrets;

/// Waits until every machine answers on the Talos port.
pub(crate) struct FindNodes {
    pub(crate) machines: BTreeMap<String, RunningMachine>,
}

impl Step for FindNodes {
    const ID: StepId = StepId::FirstBoot;
    const KIND: Kind = Kind::Check;
    type Output = BTreeMap<String, FoundNode>;

    async fn observe(&self, context: &Context) -> Result<Observation<Self::Output>> {
        let authority = authority(context).await?;
        let authority = authority.as_ref();
        let mut nodes = BTreeMap::new();
        for machine in &context.desired().machines {
            let name = &machine.spec.name;
            let Some(running) = self.machines.get(name) else {
                continue;
            };
            let node = Wait::new(
                format!("{name} to boot"),
                context,
                context.timing().first_boot,
            )
            .until(context, || probe(context, machine, running, authority))
            .await
            .map_err(with_boot_hint)?;
            nodes.insert(name.clone(), node);
        }
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
            "look at the console of the VM: it must boot the ISO, get an address, and this host must reach port 50000",
        ),
        _ => error,
    }
}

/// The authority of the cluster, where its secrets exist: it tells our nodes from foreign ones.
async fn authority(context: &Context) -> Result<Option<CertificateAuthority>> {
    match known_secrets::find(context).await? {
        Some(bundle) => Ok(Some(
            Identity::of(bundle, jiff::Timestamp::now())?.authority()?,
        )),
        None => Ok(None),
    }
}

/// Probes the declared address, then at those that the guest agent reports.
async fn probe(
    context: &Context,
    machine: &DesiredMachine,
    running: &RunningMachine,
    authority: Option<&CertificateAuthority>,
) -> Result<Probed<FoundNode>> {
    let mut causes = Vec::new();
    for address in candidates(machine, running, &mut causes).await {
        let endpoint = nodes::endpoint(context, address);
        match talos_client::probe(&endpoint, authority, nodes::PROBE).await? {
            Probe::Configured(_) => return Ok(Probed::Ready(FoundNode::Configured { endpoint })),
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
    Ok(Probed::Pending(causes.join("; ")))
}

async fn candidates(
    machine: &DesiredMachine,
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
    machine: &DesiredMachine,
    endpoint: Endpoint,
    certificate: PresentedCertificate,
) -> Result<Probed<FoundNode>> {
    let client = MaintenanceClient::builder(endpoint.clone())
        .trust(MaintenanceTrust::Pinned(vec![certificate.fingerprint]))
        .build()?;
    match client.system_information().await {
        Ok(information) if machine.uuid.is(&information.uuid) => {
            Ok(Probed::Ready(FoundNode::Maintenance {
                endpoint,
                certificate: Box::new(certificate),
            }))
        }
        Ok(information) => Err(another_machine(machine, &endpoint, &information.uuid)),
        Err(error) if error.is_retryable() || error.is_not_found() => {
            Ok(Probed::Retry(error.into()))
        }
        Err(error) => Err(error.into()),
    }
}

fn another_machine(machine: &DesiredMachine, endpoint: &Endpoint, uuid: &str) -> Error {
    Error::new(ErrorKind::NotOurs, "look at the node")
        .with_target(endpoint.to_string())
        .with_message(format!(
            "a Talos node waits there, but it is another machine: its UUID is {uuid}, that of {} is {}",
            machine.spec.name, machine.uuid
        ))
        .with_hint("machines[].address must be free for this machine; nothing was sent to the other one")
}
