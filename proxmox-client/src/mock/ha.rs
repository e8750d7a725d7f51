//! High availability: resources, groups (PVE 8) and rules (PVE 9).
//!
//! The texts are those of pve-ha-manager 5.1 and 4.0.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::check::Release;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::route::Route;
use super::state::{State, hex};
use crate::id::VmId;

type Objects = BTreeMap<String, Map<String, Value>>;

/// Resources, groups and rules by name.
#[derive(Debug, Default)]
pub(super) struct HighAvailability {
    resources: Objects,
    groups: Objects,
    rules: Objects,
}

impl HighAvailability {
    pub(super) fn is_managed(&self, vm: VmId) -> bool {
        self.resources.contains_key(&format!("vm:{vm}"))
    }
}

pub(super) fn call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::HaResources => Ok(all(&state.ha.resources)),
        Route::HaResource => {
            sid(context, state).and_then(|sid| read(&state.ha.resources, &sid, "resource"))
        }
        Route::CreateHaResource => create_resource(context, state),
        Route::UpdateHaResource => update_resource(context, state),
        Route::DeleteHaResource => delete_resource(context, state),
        Route::MigrateHaResource | Route::RelocateHaResource => send_resource(context, state),
        Route::HaGroups => with_groups(state, "index groups").map(|()| all(&state.ha.groups)),
        Route::HaGroup => with_groups(state, "read group")
            .and_then(|()| read(&state.ha.groups, context.param("group"), "ha group")),
        Route::CreateHaGroup => create_group(context, state),
        Route::UpdateHaGroup => update_group(context, state),
        Route::DeleteHaGroup => delete_group(context, state),
        Route::HaRules => Ok(all(&state.ha.rules)),
        Route::HaRule => read(&state.ha.rules, context.param("rule"), "ha rule"),
        Route::CreateHaRule => create_rule(context, state),
        Route::UpdateHaRule => update_rule(context, state),
        Route::DeleteHaRule => {
            state.ha.rules.remove(context.param("rule"));
            Ok(Value::Null)
        }
        Route::HaStatus => Ok(status(state)),
        _ => return None,
    })
}

/// The digest of a configuration file.
fn digest(objects: &Objects) -> String {
    hex(&Sha256::digest(format!("{objects:?}")))[..40].to_owned()
}

fn shown(objects: &Objects, object: &Map<String, Value>) -> Value {
    let mut object = object.clone();
    object.insert("digest".to_owned(), digest(objects).into());
    Value::Object(object)
}

fn all(objects: &Objects) -> Value {
    objects
        .values()
        .map(|object| shown(objects, object))
        .collect()
}

fn read(objects: &Objects, name: &str, kind: &str) -> Reply {
    let object = objects.get(name);
    let object = object.ok_or_else(|| Refusal::died(format!("no such {kind} '{name}'")))?;
    Ok(shown(objects, object))
}

/// Parameters that are no settings.
const NOT_STORED: &[&str] = &["digest", "delete"];

/// The settings of a request; numbers as numbers.
fn settings(context: &Context<'_>) -> Map<String, Value> {
    let given = context.params.iter();
    given
        .filter(|(name, _)| !NOT_STORED.contains(&name.as_str()))
        .map(|(name, value)| {
            let shown = match value.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => Value::from(value.as_str()),
            };
            (name.clone(), shown)
        })
        .collect()
}

/// Changes one object of a configuration file; `failed` is how the text of a failure begins.
fn change(
    context: &Context<'_>,
    objects: &mut Objects,
    name: &str,
    (failed, missing): (&str, &str),
) -> Reply {
    let died = |text: &str| Refusal::died(format!("{failed}: {text}"));
    let given = context.optional("digest");
    if given.is_some_and(|given| given != digest(objects)) {
        return Err(died(super::vm_config::MODIFIED));
    }
    let object = objects.get_mut(name).ok_or_else(|| died(missing))?;
    object.extend(settings(context));
    for name in crate::wire::split_list(context.optional("delete").unwrap_or_default()) {
        object.shift_remove(name);
    }
    Ok(Value::Null)
}

