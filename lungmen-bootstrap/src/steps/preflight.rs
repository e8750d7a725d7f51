//! Credentials, privileges, storages and names at every server, checked before anything is changed.

use std::collections::{BTreeMap, BTreeSet};

use proxmox_client::access::Requirement;
use proxmox_client::id::NodeName;
use proxmox_client::node::NetworkInfo;
use proxmox_client::storage::{Content, StorageInfo};

use crate::desired::{DesiredMachine, NodeStorage};
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::spec::machine::Network;
use crate::state::claim;

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

/// Checks the servers of the steps up to `last`.
pub(crate) struct Preflight {
    pub(crate) last: StepId,
}

impl Step for Preflight {
    const ID: StepId = StepId::Preflight;
    const KIND: Kind = Kind::Check;
    /// The servers that answered, with their versions.
    type Output = Vec<String>;

    async fn observe(&self, context: &Context) -> Result<Observation<Vec<String>>> {
        let desired = context.desired();
        let mut servers = Vec::new();
        // A run that ends here was asked to check everything.
        let last = match self.last {
            StepId::Preflight => StepId::Applications,
            last => last,
        };
        if last >= StepId::Image {
            servers.push(proxmox(context).await?);
        }
        if last >= StepId::Claim {
            servers.push(store(context).await?);
        }
        if last >= StepId::Register && desired.argocd.is_some() {
            servers.push(argocd(context).await?);
        }
        Ok(Observation::Done(servers))
    }

    fn summary(&self, servers: &Vec<String>) -> String {
        servers.join(", ")
    }
}

pub(crate) async fn proxmox(context: &Context) -> Result<String> {
    let desired = context.desired();
    let client = &context.clients().proxmox;
    let version = client.version().await?;
    let networks = Networks::read(context).await;
    client.preflight(&requirements(context, &networks)).await?;
    for place in desired.disk_storages() {
        storage_takes(context, &place, Content::Images, "storage").await?;
    }
    for place in desired.iso_storages() {
        storage_takes(context, &place, Content::Iso, "isoStorage").await?;
    }
    pools_exist(context).await?;
    warn_about_bridges(context, &networks);
    Ok(format!("Proxmox VE {version}"))
}

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

async fn storage_takes(
    context: &Context,
    place: &NodeStorage,
    content: Content,
    field: &str,
) -> Result<()> {
    let node = context.clients().proxmox.node(place.node.clone());
    let storage = node.storage(place.storage.clone()).status().await?;
    let Some(problem) = unusable(&storage, content) else {
        return Ok(());
    };
    let affected: Vec<&str> = context
        .desired()
        .machines
        .iter()
        .filter(|machine| is_placed_on(machine, place))
        .map(|machine| machine.spec.name.as_str())
        .collect();
    Err(Error::new(ErrorKind::Rejected, "check the storage")
        .with_target(place.to_string())
        .with_message(format!(
            "the storage {problem}; {} needs it",
            affected.join(", ")
        ))
        .with_hint(another_storage(field)))
}

/// Why the node cannot use the storage for this content; `None` when it can.
pub(crate) fn unusable(storage: &StorageInfo, content: Content) -> Option<String> {
    if !storage.supports(content) {
        Some(format!("does not accept content of type {content}"))
    } else if !storage.enabled || !storage.active {
        Some("is not active on this node".to_owned())
    } else {
        None
    }
}

/// What to do about a storage that cannot be used, which this field names.
pub(crate) fn another_storage(field: &str) -> String {
    format!(
        "Correct the storage at Proxmox VE, or set proxmox.{field} or machines[].placement.{field} to another one."
    )
}

/// Whether the pools of the machines exist. One that the token may not see is left to the creation of the VM.
async fn pools_exist(context: &Context) -> Result<()> {
    let machines = &context.desired().machines;
    let pools: BTreeSet<&str> = machines
        .iter()
        .filter_map(|machine| machine.spec.pool.as_deref())
        .collect();
    for pool in pools {
        match context.clients().proxmox.pool(pool).details().await {
            Ok(_) => {}
            Err(error) if error.kind() == proxmox_client::ErrorKind::Forbidden => {}
            Err(error) if error.kind() == proxmox_client::ErrorKind::NotFound => {
                return Err(missing_pool(machines, pool, error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn missing_pool(machines: &[DesiredMachine], pool: &str, error: proxmox_client::Error) -> Error {
    let affected: Vec<&str> = machines
        .iter()
        .filter(|machine| machine.spec.pool.as_deref() == Some(pool))
        .map(|machine| machine.spec.name.as_str())
        .collect();
    Error::new(ErrorKind::NotFound, "check the pool")
        .with_target(format!("pool {pool}"))
        .with_message(format!(
            "the pool does not exist; {} needs it",
            affected.join(", ")
        ))
        .with_hint("Create the pool at Proxmox VE, or correct machines[].pool.")
        .with_source(error)
}

fn is_placed_on(machine: &DesiredMachine, place: &NodeStorage) -> bool {
    let own = &machine.place;
    own.node == place.node && [&own.storage, &own.iso_storage].contains(&&place.storage)
}

/// A bridge that is not listed may also be one that the token may not see: the start of the VM decides.
fn warn_about_bridges(context: &Context, networks: &Networks) {
    let mut missing = Vec::new();
    for machine in &context.desired().machines {
        for network in machine.spec.networks() {
            let wanted = (&machine.place.node, &network.bridge);
            if !networks.may_have(wanted.0, wanted.1) && !missing.contains(&wanted) {
                missing.push(wanted);
            }
        }
    }
    for (node, bridge) in missing {
        context.warn(format!(
            "Node {node} lists no bridge {bridge}: it does not exist, or the privilege SDN.Use on it is missing."
        ));
    }
}

/// Rights on the store, and the record in it: another cluster's record is found before anything is created.
pub(crate) async fn store(context: &Context) -> Result<String> {
    let store = context.store().as_ref();
    store.preflight().await?;
    if let Some(claimed) = claim::find(store, &context.wanted()).await? {
        super::claim::compare_file(context, &claimed.record)?;
    }
    Ok(store.describe())
}

pub(crate) async fn argocd(context: &Context) -> Result<String> {
    let (client, target) = super::register::argocd(context)?;
    let version = client.version().await?;
    if !client.user_info().await?.logged_in {
        return Err(Error::new(ErrorKind::Unauthenticated, "log in to Argo CD")
            .with_message("the server does not accept the token")
            .with_hint("Check the Argo CD token and that its account still exists."));
    }
    // A policy may allow exactly this address, which cannot be queried: a URL does not fit into that path.
    if !client.can_i("clusters", "create", "*").await? {
        context.warn("The Argo CD account may not create every cluster; it must at least be allowed this one.");
    }
    super::register::check_names(client, context, target).await?;
    Ok(format!("Argo CD {version}"))
}
