//! What one node of Proxmox VE has for its machines: processors, memory, storages, bridges, its clock.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proxmox_client::ErrorKind as ProxmoxKind;
use proxmox_client::id::NodeName;
use proxmox_client::node::{Node, NodeStatus};
use proxmox_client::storage::{Content, StorageInfo};

use super::privileges::grants;
use super::{Check, Finding};
use crate::desired::{DesiredCluster, DesiredMachine};
use crate::error::Server;
use crate::run::context::Context;
use crate::steps::image;
use crate::steps::preflight::{Networks, another_storage, unusable};

/// The largest difference between two clocks. A certificate of Talos is valid from the moment of its making, without
/// backdating, so that a host behind the node rejects it for that long.
const SKEW: u64 = 60;
/// ISO images of Talos 1.9 to 1.14 have 106 to 381 MiB (measured at the Image Factory); the size of this one is only known
/// once it is built.
const ISO: u64 = 512 << 20;

pub(super) async fn examine(
    context: &Context,
    networks: &Networks,
    name: &NodeName,
) -> Vec<Finding> {
    let node = context.clients().proxmox.node(name.clone());
    let desired = context.desired();
    let (processors, storages, models, clock) = tokio::join!(
        processors(desired, &node),
        storages(context, &node),
        cpu_models(desired, &node),
        clock(&node),
    );
    let mut findings = bridges(desired, networks, name);
    for found in [processors, storages, models, clock] {
        findings.extend(found);
    }
    findings
}

fn machines<'a>(
    desired: &'a DesiredCluster,
    node: &'a NodeName,
) -> impl Iterator<Item = &'a DesiredMachine> {
    let machines = desired.machines.iter();
    machines.filter(move |machine| machine.place.node == *node)
}

/// A check that the token may not make is a note: a run does not need the right.
fn not_checked(node: &Node, what: &str, error: proxmox_client::Error, check: Check) -> Finding {
    if error.kind() != ProxmoxKind::Forbidden {
        return Finding::of_call(Server::ProxmoxVe, error);
    }
    let path = format!("/nodes/{}", node.name());
    let found = format!(
        "{what} of node {} could not be checked: the token lacks Sys.Audit on {path}",
        node.name()
    );
    Finding::note(check, found)
        .fix("A run does not need this privilege. To have the check made, grant it:")
        .commands(grants(&path, &[vec!["Sys.Audit".to_owned()]]))
}

async fn processors(desired: &DesiredCluster, node: &Node) -> Vec<Finding> {
    let status = match node.status().await {
        Ok(status) => status,
        Err(error) => {
            return vec![not_checked(
                node,
                "processors and memory",
                error,
                Check::Cores,
            )];
        }
    };
    let mut findings = too_many_cores(desired, node, &status);
    let wanted: u64 = machines(desired, node.name())
        .map(|machine| machine.spec.memory_mib)
        .sum();
    let Some(total) = status.memory.total.map(|bytes| bytes >> 20) else {
        return findings;
    };
    for machine in machines(desired, node.name()) {
        if machine.spec.memory_mib > total {
            let found = format!(
                "the machine has {} MiB of memory, node {} has {total} MiB",
                machine.spec.memory_mib,
                node.name()
            );
            findings.push(
                Finding::error(Check::Memory, found)
                    .machine(&machine.spec.name)
                    .fix("Lower machines[].memoryMiB, or place the machine on another node."),
            );
        }
    }
    if findings.is_empty() && wanted > total {
        let found = format!(
            "the machines on node {} have {wanted} MiB of memory together, the node has {total} MiB",
            node.name()
        );
        let fix = "Lower machines[].memoryMiB, or spread the machines over more nodes.";
        findings.push(Finding::warning(Check::Memory, found).fix(fix));
    }
    findings
}

/// Proxmox VE creates such a VM and fails when it is started (measured on 9.2.11 and 8.4.21).
fn too_many_cores(desired: &DesiredCluster, node: &Node, status: &NodeStatus) -> Vec<Finding> {
    let Some(limit) = status.cpu.as_ref().and_then(|cpu| cpu.cpus) else {
        return Vec::new();
    };
    machines(desired, node.name())
        .filter(|machine| machine.spec.cores > limit)
        .map(|machine| {
            let found = format!(
                "the machine has {} cores, node {} has {limit}",
                machine.spec.cores,
                node.name()
            );
            Finding::error(Check::Cores, found)
                .machine(&machine.spec.name)
                .fix("Lower machines[].cores, or place the machine on another node.")
        })
        .collect()
}

async fn cpu_models(desired: &DesiredCluster, node: &Node) -> Vec<Finding> {
    let known = match node.cpu_models().await {
        Ok(known) => known,
        Err(error) => return vec![not_checked(node, "CPU models", error, Check::CpuModel)],
    };
    machines(desired, node.name())
        .filter(|machine| {
            let model = machine.spec.cpu.split(',').next().unwrap_or_default();
            let model = model.strip_prefix("cputype=").unwrap_or(model);
            // These two are no models, and `known` need not list them.
            !matches!(model, "host" | "max") && !known.iter().any(|cpu| cpu.name == model)
        })
        .map(|machine| {
            let found = format!(
                "node {} knows no CPU model {:?}",
                node.name(),
                machine.spec.cpu
            );
            Finding::error(Check::CpuModel, found)
                .machine(&machine.spec.name)
                .fix("Correct machines[].cpu; x86-64-v2-AES runs on every x86-64 host since 2010.")
        })
        .collect()
}

