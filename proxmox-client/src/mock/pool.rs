//! Pools.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::State;
use crate::id::VmId;
use crate::wire::split_list;

/// The pools by ID.
#[derive(Debug, Default)]
pub(super) struct Pools(BTreeMap<String, Pool>);

#[derive(Debug, Default)]
struct Pool {
    comment: Option<String>,
    vms: BTreeSet<VmId>,
    storages: BTreeSet<String>,
}

impl Pools {
    pub(super) fn new(ids: Vec<String>) -> Self {
        Self(ids.into_iter().map(|id| (id, Pool::default())).collect())
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn add_vm(&mut self, id: &str, vm: VmId) {
        if let Some(pool) = self.0.get_mut(id) {
            pool.vms.insert(vm);
        }
    }

    pub(super) fn remove_vm(&mut self, vm: VmId) {
        for pool in self.0.values_mut() {
            pool.vms.remove(&vm);
        }
    }

    pub(super) fn of_vm(&self, vm: VmId) -> Option<&str> {
        let found = self.0.iter().find(|(_, pool)| pool.vms.contains(&vm))?;
        Some(found.0)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn shown(id: &str, pool: &Pool) -> Value {
    let mut item = json!({ "poolid": id });
    if let Some(comment) = &pool.comment {
        item["comment"] = comment.as_str().into();
    }
    item
}

pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    if let Some(id) = context.optional("poolid") {
        return details(state, id).map(|pool| json!([pool]));
    }
    let visible = state.pools.0.iter().filter(|(id, _)| {
        context
            .caller
            .may(&format!("/pool/{id}"), &["Pool.Audit", "Pool.Allocate"])
    });
    Ok(visible.map(|(id, pool)| shown(id, pool)).collect())
}

pub(super) fn one(context: &Context<'_>, state: &State) -> Reply {
    details(state, context.param("poolid"))
}

fn details(state: &State, id: &str) -> Reply {
    let pool = state
        .pools
        .0
        .get(id)
        .ok_or_else(|| Refusal::died(format!("pool '{id}' does not exist")))?;
    let vms = pool.vms.iter().filter_map(|vmid| {
        let vm = state.vms.get(vmid)?;
        Some(json!({
            "id": format!("qemu/{vmid}"), "type": "qemu", "vmid": vmid, "node": vm.node,
            "name": vm.options.get("name"), "status": if vm.running { "running" } else { "stopped" },
        }))
    });
    let storages = pool.storages.iter().map(|name| {
        let node = state.nodes.first().map(|node| node.name.to_string()).unwrap_or_default();
        json!({ "id": format!("storage/{node}/{name}"), "type": "storage", "storage": name, "node": node })
    });
    let mut item = shown(id, pool);
    item["members"] = vms.chain(storages).collect();
    Ok(item)
}

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("poolid").to_owned();
    if state.pools.contains(&id) {
        return Err(Refusal::died(format!(
            "create pool failed: pool '{id}' already exists"
        )));
    }
    if let Some((parent, _)) = id.rsplit_once('/')
        && !state.pools.contains(parent)
    {
        return Err(Refusal::died(format!(
            "create pool failed: parent '{parent}' of pool '{id}' does not exist"
        )));
    }
    let pool = Pool {
        comment: context.optional("comment").map(str::to_owned),
        ..Pool::default()
    };
    state.pools.0.insert(id, pool);
    Ok(Value::Null)
}

pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("poolid");
    let delete = context.optional("delete") == Some("1");
    let missing = || Refusal::died(format!("update pool failed: pool '{id}' does not exist"));
    let pool = state.pools.0.get_mut(id).ok_or_else(missing)?;
    if let Some(comment) = context.optional("comment") {
        pool.comment = Some(comment.to_owned());
    }
    for storage in split_list(context.optional("storage").unwrap_or_default()) {
        match delete {
            true => pool.storages.remove(storage),
            false => pool.storages.insert(storage.to_owned()),
        };
    }
    for vm in split_list(context.optional("vms").unwrap_or_default()) {
        let Ok(vm) = vm.parse() else { continue };
        match delete {
            true => pool.vms.remove(&vm),
            false => pool.vms.insert(vm),
        };
    }
    Ok(Value::Null)
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("poolid");
    let failed = |text: String| Refusal::died(format!("delete pool failed: {text}"));
    let Some(pool) = state.pools.0.get(id) else {
        return Err(failed(format!("pool '{id}' does not exist")));
    };
    let not_empty = |what: String| failed(format!("pool '{id}' is not empty (contains {what})"));
    let below = format!("{id}/");
    if let Some(child) = state.pools.0.keys().find(|known| known.starts_with(&below)) {
        return Err(not_empty(format!("pool '{child}'")));
    }
    if let Some(vm) = pool.vms.iter().find(|vm| state.vms.contains_key(vm)) {
        return Err(not_empty(format!("VMID {vm}")));
    }
    if let Some(storage) = pool.storages.iter().next() {
        return Err(not_empty(format!("storage '{storage}'")));
    }
    state.pools.0.remove(id);
    Ok(Value::Null)
}