/// The resource of the call; a number is the ID of a VM that exists.
fn sid(context: &Context<'_>, state: &State) -> Result<String, Refusal> {
    let sid = context.param("sid");
    let Ok(vm) = sid.parse::<VmId>() else {
        return Ok(sid.to_owned());
    };
    match state.vms.contains_key(&vm) {
        true => Ok(format!("vm:{vm}")),
        false => Err(Refusal::died(format!(
            "unable to detect SID from VMID - VM/CT {vm} does not exist"
        ))),
    }
}

fn create_resource(context: &Context<'_>, state: &mut State) -> Reply {
    state.require_quorum()?;
    let sid = sid(context, state)?;
    check_group(context, state)?;
    let vm = sid.strip_prefix("vm:").and_then(|vm| vm.parse().ok());
    if !vm.is_some_and(|vm: VmId| state.vms.contains_key(&vm)) {
        return Err(Refusal::died(format!(
            "resource '{sid}' does not exist in cluster"
        )));
    }
    if state.ha.resources.contains_key(&sid) {
        return Err(Refusal::died(format!(
            "create resource failed: resource ID '{sid}' already defined"
        )));
    }
    let mut resource = settings(context);
    resource.insert("sid".to_owned(), sid.clone().into());
    resource.insert("type".to_owned(), "vm".into());
    resource.entry("state").or_insert_with(|| "started".into());
    state.ha.resources.insert(sid, resource);
    Ok(Value::Null)
}

/// A resource of PVE 9 has no group.
fn check_group(context: &Context<'_>, state: &State) -> Result<(), Refusal> {
    let Some(group) = context.optional("group") else {
        return Ok(());
    };
    let problem = match state.contract.release() {
        Release::Nine => {
            "invalid parameter 'group': ha groups have been migrated to rules".to_owned()
        }
        Release::Eight if state.ha.groups.contains_key(group) => return Ok(()),
        Release::Eight => format!("HA group '{group}' does not exist"),
    };
    Err(Refusal::died(problem))
}

fn update_resource(context: &Context<'_>, state: &mut State) -> Reply {
    let sid = sid(context, state)?;
    check_group(context, state)?;
    let missing = format!("no such resource '{sid}'");
    let texts = ("update resources config failed", missing.as_str());
    change(context, &mut state.ha.resources, &sid, texts)?;
    if let Some(resource) = state.ha.resources.get_mut(&sid) {
        resource.insert("sid".to_owned(), sid.into());
    }
    Ok(Value::Null)
}

fn delete_resource(context: &Context<'_>, state: &mut State) -> Reply {
    let sid = sid(context, state)?;
    if state.ha.resources.remove(&sid).is_none() {
        return Err(Refusal::died(format!(
            "cannot delete service '{sid}', not HA managed!"
        )));
    }
    // Rules lose the resource, unless the request says otherwise; a rule without resources is deleted.
    if context.optional("purge") != Some("0") {
        state.ha.rules.retain(|_, rule| {
            let named = rule.get("resources").and_then(Value::as_str);
            let named = crate::wire::split_list(named.unwrap_or_default());
            let rest: Vec<String> = named
                .filter(|name| *name != sid)
                .map(str::to_owned)
                .collect();
            rule.insert("resources".to_owned(), rest.join(",").into());
            !rest.is_empty()
        });
    }
    Ok(Value::Null)
}

/// The manager of the mock moves nothing by itself: it answers what was asked of it.
fn send_resource(context: &Context<'_>, state: &State) -> Reply {
    let sid = sid(context, state)?;
    if !state.ha.resources.contains_key(&sid) {
        return Err(Refusal::died(format!("resource '{sid}' is not HA managed")));
    }
    state.node(context.param("node"))?;
    Ok(json!({ "sid": sid, "requested-node": context.param("node") }))
}

/// Whether there are groups at all; `what` begins the text of the refusal.
fn with_groups(state: &State, what: &str) -> Result<(), Refusal> {
    match state.contract.release() {
        Release::Eight => Ok(()),
        Release::Nine => Err(Refusal::died(format!(
            "cannot {what}: ha groups have been migrated to rules"
        ))),
    }
}

