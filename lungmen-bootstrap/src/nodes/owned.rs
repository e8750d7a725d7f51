//! The VMs of a cluster, declared or not: each one proves itself by the SMBIOS UUID that follows from its name.

use futures_util::{StreamExt as _, TryStreamExt as _};
use proxmox_client::cluster::{GuestInfo, GuestKind};
use proxmox_client::vm::Vm;

use crate::desired::ownership::MachineUuid;
use crate::error::Result;
use crate::run::context::Context;
use crate::state::record::ClusterId;

/// How many VMs are asked at a time.
const AT_ONCE: usize = 16;

/// A VM that a run of this cluster created.
#[derive(Debug, Clone)]
pub(crate) struct OwnedVm {
    pub(crate) vm: Vm,
    pub(crate) name: String,
    /// Whether the specification has a machine of this name.
    pub(crate) is_declared: bool,
}

/// Every VM on the whole Proxmox VE cluster that the cluster with this id created, in the order of their ids. Only reads.
///
/// The id of the cluster is kept in its record and follows from its secrets, so nobody has such a UUID by chance or by the
/// specification alone.
/// VMs that the token may not see are not found.
pub(crate) async fn vms(context: &Context, id: &ClusterId) -> Result<Vec<OwnedVm>> {
    let guests = context.clients().proxmox.cluster().guests().await?;
    let vms = guests
        .into_iter()
        .filter(|guest| guest.kind == GuestKind::Vm);
    let checks: Vec<_> = vms.map(|guest| owned(context, id, guest)).collect();
    let found: Vec<Option<OwnedVm>> = futures_util::stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut found: Vec<OwnedVm> = found.into_iter().flatten().collect();
    found.sort_by_key(|owned| owned.vm.id());
    Ok(found)
}

/// Whether the VM exists and is one of the cluster, by its configuration as it is now. The context has the record.
///
/// # Errors
/// Those of Proxmox VE: a VM that cannot be read is not decided.
pub(crate) async fn is_owned(context: &Context, vm: &Vm) -> Result<bool> {
    let id = &context.record()?.cluster_id;
    Ok(proven_name(id, vm).await?.is_some())
}

/// The name of a VM whose UUID follows from it.
async fn proven_name(id: &ClusterId, vm: &Vm) -> Result<Option<String>> {
    let Some(config) = vm.find_config().await? else {
        return Ok(None);
    };
    let name = config.name.unwrap_or_default();
    let uuid = config.smbios.and_then(|smbios| smbios.uuid);
    let is_proven = uuid.is_some_and(|uuid| MachineUuid::derive(id.as_str(), &name).is(&uuid));
    Ok(is_proven.then_some(name))
}

/// The list is a few seconds old, so name and UUID are those of the configuration.
async fn owned(context: &Context, id: &ClusterId, guest: GuestInfo) -> Result<Option<OwnedVm>> {
    let vm = context
        .clients()
        .proxmox
        .node(guest.node.clone())
        .vm(guest.vmid);
    let Some(name) = proven_name(id, &vm).await? else {
        return Ok(None);
    };
    let mut machines = context.desired().machines.iter();
    let is_declared = machines.any(|machine| machine.spec.name == name);
    Ok(Some(OwnedVm {
        vm,
        name,
        is_declared,
    }))
}