async fn clock(node: &Node) -> Vec<Finding> {
    match node.time().await {
        Ok(time) => skew(node.name(), time.time, Timestamp::now())
            .into_iter()
            .collect(),
        Err(error) => vec![not_checked(node, "the clock", error, Check::Clock)],
    }
}

fn skew(node: &NodeName, server: u64, here: Timestamp) -> Option<Finding> {
    let here = u64::try_from(here.as_second()).unwrap_or_default();
    let difference = server.abs_diff(here);
    if difference <= SKEW {
        return None;
    }
    let word = if server > here { "ahead of" } else { "behind" };
    let found = format!("the clock of node {node} is {difference} s {word} that of this host");
    Some(
        Finding::warning(Check::Clock, found)
            .fix("Synchronise both clocks (chrony, systemd-timesyncd): VMs start with the clock of the node."),
    )
}

fn bridges(desired: &DesiredCluster, networks: &Networks, node: &NodeName) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for network in machines(desired, node).flat_map(|machine| machine.spec.networks()) {
        if !seen.insert((network.bridge.clone(), network.vlan)) {
            continue;
        }
        let bridge = &network.bridge;
        match (networks.find(node, bridge), network.vlan) {
            (None, _) if !networks.may_have(node, bridge) => {
                let found = format!("node {node} lists no bridge {bridge}");
                findings.push(Finding::error(Check::Bridge, found).fix(
                    "Correct machines[].network.bridge, create the bridge, or grant SDN.Use on it: without the privilege \
                     Proxmox VE does not list it.",
                ));
            }
            (Some(known), Some(vlan)) if !known.carries_vlan(vlan) => {
                let found =
                    format!("the bridge {bridge} on node {node} does not carry VLAN {vlan}");
                findings.push(Finding::error(Check::Bridge, found).fix(
                    "Add the VLAN to the bridge, give the bridge a physical port, or correct machines[].network.vlan.",
                ));
            }
            _ => {}
        }
    }
    findings
}

async fn storages(context: &Context, node: &Node) -> Vec<Finding> {
    let desired = context.desired();
    let known = match node.storages().await {
        Ok(known) => known,
        Err(error) => return vec![Finding::of_call(Server::ProxmoxVe, error)],
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for machine in machines(desired, node.name()) {
        let snippets = machine.delivery.storage();
        let places = [
            (&machine.place.storage, Content::Images, "storage"),
            (&machine.place.iso_storage, Content::Iso, "isoStorage"),
        ]
        .into_iter()
        .chain(snippets.map(|storage| (storage, Content::Snippets, "snippetStorage")));
        for (storage, content, field) in places {
            if !seen.insert((storage.clone(), field)) {
                continue;
            }
            let info = known
                .iter()
                .find(|info| info.storage.as_deref() == Some(storage.as_str()));
            let problem = match info {
                None => Some(
                    "is not listed: it does not exist there, or the token may not see it"
                        .to_owned(),
                ),
                Some(info) => unusable(info, content),
            };
            if let Some(problem) = problem {
                let found = format!("the storage {storage} of node {} {problem}", node.name());
                findings.push(Finding::error(Check::Storage, found).fix(another_storage(field)));
            } else if let Some(info) = info.filter(|_| content != Content::Snippets) {
                findings.extend(space(context, node, info, content).await);
            }
        }
    }
    findings
}

/// Disks of machines that do not exist yet, and ISOs that are not there yet, need space.
async fn space(
    context: &Context,
    node: &Node,
    info: &StorageInfo,
    content: Content,
) -> Option<Finding> {
    let desired = context.desired();
    let name = info.storage.clone().unwrap_or_default();
    let free = info.available?;
    let mut wanted = 0;
    if content == Content::Iso {
        for iso in desired.isos() {
            let is_here = iso.at.node == *node.name() && iso.at.storage.as_str() == name;
            if is_here && matches!(image::find(context, &iso).await, Ok(None)) {
                wanted += ISO;
            }
        }
    } else {
        for machine in machines(desired, node.name()) {
            let is_here = machine.place.storage.as_str() == name;
            // A VM that cannot be read is not counted: it may exist.
            if is_here && matches!(node.vm(machine.vm.id()).find_config().await, Ok(None)) {
                let disks = machine.spec.disks.iter();
                wanted += disks
                    .map(|disk| u64::from(disk.size_gib) << 30)
                    .sum::<u64>();
            }
        }
    }
    if wanted <= free {
        return None;
    }
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let what = if content == Content::Iso {
        "the ISOs of Talos"
    } else {
        "the disks of the new machines"
    };
    let found = format!(
        "the storage {name} on node {} has {} free, {what} may need {}",
        node.name(),
        gib(free),
        gib(wanted)
    );
    // A thin storage takes disks that are larger than its space, until they are written.
    Some(Finding::warning(Check::Space, found).fix(
        "Free space on the storage, lower machines[].disks[].sizeGiB, or choose another storage.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_by_more_than_a_minute_is_found_on_either_side() {
        let node = NodeName::new("pve-01").unwrap();
        let here = Timestamp::from_second(1_000_000).unwrap();
        let found = |server| skew(&node, server, here).map(|finding| finding.found);

        assert_eq!(found(1_000_060), None);
        assert_eq!(found(999_940), None);
        assert!(found(1_000_061).unwrap().contains("61 s ahead of"));
        assert!(found(999_000).unwrap().contains("1000 s behind"));
    }
}
