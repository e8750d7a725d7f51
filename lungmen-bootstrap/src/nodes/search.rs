//! The search for a booted machine: where it may be, and the proof that it is the one that was created.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use proxmox_client::vm::guest::AddressSelector;
use talos_client::{
    CertificateAuthority, Endpoint, MaintenanceClient, MaintenanceTrust, PresentedCertificate,
    Probe,
};

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::found::{AddressSource, FoundNode};
use crate::run::context::Context;
use crate::run::resolve::{AddressQuery, AddressResolver};
use crate::run::wait::Probed;
use crate::steps::machine::RunningMachine;

/// How long a resolver may think in one attempt, so that a silent one does not stop the others.
const RESOLVER: Duration = Duration::from_secs(5);

/// One attempt to find a machine. Changes nothing.
pub(crate) struct Search<'a> {
    context: &'a Context,
    machine: &'a DesiredMachine,
    /// The VM, as far as Proxmox VE could be asked.
    running: Option<&'a RunningMachine>,
    authority: &'a CertificateAuthority,
    tried: BTreeSet<IpAddr>,
    causes: Vec<String>,
    last_error: Option<Error>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        context: &'a Context,
        machine: &'a DesiredMachine,
        running: Option<&'a RunningMachine>,
        authority: &'a CertificateAuthority,
    ) -> Self {
        Self {
            context,
            machine,
            running,
            authority,
            tried: BTreeSet::new(),
            causes: Vec::new(),
            last_error: None,
        }
    }

    /// Probes the declared address, then the one of the guest agent, then those of the resolvers.
    pub(crate) async fn run(mut self) -> Result<Probed<FoundNode>> {
        let spec = &self.machine.spec;
        let declared = AddressSource::declared(spec);
        if let Some(found) = self.look(spec.address, declared).await? {
            return Ok(Probed::Ready(found));
        }
        if let Some(address) = self.ask_agent().await
            && let Some(found) = self.look(address, AddressSource::GuestAgent).await?
        {
            return Ok(Probed::Ready(found));
        }
        for resolver in self.context.resolvers() {
            for address in self.ask(resolver.as_ref()).await {
                if let Some(found) = self.check_hint(address, resolver.name()).await {
                    return Ok(Probed::Ready(found));
                }
            }
        }
        Ok(match self.last_error {
            Some(error) => Probed::Retry(error),
            None => Probed::Pending(self.causes.join("; ")),
        })
    }

    /// Probes an address that must be the one of the machine: whoever else answers there is an error.
    async fn look(&mut self, address: IpAddr, source: AddressSource) -> Result<Option<FoundNode>> {
        if !self.tried.insert(address) {
            return Ok(None);
        }
        Ok(match self.probe(address, source).await? {
            Probed::Ready(found) => Some(found),
            Probed::Pending(cause) => {
                self.causes.push(cause);
                None
            }
            Probed::Retry(error) => {
                self.last_error = Some(error);
                None
            }
        })
    }

    /// Probes an address that somebody else named. Only the machine in maintenance mode is found there: a configured node is
    /// at its declared address. Everything else is a cause, because a lease may be an old one.
    async fn check_hint(&mut self, address: IpAddr, resolver: String) -> Option<FoundNode> {
        if !self.tried.insert(address) {
            return None;
        }
        let source = AddressSource::Resolver(resolver);
        let cause = match self.probe(address, source.clone()).await {
            Ok(Probed::Ready(found)) if !found.is_configured() => return Some(found),
            Ok(Probed::Ready(_)) => format!("{address}: a configured node of the cluster"),
            Ok(Probed::Pending(cause)) => cause,
            Ok(Probed::Retry(error)) | Err(error) => format!("{address}: {}", error.cause_line()),
        };
        self.causes.push(format!("{source}: {cause}"));
        None
    }

    async fn probe(&self, address: IpAddr, source: AddressSource) -> Result<Probed<FoundNode>> {
        let endpoint = nodes::endpoint(self.context, address);
        let answer = talos_client::probe(&endpoint, Some(self.authority), nodes::PROBE).await?;
        let cause = match answer {
            Probe::Configured(_) => {
                return Ok(Probed::Ready(FoundNode::Configured { endpoint, source }));
            }
            Probe::Maintenance(certificate) => {
                self.is_accepted(&endpoint, &certificate)?;
                return same_machine(self.machine, endpoint, source, certificate).await;
            }
            Probe::Foreign(certificate) => return Err(nodes::foreign(self.machine, &certificate)),
            Probe::Closed(error) => format!("{address}: {}", error.message()),
            _ => format!("{address}: not a Talos node"),
        };
        Ok(Probed::Pending(cause))
    }

    /// Whether the machine presents a fingerprint that the user gave, when there is one.
    fn is_accepted(&self, endpoint: &Endpoint, certificate: &PresentedCertificate) -> Result<()> {
        let name = &self.machine.spec.name;
        let pins = self.context.options().maintenance_fingerprints.get(name);
        if pins.is_none_or(|pins| pins.contains(&certificate.fingerprint)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Certificate, "check the node")
            .with_target(endpoint.to_string())
            .with_message(format!(
                "the node presents the fingerprint {}, which is none of those given for {name}",
                certificate.fingerprint
            ))
            .with_hint(
                "Compare it with the console of the VM, and give that one: each boot has a new one. Nothing was sent to the node.",
            ))
    }

    async fn ask_agent(&mut self) -> Option<IpAddr> {
        // Without an agent in the specification, the declared address is the only one.
        let running = self.running.filter(|_| self.machine.spec.guest_agent)?;
        match agent_address(running).await {
            Ok(Some(address)) => return Some(address),
            Ok(None) => self.causes.push("guest agent: no address yet".into()),
            // The agent is optional: it disappears during the installation.
            Err(error) => self
                .causes
                .push(format!("guest agent: {}", error.message())),
        }
        None
    }

    async fn ask(&mut self, resolver: &dyn AddressResolver) -> Vec<IpAddr> {
        let query = self.query();
        let cause = match tokio::time::timeout(RESOLVER, resolver.resolve(&query)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => return addresses,
            Ok(Ok(_)) => "no address yet".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!(
                "no answer within {}",
                crate::services::DurationText(RESOLVER)
            ),
        };
        self.causes.push(format!("{}: {cause}", resolver.name()));
        Vec::new()
    }

    fn query(&self) -> AddressQuery {
        let machine = self.machine;
        let networks = self.running.map(|running| &running.config.networks);
        let devices = networks.into_iter().flat_map(|networks| networks.values());
        AddressQuery {
            cluster: self.context.cluster_name().to_owned(),
            name: machine.spec.name.clone(),
            vm_id: machine.spec.vm_id,
            node: machine.place.node.to_string(),
            uuid: machine.uuid.to_string(),
            mac_addresses: devices
                .filter_map(|device| Some(device.mac.as_ref()?.to_string()))
                .collect(),
        }
    }
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
