//! Which machines leave, and which nodes and etcd members they are. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use talos_client::cosi::SystemInformation;
use talos_client::machine::{EtcdMember, EtcdMemberId};
use talos_client::{Client as Talos, Probe};

use super::teardown::Teardown;
use crate::desired::ownership::MachineUuid;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::nodes::owned::OwnedVm;
use crate::run::context::Context;
use crate::services::kubernetes::NodeSummary;

/// A machine that left the specification.
pub(super) struct Leaving {
    pub(super) owned: OwnedVm,
    /// Where its node answers, when it does and proves by its SMBIOS UUID that it is this machine.
    pub(super) address: Option<IpAddr>,
    pub(super) is_running: bool,
    pub(super) member: Option<EtcdMember>,
    /// The name of its Kubernetes node.
    pub(super) node: Option<String>,
}

impl Leaving {
    /// Whether it cannot be drained and leave etcd by itself, although it may still run or is a member. A VM that is switched
    /// off and no member runs nothing: so an interrupted removal leaves it behind.
    pub(super) fn is_lost(&self) -> bool {
        self.address.is_none() && (self.is_running || self.member.is_some())
    }
}

/// The nodes that are not declared, as far as they are known.
struct Strangers {
    etcd: Etcd,
    nodes: Vec<NodeSummary>,
    /// The SMBIOS UUIDs of the nodes that answer.
    uuids: BTreeMap<IpAddr, String>,
}

impl Teardown {
    /// What is known about the machines that leave. `nodes` are those of Kubernetes, as far as it lists them.
    pub(super) async fn leaving(
        &self,
        vms: Vec<OwnedVm>,
        identity: &Identity,
        nodes: Vec<NodeSummary>,
    ) -> Result<Vec<Leaving>> {
        let strangers = self.strangers(identity, nodes).await?;
        let mut leaving = Vec::new();
        for owned in vms {
            leaving.push(Leaving {
                is_running: owned.vm.status().await?.is_running(),
                ..self.identified(owned, &strangers)
            });
        }
        strangers.all_known(&leaving)?;
        Ok(leaving)
    }

    async fn strangers(
        &self,
        identity: &Identity,
        mut nodes: Vec<NodeSummary>,
    ) -> Result<Strangers> {
        let context = &self.context;
        let etcd = Etcd::ask(context, identity).await?;
        nodes.retain(|node| !node.addresses.iter().any(|at| is_declared(context, *at)));
        let members = etcd.others().flat_map(addresses_of);
        let addresses = nodes.iter().flat_map(|node| node.addresses.iter().copied());
        let candidates: BTreeSet<IpAddr> = members.chain(addresses).collect();
        let mut uuids = BTreeMap::new();
        for address in candidates {
            if let Some((_, uuid)) = answering(context, identity, address).await? {
                uuids.insert(address, uuid);
            }
        }
        Ok(Strangers { etcd, nodes, uuids })
    }

    /// A node that answers is known by its UUID. Of one that does not, only the name is left: the host name is the name of the
    /// machine or its part before the first dot, unless the configuration says otherwise.
    fn identified(&self, owned: OwnedVm, strangers: &Strangers) -> Leaving {
        let uuid = MachineUuid::derive(self.record.cluster_id.as_str(), &owned.name);
        let mut answering = strangers.uuids.iter();
        let address = answering
            .find(|(_, presented)| uuid.is(presented))
            .map(|(address, _)| *address);
        let is_it = |name: &str, addresses: &[IpAddr]| match address {
            Some(address) => addresses.contains(&address),
            None => {
                self.may_be_called(name, &owned.name)
                    && !addresses.iter().any(|a| strangers.uuids.contains_key(a))
            }
        };
        let mut members = strangers.etcd.others();
        let member = members.find(|m| is_it(&m.hostname, &addresses_of(m)));
        let mut nodes = strangers.nodes.iter();
        let node = nodes.find(|node| is_it(&node.name, &node.addresses));
        Leaving {
            member: member.cloned(),
            node: node.map(|node| node.name.clone()),
            owned,
            address,
            is_running: true,
        }
    }

    /// Whether a node of this host name may be the machine, and is none of the specification.
    fn may_be_called(&self, host: &str, machine: &str) -> bool {
        let mut declared = self.context.desired().machines.iter();
        is_host_name(host, machine)
            && !declared.any(|declared| is_host_name(host, &declared.spec.name))
    }
}

