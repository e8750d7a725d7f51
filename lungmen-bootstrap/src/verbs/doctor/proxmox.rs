//! Proxmox VE: version, privileges, and what each node has.

use futures_util::future::join_all;
use proxmox_client::id::NodeName;
use proxmox_client::node::NodeInfo;

use super::examination::Examined;
use super::{Check, Finding, hardware, privileges};
use crate::error::Server;
use crate::run::context::Context;
use crate::steps::preflight::Networks;

/// The oldest version that is supported.
const OLDEST: u32 = 8;

pub(super) async fn examine(context: &Context) -> Examined {
    let client = &context.clients().proxmox;
    let version = match client.version().await {
        Ok(version) => version,
        Err(error) => return Examined::failed(Finding::of_call(Server::ProxmoxVe, error)),
    };
    let mut findings = Vec::new();
    if version.major < OLDEST {
        let found = format!("Proxmox VE {version} is older than {OLDEST}");
        findings.push(Finding::error(Check::Version, found).fix("Upgrade Proxmox VE."));
    }
    let networks = Networks::read(context).await;
    let (missing, (nodes, absent)) = tokio::join!(
        privileges::examine(context, &networks),
        nodes(context, &networks)
    );
    findings.extend(missing);
    findings.extend(nodes);
    let findings = findings
        .into_iter()
        .map(|found| found.at(Server::ProxmoxVe));
    Examined {
        is: Some(format!("Proxmox VE {version}")),
        findings: findings.collect(),
        absent,
    }
}

/// What is found on the nodes, and those that cannot be asked.
async fn nodes(context: &Context, networks: &Networks) -> (Vec<Finding>, Vec<NodeName>) {
    let known = match context.clients().proxmox.nodes().await {
        Ok(known) => known,
        Err(error) => return (vec![Finding::of_call(Server::ProxmoxVe, error)], Vec::new()),
    };
    let (mut findings, mut absent, mut present) = (Vec::new(), Vec::new(), Vec::new());
    for name in context.desired().nodes() {
        match absence(&known, name) {
            Some(finding) => {
                findings.push(finding);
                absent.push(name.clone());
            }
            None => present.push(hardware::examine(context, networks, name)),
        }
    }
    findings.extend(join_all(present).await.into_iter().flatten());
    (findings, absent)
}

/// Why nothing can be asked about the node.
fn absence(known: &[NodeInfo], name: &NodeName) -> Option<Finding> {
    match known.iter().find(|node| node.node == *name) {
        Some(node) if node.is_online() => None,
        Some(_) => Some(
            Finding::error(Check::Node, format!("node {name} is offline"))
                .fix("Start the node, or place the machines on another one."),
        ),
        None => {
            let names: Vec<String> = known.iter().map(|node| node.node.to_string()).collect();
            let found = format!("Proxmox VE has no node {name}; it has {}", names.join(", "));
            Some(
                Finding::error(Check::Node, found)
                    .fix("Correct proxmox.node or machines[].placement.node."),
            )
        }
    }
}
