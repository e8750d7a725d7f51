//! Storages, pools and bridges that the machines need at Proxmox VE.

use std::collections::BTreeSet;

use proxmox_client::id::StorageName;
use proxmox_client::storage::{Content, StorageInfo};

use super::Networks;
use crate::desired::{DesiredMachine, NodeStorage};
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;

/// Everything that is wrong with the places of the machines, and every question that was not answered.
pub(super) async fn check(context: &Context) -> Vec<Error> {
    let desired = context.desired();
    let mut failures = Vec::new();
    for place in desired.disk_storages() {
        let taken = storage_takes(context, &place, Content::Images, "storage").await;
        failures.extend(taken.err());
    }
    for place in desired.iso_storages() {
        let taken = storage_takes(context, &place, Content::Iso, "isoStorage").await;
        failures.extend(taken.err());
    }
    for place in desired.snippet_places() {
        let taken = storage_takes(context, &place, Content::Snippets, "snippetStorage").await;
        failures.extend(taken.err());
    }
    for storage in desired.snippet_storages() {
        failures.extend(folder_is_there(context, storage).await.err());
    }
    for pool in pools(&desired.machines) {
        failures.extend(pool_exists(context, pool).await.err());
    }
    failures
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
            "the storage {problem}; it is for {}",
            affected.join(", ")
        ))
        .with_hint(another_storage(field)))
}

/// Whether the folder of a storage for snippets can be reached from here. What is written shows whether it is that folder.
async fn folder_is_there(context: &Context, storage: &StorageName) -> Result<()> {
    let ready = context.snippets(storage)?.preflight().await;
    ready.map_err(|error| {
        Error::from(error).with_hint(format!(
            "Mount the folder of the snippets of storage {storage} on this host, and give that path."
        ))
    })
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

/// The pools of the machines.
fn pools(machines: &[DesiredMachine]) -> BTreeSet<&str> {
    machines
        .iter()
        .filter_map(|machine| machine.spec.pool.as_deref())
        .collect()
}

/// Whether the pool exists. One that the token may not see is left to the creation of the VM.
async fn pool_exists(context: &Context, pool: &str) -> Result<()> {
    match context.clients().proxmox.pool(pool).details().await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == proxmox_client::ErrorKind::Forbidden => Ok(()),
        Err(error) if error.kind() == proxmox_client::ErrorKind::NotFound => {
            Err(missing_pool(&context.desired().machines, pool, error))
        }
        Err(error) => Err(error.into()),
    }
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
            "the pool does not exist; it is for {}",
            affected.join(", ")
        ))
        .with_hint("Create the pool at Proxmox VE, or correct machines[].pool.")
        .with_source(error)
}

fn is_placed_on(machine: &DesiredMachine, place: &NodeStorage) -> bool {
    let own = &machine.place;
    let storages = [
        Some(&own.storage),
        Some(&own.iso_storage),
        machine.delivery.storage(),
    ];
    own.node == place.node && storages.contains(&Some(&place.storage))
}

/// A bridge that is not listed may also be one that the token may not see: the start of the VM decides.
pub(super) fn warn_about_bridges(context: &Context, networks: &Networks) {
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