impl Strangers {
    /// Refuses while a member may be that of a machine whose node does not answer: it would stay behind and count for the
    /// quorum.
    fn all_known(&self, leaving: &[Leaving]) -> Result<()> {
        let is_silent = |machine: &&Leaving| machine.address.is_none() && machine.member.is_none();
        let Some(silent) = leaving.iter().find(is_silent) else {
            return Ok(());
        };
        let known: Vec<EtcdMemberId> = leaving
            .iter()
            .filter_map(|machine| Some(machine.member.as_ref()?.id))
            .collect();
        match self
            .etcd
            .others()
            .find(|member| !known.contains(&member.id))
        {
            Some(member) => Err(unknown_member(member, silent)),
            None => Ok(()),
        }
    }
}

/// The members of etcd, as a control plane of the specification lists them.
pub(super) struct Etcd {
    pub(super) asked: Talos,
    pub(super) members: Vec<EtcdMember>,
    /// Those on control planes of the specification.
    declared: BTreeSet<EtcdMemberId>,
}

impl Etcd {
    /// Asks the control planes of the specification. One of them must answer.
    pub(super) async fn ask(context: &Context, identity: &Identity) -> Result<Self> {
        let mut found: Option<(Talos, Vec<EtcdMember>)> = None;
        let mut declared = BTreeSet::new();
        let mut last = None;
        for machine in context.desired().control_planes() {
            let client = nodes::client(context, identity, machine)?;
            if let Ok(status) = client.machine().etcd_status().await {
                declared.insert(status.member_id);
            }
            if found.is_some() {
                continue;
            }
            match client.machine().etcd_members().await {
                Ok(members) => found = Some((client, members)),
                Err(error) => {
                    last = Some(Error::from(error).at_machine(machine.spec.name.clone()));
                }
            }
        }
        let Some((asked, members)) = found else {
            let none = || Error::new(ErrorKind::NotFound, "list the members of etcd");
            return Err(last.unwrap_or_else(none));
        };
        let at_home = members.iter().filter(|member| {
            let mut addresses = addresses_of(member).into_iter();
            addresses.any(|address| is_declared(context, address))
        });
        declared.extend(at_home.map(|member| member.id));
        Ok(Self {
            asked,
            members,
            declared,
        })
    }

    /// The members that are on no control plane of the specification.
    pub(super) fn others(&self) -> impl Iterator<Item = &EtcdMember> {
        let members = self.members.iter();
        members.filter(|member| !self.declared.contains(&member.id))
    }
}

/// The node at the address, when one of the cluster answers there, with its SMBIOS UUID.
pub(super) async fn answering(
    context: &Context,
    identity: &Identity,
    address: IpAddr,
) -> Result<Option<(Talos, String)>> {
    let endpoint = nodes::endpoint(context, address);
    let authority = identity.authority()?;
    let probe = talos_client::probe(&endpoint, Some(&authority), nodes::PROBE).await?;
    if !matches!(probe, Probe::Configured(_)) {
        return Ok(None);
    }
    let client = Talos::builder(endpoint, identity.credentials())
        .timeout(context.timing().request)
        .build()?;
    let system = client.resources().singleton::<SystemInformation>().await;
    Ok(system.ok().map(|system| (client, system.spec.uuid)))
}

/// The addresses of a member.
pub(super) fn addresses_of(member: &EtcdMember) -> Vec<IpAddr> {
    let urls = member.client_urls.iter().chain(&member.peer_urls);
    let hosts = urls.filter_map(|url| url::Url::parse(url).ok());
    let addresses = hosts.filter_map(|url| url.host_str()?.trim_matches(['[', ']']).parse().ok());
    let distinct: BTreeSet<IpAddr> = addresses.collect();
    distinct.into_iter().collect()
}

fn is_declared(context: &Context, address: IpAddr) -> bool {
    let mut machines = context.desired().machines.iter();
    machines.any(|machine| machine.spec.address == address)
}

fn is_host_name(host: &str, machine: &str) -> bool {
    host == machine || machine.split('.').next() == Some(host)
}

fn unknown_member(member: &EtcdMember, machine: &Leaving) -> Error {
    Error::new(ErrorKind::Conflict, "identify the etcd members")
        .with_target(machine.owned.name.clone())
        .with_message(format!(
            "etcd has the member {} ({}) of no known machine, and the node of {} does not answer: it may be that one",
            member.id, member.hostname, machine.owned.name
        ))
        .with_hint(
            "Start the machine, or remove the member first (talosctl etcd remove-member) when its machine is gone. Nothing \
             was changed.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_called_as_the_machine_or_as_its_first_label() {
        for host in ["tal02", "tal02.lab.example"] {
            assert!(is_host_name(host, "tal02.lab.example"), "{host}");
        }
        for host in ["", "tal0", "tal02.lab", "tal03"] {
            assert!(!is_host_name(host, "tal02.lab.example"), "{host}");
        }
    }
}
