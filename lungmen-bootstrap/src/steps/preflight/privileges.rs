//! What the token of Proxmox VE must be allowed, and the networks that it sees.

use std::collections::BTreeMap;

use proxmox_client::access::Requirement;
use proxmox_client::id::NodeName;
use proxmox_client::node::NetworkInfo;

use crate::desired::user_data::Delivery;
use crate::run::context::Context;
use crate::spec::machine::Network;

/// Privileges on the VM itself (facts of Proxmox VE 8 and 9 alike).
const VM_PRIVILEGES: [&str; 10] = [
    "VM.Allocate",
    "VM.Audit",
    "VM.PowerMgmt",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.HWType",
    "VM.Config.Options",
    "VM.Config.Network",
    "VM.Config.Disk",
    "VM.Config.CDROM",
];

/// The networks that the token sees on each node that machines are placed on.
pub(crate) struct Networks(BTreeMap<NodeName, Vec<NetworkInfo>>);

impl Networks {
    /// A node whose networks cannot be read is left out: the start of the VM decides.
    pub(crate) async fn read(context: &Context) -> Self {
        let mut networks = BTreeMap::new();
        for node in context.desired().nodes() {
            let bridges = context.clients().proxmox.node(node.clone()).bridges().await;
            if let Ok(bridges) = bridges {
                networks.insert(node.clone(), bridges);
            }
        }
        Self(networks)
    }

    /// The network of the node, where it lists one of this name; `None` where its networks are unknown too.
    pub(crate) fn find(&self, node: &NodeName, name: &str) -> Option<&NetworkInfo> {
        self.0
            .get(node)?
            .iter()
            .find(|network| network.iface == name)
    }

    /// Whether this is a network of an SDN zone that the token may use. Others are local bridges, or are not visible.
    fn is_vnet(&self, node: &NodeName, name: &str) -> bool {
        let known = self.0.get(node).into_iter().flatten();
        known
            .into_iter()
            .any(|network| network.kind == "vnet" && network.iface == name)
    }

    /// Whether the node lists the network; `true` where its networks are unknown.
    pub(crate) fn may_have(&self, node: &NodeName, name: &str) -> bool {
        let Some(known) = self.0.get(node) else {
            return true;
        };
        known.iter().any(|network| network.iface == name)
    }
}

/// Everything that the token must be allowed, on Proxmox VE 8 and 9 alike. `docs/proxmox-role.md` grants exactly this.
pub(crate) fn requirements(context: &Context, networks: &Networks) -> Vec<Requirement> {
    let desired = context.desired();
    let mut required = Vec::new();
    for machine in &desired.machines {
        let path = format!("/vms/{}", machine.spec.vm_id);
        required.extend(VM_PRIVILEGES.map(|privilege| Requirement::new(path.as_str(), privilege)));
        if machine.spec.guest_agent {
            // 9 replaced VM.Monitor.
            required.push(Requirement::new(path, "VM.GuestAgent.Audit").or("VM.Monitor"));
        }
        if machine.delivery != Delivery::Maintenance {
            let path = format!("/vms/{}", machine.spec.vm_id);
            required.push(Requirement::new(path, "VM.Config.Cloudinit"));
        }
        for network in machine.spec.networks() {
            // The path of a vnet has the zone, which the list of networks does not tell.
            if !networks.is_vnet(&machine.place.node, &network.bridge) {
                required.push(Requirement::new(network_path(network), "SDN.Use"));
            }
        }
    }
    let disks = desired.disk_storages().into_iter();
    let images = desired.iso_storages().into_iter();
    for (place, privilege) in disks
        .map(|place| (place, "Datastore.AllocateSpace"))
        .chain(images.map(|place| (place, "Datastore.AllocateTemplate")))
    {
        let path = format!("/storage/{}", place.storage);
        required.push(Requirement::new(path.as_str(), privilege));
        required.push(Requirement::new(path, "Datastore.Audit"));
    }
    for storage in desired.snippet_storages() {
        let path = format!("/storage/{storage}");
        // Without it the snippets are not listed, which is the proof that they are where the node reads them.
        required.push(Requirement::new(path.as_str(), "Datastore.Allocate"));
        required.push(Requirement::new(path, "Datastore.Audit"));
    }
    required
}

/// Where Proxmox VE (8 and later) checks that a machine may use its bridge, or its VLAN on the bridge.
fn network_path(network: &Network) -> String {
    let bridge = format!("/sdn/zones/localnetwork/{}", network.bridge);
    match network.vlan {
        Some(tag) => format!("{bridge}/{tag}"),
        None => bridge,
    }
}
