//! Addresses: the endpoint of the Kubernetes API, the machines, and the VM ids behind them.

use std::net::IpAddr;

use talos_client::Probe;

use super::store::Claim;
use super::{Check, Finding};
use crate::desired::{DesiredCluster, DesiredMachine};
use crate::error::{ErrorKind, Server};
use crate::nodes;
use crate::run::context::Context;
use crate::steps::claim::refuse_unrecorded_machine;
use crate::steps::machine::{self, State};

/// Whether the endpoint leads to the cluster. A caller who dials the endpoint elsewhere knows where it is.
pub(super) async fn endpoint(context: &Context) -> Vec<Finding> {
    let desired = context.desired();
    let endpoint = &desired.endpoint;
    let (Some(host), Some(port)) = (endpoint.host_str(), endpoint.port_or_known_default()) else {
        return Vec::new();
    };
    if context.dial(host, port).is_some() {
        return Vec::new();
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = match host.parse::<IpAddr>() {
        Ok(address) => Ok(vec![address]),
        Err(_) => {
            let looked_up =
                tokio::time::timeout(nodes::PROBE, tokio::net::lookup_host((host, port)));
            match looked_up.await {
                Ok(Ok(found)) => Ok(found.map(|socket| socket.ip()).collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", nodes::PROBE.as_secs())),
            }
        }
    };
    judged(desired, host, resolved).into_iter().collect()
}

fn judged(
    desired: &DesiredCluster,
    host: &str,
    resolved: Result<Vec<IpAddr>, String>,
) -> Option<Finding> {
    const FIX: &str = "Point the record of the endpoint at a control plane machine, at a virtual address that a patch \
                       configures, or at a load balancer in front of the control planes, before the run.";
    let addresses = match resolved {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => {
            return Some(
                Finding::warning(Check::Endpoint, format!("{host} has no address")).fix(FIX),
            );
        }
        Err(cause) => {
            let found = format!("{host} does not resolve on this host: {cause}");
            return Some(Finding::warning(Check::Endpoint, found).fix(FIX));
        }
    };
    let leads_there = |address: &IpAddr| {
        let mut machines = desired.control_planes();
        machines.any(|machine| machine.spec.address == *address)
            || desired.patched_addresses.contains(address)
    };
    if addresses.iter().any(leads_there) {
        return None;
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let found = format!(
        "{host} leads to {}, which is neither a control plane machine nor an address that a patch names",
        texts.join(", ")
    );
    Some(Finding::warning(Check::Endpoint, found).fix(FIX))
}

/// The VM id of a machine, and its address while it does not exist.
pub(super) async fn machine(
    context: &Context,
    machine: &DesiredMachine,
    claim: &Claim,
) -> Vec<Finding> {
    let context = &context.for_machine(&machine.spec.name);
    let name = &machine.spec.name;
    let vm = machine::vm(context, machine);
    let looked = match claim {
        Claim::New => match refuse_unrecorded_machine(context, machine).await {
            Ok(()) => machine::look(context, machine, &vm).await,
            Err(error) => Err(error),
        },
        Claim::Recorded(_) => machine::look(context, machine, &vm).await,
        // Whose VM it is follows from the record.
        Claim::Unknown => match vm.find_config().await {
            Ok(None) => Ok(State::Absent),
            Ok(Some(_)) => {
                let found = format!(
                    "VM {} exists; whether it is this machine is unknown without the cluster record",
                    vm.id()
                );
                let fix = "Resolve the findings about the secret store first.";
                return vec![
                    Finding::note(Check::VmId, found)
                        .at(Server::ProxmoxVe)
                        .machine(name)
                        .fix(fix),
                ];
            }
            Err(error) => Err(error.into()),
        },
    };
    match looked {
        Ok(State::Absent) => address(context, machine).await.into_iter().collect(),
        Ok(_) => Vec::new(),
        Err(error) => {
            let found = match error.kind() {
                ErrorKind::SecretsLost => Finding::error(Check::Record, error.cause_line())
                    .at(Server::SecretStore)
                    .fix(error.hint()),
                ErrorKind::NotOurs | ErrorKind::Conflict => {
                    Finding::error(Check::VmId, error.cause_line())
                        .at(Server::ProxmoxVe)
                        .fix(error.hint())
                        .commands([format!("qm config {}", vm.id())])
                }
                _ => Finding::of_call(Server::ProxmoxVe, error),
            };
            vec![found.machine(name)]
        }
    }
}

/// Whether a Talos node or another TLS service has the address of a machine that does not exist.
async fn address(context: &Context, machine: &DesiredMachine) -> Option<Finding> {
    let endpoint = nodes::endpoint(context, machine.spec.address);
    let who = match talos_client::probe(&endpoint, None, nodes::PROBE).await {
        Ok(Probe::Closed(_)) | Err(_) => return None,
        Ok(Probe::Maintenance(_)) => "a Talos node in maintenance mode".to_owned(),
        Ok(Probe::Configured(certificate) | Probe::Foreign(certificate)) => {
            format!("something with a certificate of {}", certificate.subject)
        }
        Ok(_) => "something".to_owned(),
    };
    let found = format!(
        "{who} answers at {}, though the VM of the machine does not exist",
        machine.spec.address
    );
    Some(
        Finding::error(Check::Address, found)
            .machine(&machine.spec.name)
            .fix("Choose a free address for machines[].address, or remove what has it."),
    )
}
