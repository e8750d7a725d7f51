//! What every server will need to allow, asked before anything is changed.

use proxmox_client::access::Requirement;
use proxmox_client::id::StorageName;
use proxmox_client::storage::Content;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::step::StepId;

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

/// Asks the servers of the steps up to `last`, and says in one line what answered.
pub(crate) async fn preflight(world: &World, last: StepId) -> Result<((), String)> {
    let mut answered = Vec::new();
    if last >= StepId::Image {
        answered.push(proxmox(world).await?);
    }
    if last >= StepId::Save && world.blueprint().openbao.is_some() {
        answered.push(openbao(world).await?);
    }
    if last >= StepId::Register && world.blueprint().argocd.is_some() {
        answered.push(argocd(world).await?);
    }
    Ok(((), answered.join(", ")))
}

async fn proxmox(world: &World) -> Result<String> {
    let blueprint = world.blueprint();
    let client = &world.clients().proxmox;
    let version = client.version().await?;
    client.preflight(&requirements(world)).await?;
    storage_takes(
        world,
        &blueprint.storage,
        Content::Images,
        "proxmox.storage",
    )
    .await?;
    storage_takes(
        world,
        &blueprint.iso_storage,
        Content::Iso,
        "proxmox.isoStorage",
    )
    .await?;
    warn_about_bridges(world).await;
    Ok(format!("Proxmox VE {version}"))
}

fn requirements(world: &World) -> Vec<Requirement> {
    let blueprint = world.blueprint();
    let of_vms = blueprint.machines.iter().flat_map(|machine| {
        let path = format!("/vms/{}", machine.spec.vm_id);
        VM_PRIVILEGES.map(|privilege| Requirement::new(path.as_str(), privilege))
    });
    let of_storages = [
        (&blueprint.storage, "Datastore.AllocateSpace"),
        (&blueprint.iso_storage, "Datastore.AllocateTemplate"),
    ]
    .map(|(storage, privilege)| Requirement::new(format!("/storage/{storage}"), privilege));
    of_vms.chain(of_storages).collect()
}

async fn storage_takes(
    world: &World,
    name: &StorageName,
    content: Content,
    field: &str,
) -> Result<()> {
    let node = world.clients().proxmox.node(world.blueprint().node.clone());
    let storage = node.storage(name.clone()).status().await?;
    if storage.supports(content) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Rejected, "check the storage")
        .with_target(format!("{name} on node {}", world.blueprint().node))
        .with_message(format!("it does not take content of the type {content}"))
        .with_hint(format!(
            "switch the content type on, or name another storage in {field}"
        )))
}

/// A bridge that is not listed may also be one that we may not see: the start of the VM decides.
async fn warn_about_bridges(world: &World) {
    let blueprint = world.blueprint();
    let node = world.clients().proxmox.node(blueprint.node.clone());
    let Ok(bridges) = node.bridges().await else {
        return;
    };
    for machine in &blueprint.machines {
        let wanted = &machine.spec.network.bridge;
        if !bridges.iter().any(|bridge| bridge.iface == *wanted) {
            world.warn(format!(
                "node {} shows no bridge {wanted}: it does not exist, or SDN.Use on it is missing",
                blueprint.node
            ));
        }
    }
}

async fn openbao(world: &World) -> Result<String> {
    let (client, target) = super::save_secrets::openbao(world)?;
    // Reading proves that the server is unsealed and that the token and its policy hold.
    client.kv(&target.mount).preflight(&target.path).await?;
    Ok("OpenBao".into())
}

async fn argocd(world: &World) -> Result<String> {
    let (client, _) = super::register::argocd(world)?;
    let version = client.version().await?;
    if !client.user_info().await?.logged_in {
        return Err(Error::new(ErrorKind::Unauthenticated, "log in to Argo CD")
            .with_message("the server does not accept the token")
            .with_hint("check the Argo CD token and that its account still exists"));
    }
    // A policy may allow exactly our address, which cannot be asked about: a URL does not fit into that path.
    if !client.can_i("clusters", "create", "*").await? {
        world.warn("the Argo CD account may not create every cluster; it must at least be allowed this one");
    }
    Ok(format!("Argo CD {version}"))
}
