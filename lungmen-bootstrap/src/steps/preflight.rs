//! Credentials, privileges, storages and names at every server, checked before anything is changed.

use proxmox_client::access::Requirement;
use proxmox_client::id::StorageName;
use proxmox_client::storage::Content;

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
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

async fn proxmox(context: &Context) -> Result<String> {
    let desired = context.desired();
    let client = &context.clients().proxmox;
    let version = client.version().await?;
    let vnets = vnets(context).await;
    client.preflight(&requirements(context, &vnets)).await?;
    storage_takes(
        context,
        &desired.storage,
        Content::Images,
        "proxmox.storage",
    )
    .await?;
    storage_takes(
        context,
        &desired.iso_storage,
        Content::Iso,
        "proxmox.isoStorage",
    )
    .await?;
    warn_about_bridges(context).await;
    Ok(format!("Proxmox VE {version}"))
}

/// The networks of SDN zones that the token may use. Others are local bridges, or are not visible.
async fn vnets(context: &Context) -> Vec<String> {
    let desired = context.desired();
    let node = context.clients().proxmox.node(desired.node.clone());
    let visible = node.bridges().await.unwrap_or_default();
    let vnets = visible.into_iter().filter(|network| network.kind == "vnet");
    vnets.map(|network| network.iface).collect()
}

/// Everything that the token must be allowed, on Proxmox VE 8 and 9 alike. `docs/proxmox-role.md` grants exactly this.
fn requirements(context: &Context, vnets: &[String]) -> Vec<Requirement> {
    let desired = context.desired();
    let mut required = Vec::new();
    for machine in &desired.machines {
        let path = format!("/vms/{}", machine.spec.vm_id);
        required.extend(VM_PRIVILEGES.map(|privilege| Requirement::new(path.as_str(), privilege)));
        if machine.spec.guest_agent {
            // 9 replaced VM.Monitor.
            required.push(Requirement::new(path, "VM.GuestAgent.Audit").or("VM.Monitor"));
        }
        // The path of a vnet has the zone, which the list of networks does not tell.
        if !vnets.contains(&machine.spec.network.bridge) {
            required.push(Requirement::new(network_path(machine), "SDN.Use"));
        }
    }
    for (storage, privilege) in [
        (&desired.storage, "Datastore.AllocateSpace"),
        (&desired.iso_storage, "Datastore.AllocateTemplate"),
    ] {
        let path = format!("/storage/{storage}");
        required.push(Requirement::new(path.as_str(), privilege));
        required.push(Requirement::new(path, "Datastore.Audit"));
    }
    required
}

/// Where Proxmox VE (8 and later) checks that a machine may use its bridge, or its VLAN on the bridge.
fn network_path(machine: &DesiredMachine) -> String {
    let network = &machine.spec.network;
    let bridge = format!("/sdn/zones/localnetwork/{}", network.bridge);
    match network.vlan {
        Some(tag) => format!("{bridge}/{tag}"),
        None => bridge,
    }
}

async fn storage_takes(
    context: &Context,
    name: &StorageName,
    content: Content,
    field: &str,
) -> Result<()> {
    let node = context
        .clients()
        .proxmox
        .node(context.desired().node.clone());
    let storage = node.storage(name.clone()).status().await?;
    if storage.supports(content) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Rejected, "check the storage")
        .with_target(format!("{name} on node {}", context.desired().node))
        .with_message(format!(
            "the storage does not accept content of type {content}"
        ))
        .with_hint(format!(
            "Enable the content type, or set {field} to another storage."
        )))
}

/// A bridge that is not listed may also be one that the token may not see: the start of the VM decides.
async fn warn_about_bridges(context: &Context) {
    let desired = context.desired();
    let node = context.clients().proxmox.node(desired.node.clone());
    let Ok(bridges) = node.bridges().await else {
        return;
    };
    for machine in &desired.machines {
        let wanted = &machine.spec.network.bridge;
        if !bridges.iter().any(|bridge| bridge.iface == *wanted) {
            context.warn(format!(
                "Node {} lists no bridge {wanted}: it does not exist, or the privilege SDN.Use on it is missing.",
                desired.node
            ));
        }
    }
}

/// Rights on the store, and the record in it: another cluster's record is found before anything is created.
async fn store(context: &Context) -> Result<String> {
    let store = context.store().as_ref();
    store.preflight().await?;
    if let Some(claimed) = claim::find(store, &context.wanted()).await? {
        super::claim::compare_file(context, &claimed.record)?;
    }
    Ok(store.describe())
}

async fn argocd(context: &Context) -> Result<String> {
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
