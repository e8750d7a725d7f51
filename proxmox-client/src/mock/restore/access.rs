//! What a restore needs rights for: before it starts, to read the backup, and in the task.

use crate::id::{VmId, VolumeId};
use crate::mock::auth::Caller;
use crate::mock::handler::Context;
use crate::mock::reply::Refusal;
use crate::mock::state::State;
use crate::mock::vm::check_allocation;

/// The rights that the parameters of the call need, in the order of the server.
pub(super) fn check_call(
    context: &Context<'_>,
    state: &State,
    id: VmId,
    replaces: bool,
) -> Result<String, Refusal> {
    let caller = context.caller;
    let flag = |name: &str| context.optional(name) == Some("1");
    let pool = context.optional("pool");
    let pool = pool.filter(|pool| state.pools.contains(pool));
    if let Some(storage) = context.optional("storage") {
        let path = format!("/storage/{storage}");
        caller.require(&path, &["Datastore.AllocateSpace"])?;
    }
    if flag("ha-managed") {
        caller.require("/", &["Sys.Console"])?;
    }
    if flag("start") {
        let in_pool = pool.is_some_and(|pool| caller.may(&format!("/pool/{pool}"), START));
        if !in_pool {
            caller.require(&format!("/vms/{id}"), START)?;
        }
    }
    check_allocation(context, state, id, replaces)
}

const START: &[&str] = &["VM.PowerMgmt"];

/// Whose backup it is says its name. The owner of the VM needs no right on the storage.
pub(super) fn check_access(
    context: &Context<'_>,
    volume: &VolumeId,
    id: VmId,
) -> Result<(), Refusal> {
    let caller = context.caller;
    let path = format!("/storage/{}", volume.storage());
    if caller.may(&path, &["Datastore.Allocate"]) {
        return Ok(());
    }
    let owner = volume.file_name().split('-').nth(2);
    match owner.and_then(|owner| owner.parse::<VmId>().ok()) {
        Some(owner) if owner == id => Ok(()),
        Some(owner) => {
            caller.require(&path, &["Datastore.AllocateSpace"])?;
            caller.require(&format!("/vms/{owner}"), &["VM.Backup"])
        }
        None => Err(Refusal::died(format!(
            "missing privileges to access {volume}"
        ))),
    }
}

/// What the task may do for the caller.
pub(super) struct Rights {
    caller: Caller,
}

impl Rights {
    pub(super) fn of(context: &Context<'_>) -> Self {
        Self {
            caller: context.caller.clone(),
        }
    }

    /// Whether an image may be allocated on the storage of a drive.
    pub(super) fn check_storage(&self, state: &State, name: &str) -> Result<(), String> {
        let storage = state
            .storages
            .iter()
            .find(|known| known.name.as_str() == name);
        let storage = storage.ok_or_else(|| format!("storage '{name}' does not exist"))?;
        if !storage.supports("images") {
            return Err(format!(
                "Content type 'images' is not available on storage '{name}'"
            ));
        }
        let path = format!("/storage/{name}");
        match self.caller.may(&path, &["Datastore.AllocateSpace"]) {
            true => Ok(()),
            false => Err(format!(
                "403 Permission check failed ({path}, Datastore.AllocateSpace)"
            )),
        }
    }
}
