//! What every server will need to allow, asked before anything is changed.

use proxmox_client::access::Requirement;
use proxmox_client::id::StorageName;
use proxmox_client::storage::Content;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};

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
        if self.last >= StepId::Image {
            servers.push(proxmox(context).await?);
        }
        if self.last >= StepId::SaveSecrets && desired.openbao.is_some() {
            servers.push(openbao(context).await?);
        }
        if self.last >= StepId::Register && desired.argocd.is_some() {
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
    client.preflight(&requirements(context)).await?;
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

fn requirements(context: &Context) -> Vec<Requirement> {
    let desired = context.desired();
    let of_vms = desired.machines.iter().flat_map(|machine| {
        let path = format!("/vms/{}", machine.spec.vm_id);
        VM_PRIVILEGES.map(|privilege| Requirement::new(path.as_str(), privilege))
    });
    let of_storages = [
        (&desired.storage, "Datastore.AllocateSpace"),
        (&desired.iso_storage, "Datastore.AllocateTemplate"),
    ]
    .map(|(storage, privilege)| Requirement::new(format!("/storage/{storage}"), privilege));
    of_vms.chain(of_storages).collect()
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
        .with_message(format!("it does not take content of the type {content}"))
        .with_hint(format!(
            "switch the content type on, or name another storage in {field}"
        )))
}

/// A bridge that is not listed may also be one that we may not see: the start of the VM decides.
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
                "node {} shows no bridge {wanted}: it does not exist, or SDN.Use on it is missing",
                desired.node
            ));
        }
    }
}

async fn openbao(context: &Context) -> Result<String> {
    let (client, target) = super::save_secrets::openbao(context)?;
    // Reading proves that the server is unsealed and that the token and its policy hold.
    client.kv(&target.mount).preflight(&target.path).await?;
    Ok("OpenBao".into())
}

async fn argocd(context: &Context) -> Result<String> {
    let (client, _) = super::register::argocd(context)?;
    let version = client.version().await?;
    if !client.user_info().await?.logged_in {
        return Err(Error::new(ErrorKind::Unauthenticated, "log in to Argo CD")
            .with_message("the server does not accept the token")
            .with_hint("check the Argo CD token and that its account still exists"));
    }
    // A policy may allow exactly our address, which cannot be asked about: a URL does not fit into that path.
    if !client.can_i("clusters", "create", "*").await? {
        context.warn("the Argo CD account may not create every cluster; it must at least be allowed this one");
    }
    Ok(format!("Argo CD {version}"))
}