fn create_group(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "create group")?;
    state.require_quorum()?;
    let name = context.param("group").to_owned();
    if state.ha.groups.contains_key(&name) {
        return Err(Refusal::died(format!(
            "create ha group failed: ha group ID '{name}' already defined"
        )));
    }
    let mut group = settings(context);
    group.insert("type".to_owned(), "group".into());
    state.ha.groups.insert(name, group);
    Ok(Value::Null)
}

fn update_group(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "update group")?;
    let name = context.param("group");
    let missing = format!("no such ha group '{name}'");
    let texts = ("update ha group failed", missing.as_str());
    change(context, &mut state.ha.groups, name, texts)
}

fn delete_group(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "delete group")?;
    let name = context.param("group");
    let user = state.ha.resources.iter().find(|(_, resource)| {
        resource
            .get("group")
            .is_some_and(|group| group.as_str() == Some(name))
    });
    if let Some((sid, _)) = user {
        return Err(Refusal::died(format!(
            "delete ha group failed: ha group is used by service '{sid}'"
        )));
    }
    state.ha.groups.remove(name);
    Ok(Value::Null)
}

fn create_rule(context: &Context<'_>, state: &mut State) -> Reply {
    state.require_quorum()?;
    check_kind(context)?;
    let name = context.param("rule").to_owned();
    let died = |text: String| Refusal::died(format!("create ha rule failed: {text}"));
    if state.ha.rules.contains_key(&name) {
        return Err(died(format!("HA rule '{name}' already defined")));
    }
    check_members(context, state).map_err(died)?;
    state.ha.rules.insert(name, settings(context));
    Ok(Value::Null)
}

fn update_rule(context: &Context<'_>, state: &mut State) -> Reply {
    let name = context.param("rule");
    let failed = "update HA rules failed";
    if state.ha.rules.contains_key(name) {
        check_members(context, state).map_err(|text| Refusal::died(format!("{failed}: {text}")))?;
    }
    let missing = format!("HA rule '{name}' does not exist");
    change(context, &mut state.ha.rules, name, (failed, &missing))
}

/// What a new rule of its kind must have.
fn check_kind(context: &Context<'_>) -> Result<(), Refusal> {
    let needed = match context.param("type") {
        "node-affinity" => "nodes",
        _ => "affinity",
    };
    match context.optional(needed) {
        Some(_) => Ok(()),
        None => Err(Refusal::died(format!(
            "missing value for required option '{needed}'"
        ))),
    }
}

/// Resources must be managed, nodes must exist.
fn check_members(context: &Context<'_>, state: &State) -> Result<(), String> {
    let list = |name: &str| context.optional(name).unwrap_or_default();
    let unmanaged: Vec<&str> = crate::wire::split_list(list("resources"))
        .filter(|sid| !state.ha.resources.contains_key(*sid))
        .collect();
    if !unmanaged.is_empty() {
        let unmanaged = unmanaged.join(", ");
        return Err(format!("cannot use unmanaged resource(s) {unmanaged}."));
    }
    let unknown: Vec<&str> = crate::wire::split_list(list("nodes"))
        .map(|node| node.split(':').next().unwrap_or_default())
        .filter(|node| !state.nodes.iter().any(|known| known.name.as_str() == *node))
        .collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "cannot use non-existent node(s) {}.",
            unknown.join(", ")
        )),
    }
}

fn status(state: &State) -> Value {
    let quorum = json!({
        "id": "quorum", "type": "quorum", "node": state.nodes.first().map(|node| &node.name),
        "status": if state.quorate { "OK" } else { "No quorum" }, "quorate": u8::from(state.quorate),
    });
    let services = state.ha.resources.iter().map(|(sid, resource)| {
        json!({ "id": format!("service:{sid}"), "type": "service", "state": resource.get("state"), "sid": sid })
    });
    std::iter::once(quorum).chain(services).collect()
}
