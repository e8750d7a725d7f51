//! Calls for the whole cluster, high availability apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::State;
use super::task::{self, TaskSubject};
use super::vm;
use crate::id::VmId;

/// Options and SDN, by name.
#[derive(Debug, Default)]
pub(super) struct Datacenter {
    options: BTreeMap<String, String>,
    zones: BTreeMap<String, Map<String, Value>>,
    vnets: BTreeMap<String, Map<String, Value>>,
}

impl Datacenter {
    pub(super) fn is_vnet(&self, name: &str) -> bool {
        self.vnets.contains_key(name)
    }
}

/// The value comes as a string, as on the real server.
pub(super) fn next_id(context: &Context<'_>, state: &State) -> Reply {
    if context.optional("vmid").is_some() {
        let id = context.vm_id()?;
        if state.vms.contains_key(&id) {
            return Err(Refusal::parameter(
                "vmid",
                format!("VM {id} already exists"),
            ));
        }
        return Ok(id.to_string().into());
    }
    (VmId::MIN..1_000_000)
        .filter_map(|number| VmId::new(number).ok())
        .find(|id| !state.vms.contains_key(id))
        .map(|id| id.to_string().into())
        .ok_or_else(|| Refusal::died("unable to get any free VMID in range [100, 1000000]"))
}

pub(super) fn status(state: &State) -> Value {
    let cluster = json!({
        "type": "cluster", "id": "cluster", "name": "lab", "nodes": state.nodes.len(), "version": 1,
        "quorate": u8::from(state.quorate),
    });
    let nodes = state.nodes.iter().zip(1..).map(|(node, number)| {
        json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name, "nodeid": number,
            "online": u8::from(node.online), "local": u8::from(number == 1), "ip": format!("127.0.0.{number}"),
            "level": if node.online { "c" } else { "" },
        })
    });
    std::iter::once(cluster).chain(nodes).collect()
}

pub(super) fn resources(context: &Context<'_>, state: &State) -> Value {
    let wanted = context.optional("type");
    let is = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
    let mut items: Vec<Value> = Vec::new();
    if wanted.is_none() {
        let pools = state.pools.ids().filter(|id| {
            context
                .caller
                .may(&format!("/pool/{id}"), &["Pool.Audit", "Pool.Allocate"])
        });
        items.extend(
            pools.map(|id| json!({ "id": format!("/pool/{id}"), "type": "pool", "pool": id })),
        );
    }
    if is("vm") {
        items.extend(guests(context, state));
    }
    if is("node") {
        items.extend(super::node::list(context, state));
    }
    if is("storage") {
        items.extend(storages(context, state));
    }
    items.into_iter().collect()
}

fn guests(context: &Context<'_>, state: &State) -> Vec<Value> {
    let visible = state
        .vms
        .iter()
        .filter(|(id, _)| context.caller.may(&format!("/vms/{id}"), &["VM.Audit"]));
    let items = visible.map(|(id, vm)| {
        let mut item = vm::summary(*id, vm);
        item["id"] = format!("qemu/{id}").into();
        item["type"] = "qemu".into();
        item["node"] = vm.node.as_str().into();
        item["template"] = u8::from(vm.options.contains_key("template")).into();
        if let Some(pool) = state.pools.of_vm(*id) {
            item["pool"] = pool.into();
        }
        item
    });
    items.collect()
}

fn storages(context: &Context<'_>, state: &State) -> Vec<Value> {
    let mut items = Vec::new();
    for node in &state.nodes {
        for storage in &state.storages {
            let path = format!("/storage/{}", storage.name);
            let visible = context
                .caller
                .may(&path, &["Datastore.Audit", "Datastore.AllocateSpace"]);
            if !visible || storage.disabled || !storage.is_on(&node.name) {
                continue;
            }
            let mut item = json!({
                "id": format!("storage/{}/{}", node.name, storage.name), "type": "storage",
                "node": node.name, "storage": storage.name, "plugintype": storage.kind,
                "content": storage.content.join(","), "shared": u8::from(storage.shared),
                "status": if node.online { "available" } else { "unknown" },
            });
            if node.online {
                item["maxdisk"] = storage.size.into();
                item["disk"] = state.used(&storage.name).into();
            }
            items.push(item);
        }
    }
    items
}

pub(super) fn options(state: &State) -> Value {
    let mut options = json!({ "mac_prefix": "BC:24:11", "description": "", "allowed-tags": [] });
    for (name, value) in &state.datacenter.options {
        options[name.as_str()] = value.as_str().into();
    }
    options
}

pub(super) fn update_options(context: &Context<'_>, state: &mut State) -> Reply {
    for (name, value) in context.params {
        if name != "delete" {
            state.datacenter.options.insert(name.clone(), value.clone());
        }
    }
    for name in crate::wire::split_list(context.optional("delete").unwrap_or_default()) {
        state.datacenter.options.remove(name);
    }
    Ok(Value::Null)
}

/// The parameters as an object; numbers as numbers.
fn fields(context: &Context<'_>) -> Map<String, Value> {
    let fields = context.params.iter().map(|(name, value)| {
        let shown = match value.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => Value::from(value.as_str()),
        };
        (name.clone(), shown)
    });
    fields.collect()
}

fn values(map: &BTreeMap<String, Map<String, Value>>) -> Value {
    map.values().cloned().map(Value::Object).collect()
}

pub(super) fn zones(state: &State) -> Value {
    values(&state.datacenter.zones)
}

pub(super) fn create_zone(context: &Context<'_>, state: &mut State) -> Reply {
    let zone = context.param("zone").to_owned();
    if state.datacenter.zones.contains_key(&zone) {
        return Err(Refusal::died(format!(
            "sdn zone object ID '{zone}' already defined"
        )));
    }
    state.datacenter.zones.insert(zone, fields(context));
    Ok(Value::Null)
}

pub(super) fn vnets(state: &State) -> Value {
    values(&state.datacenter.vnets)
}

pub(super) fn create_vnet(context: &Context<'_>, state: &mut State) -> Reply {
    let vnet = context.param("vnet").to_owned();
    if state.datacenter.vnets.contains_key(&vnet) {
        return Err(Refusal::died(format!(
            "sdn vnet object ID '{vnet}' already defined"
        )));
    }
    let zone = context.param("zone");
    if !state.datacenter.zones.contains_key(zone) {
        return Err(Refusal::died(format!("zone '{zone}' does not exist")));
    }
    state.datacenter.vnets.insert(vnet, fields(context));
    Ok(Value::Null)
}

pub(super) fn apply_sdn(context: &Context<'_>, state: &mut State) -> Reply {
    let node = state.nodes.first().map(|node| node.name.clone());
    let node = node.ok_or_else(|| Refusal::died("no node"))?;
    let subject = TaskSubject::of(context, "reloadnetworkall", "", &node);
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(|_| Ok(Vec::new())),
    )
}
