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
use crate::nodes::each::each;
use crate::nodes::found::{AddressSource, FoundNode};
use crate::nodes::identity::Identity;
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

/// Probes the declared address once, then those that the guest agent reports. Changes nothing.
pub(crate) async fn probe(
    context: &Context,
    machine: &DesiredMachine,
    running: Option<&RunningMachine>,
    authority: &CertificateAuthority,
) -> Result<Probed<FoundNode>> {
    let mut causes = Vec::new();
    for (address, source) in candidates(machine, running, &mut causes).await {
        match probe_address(context, machine, (address, source), authority).await? {
            Probed::Pending(cause) => causes.push(cause),
            found => return Ok(found),
        }
    }
    Ok(Probed::Pending(causes.join("; ")))
}

async fn probe_address(
    context: &Context,
    machine: &DesiredMachine,
    (address, source): (IpAddr, AddressSource),
    authority: &CertificateAuthority,
) -> Result<Probed<FoundNode>> {
    let endpoint = nodes::endpoint(context, address);
    let cause = match talos_client::probe(&endpoint, Some(authority), nodes::PROBE).await? {
        Probe::Configured(_) => {
            return Ok(Probed::Ready(FoundNode::Configured { endpoint, source }));
        }
        Probe::Maintenance(certificate) => {
            return same_machine(machine, endpoint, source, certificate).await;
        }
        Probe::Foreign(certificate) => return Err(nodes::foreign(machine, &certificate)),
        Probe::Closed(error) => format!("{address}: {}", error.message()),
        _ => format!("{address}: not a Talos node"),
    };
    Ok(Probed::Pending(cause))
}

async fn candidates(
    machine: &DesiredMachine,
    running: Option<&RunningMachine>,
    causes: &mut Vec<String>,
) -> Vec<(IpAddr, AddressSource)> {
    let declared = AddressSource::declared(&machine.spec);
    let mut addresses = vec![(machine.spec.address, declared)];
    if let Some(running) = running.filter(|_| machine.spec.guest_agent) {
        match agent_address(running).await {
            Ok(Some(address)) if address != machine.spec.address => {
                addresses.push((address, AddressSource::GuestAgent));
            }
            Ok(Some(_)) => {}
            Ok(None) => causes.push("guest agent: no address yet".into()),
            // The agent is optional: it disappears during the installation.
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
    source: AddressSource,
    certificate: PresentedCertificate,
) -> Result<Probed<FoundNode>> {
    let client = MaintenanceClient::builder(endpoint.clone())
        .trust(MaintenanceTrust::Pinned(vec![certificate.fingerprint]))
        .build()?;
    match client.system_information().await {
        Ok(information) if machine.uuid.is(&information.uuid) => {
            Ok(Probed::Ready(FoundNode::Maintenance {
                endpoint,
                source,
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
    Error::new(ErrorKind::NotOurs, "check the node")
        .with_target(endpoint.to_string())
        .with_message(format!(
            "the Talos node at this address is another machine: its SMBIOS UUID is {uuid}, that of {} is {}",
            machine.spec.name, machine.uuid
        ))
        .with_hint("Set machines[].address to one that is free for this machine. The other machine was not changed.")
}
