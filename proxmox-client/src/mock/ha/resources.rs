//! Guests that the manager keeps running.

use serde_json::{Value, json};

use super::{
    Object, Settings, assert_unmodified, feasibility, locked, settings, shown, sorted_list, text,
};
use crate::id::VmId;
use crate::mock::check::Release;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::State;
use crate::wire::split_list;

const NINE: Settings = Settings {
    required: &[],
    optional: &[
        "state",
        "group",
        "comment",
        "failback",
        "max_restart",
        "max_relocate",
    ],
};

const EIGHT: Settings = Settings {
    required: &[],
    optional: &["state", "group", "comment", "max_restart", "max_relocate"],
};

/// Parameters that are no settings.
const OF_THE_CALL: &[&str] = &["sid", "type", "digest", "delete"];

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

pub(super) fn list(context: &Context<'_>, state: &State) -> Value {
    let wanted = context.optional("type");
    let resources = state.ha.resources.values();
    resources
        .filter(|resource| wanted.is_none_or(|wanted| text(resource, "type") == wanted))
        .map(|resource| {
            let mut shown = shown(&state.ha.resources, resource);
            let group = text(resource, "group");
            if !group.is_empty() && !state.ha.groups.contains_key(group) {
                let problem = format!("group '{group}' does not exist");
                shown.insert("errors".to_owned(), json!({ "group": problem }));
            }
            Value::Object(shown)
        })
        .collect()
}

pub(super) fn read(context: &Context<'_>, state: &State) -> Reply {
    let sid = sid(context, state)?;
    let resource = state.ha.resources.get(&sid);
    let resource = resource.ok_or_else(|| Refusal::died(format!("no such resource '{sid}'")))?;
    Ok(Value::Object(shown(&state.ha.resources, resource)))
}

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    state.require_quorum()?;
    let sid = sid(context, state)?;
    check_type(context, &sid)?;
    // PVE 8 takes a group that does not exist; the list says so afterwards.
    let nine = state.contract.release() == Release::Nine;
    if nine && context.optional("group").is_some() {
        return Err(migrated());
    }
    let vm = sid.strip_prefix("vm:").and_then(|vm| vm.parse().ok());
    if !vm.is_some_and(|vm: VmId| state.vms.contains_key(&vm)) {
        return Err(Refusal::died(format!(
            "resource '{sid}' does not exist in cluster"
        )));
    }
    let mut resource = settings(context, OF_THE_CALL);
    resource.insert("sid".to_owned(), sid.clone().into());
    resource.insert("type".to_owned(), "vm".into());
    resource.entry("state").or_insert_with(|| "started".into());
    locked(state, "create resource failed", |state| {
        if state.ha.resources.contains_key(&sid) {
            return Err(format!("resource ID '{sid}' already defined"));
        }
        state.ha.resources.insert(sid, resource);
        Ok(())
    })
}

fn migrated() -> Refusal {
    Refusal::died("invalid parameter 'group': ha groups have been migrated to rules")
}

fn check_type(context: &Context<'_>, sid: &str) -> Result<(), Refusal> {
    let kind = sid.split(':').next();
    match context.optional("type") {
        given @ Some(_) if given != kind => Err(Refusal::died("types does not match")),
        _ => Ok(()),
    }
}

pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let sid = sid(context, state)?;
    check_type(context, &sid)?;
    let release = state.contract.release();
    match context.optional("group") {
        Some(_) if release == Release::Nine => return Err(migrated()),
        Some(group) if !state.ha.groups.contains_key(group) => {
            return Err(Refusal::died(format!("HA group '{group}' does not exist")));
        }
        _ => {}
    }
    let known = match release {
        Release::Eight => EIGHT,
        Release::Nine => NINE,
    };
    locked(state, "update resources config failed", |state| {
        assert_unmodified(context, &state.ha.resources)?;
        let resource = state.ha.resources.get_mut(&sid);
        let resource = resource.ok_or_else(|| format!("no such resource '{sid}'"))?;
        let mut changed = resource.clone();
        changed.extend(settings(context, OF_THE_CALL));
        known.unset(&mut changed, context.optional("delete").unwrap_or_default())?;
        *resource = changed;
        Ok(())
    })
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let sid = sid(context, state)?;
    if !state.ha.resources.contains_key(&sid) {
        return Err(Refusal::died(format!(
            "cannot delete service '{sid}', not HA managed!"
        )));
    }
    let purge = context.optional("purge") != Some("0");
    locked(state, "delete resource failed", |state| {
        state.ha.resources.remove(&sid);
        if purge {
            leave_rules(state, &sid);
        }
        Ok(())
    })
}

/// Takes a resource out of all rules; a rule without resources is deleted.
fn leave_rules(state: &mut State, sid: &str) {
    state.ha.rules.retain(|_, rule| {
        let members = split_list(text(rule, "resources"));
        let rest: Vec<&str> = members.filter(|member| *member != sid).collect();
        let rest = sorted_list(&rest.join(","));
        let stays = !rest.is_empty();
        rule.insert("resources".to_owned(), rest.into());
        stays
    });
}

/// The manager of the mock moves nothing by itself: it answers what was asked of it. Whether the node exists is not checked
/// by the call.
pub(super) fn send(context: &Context<'_>, state: &State) -> Reply {
    let sid = sid(context, state)?;
    let managed = |resource: &Object| text(resource, "state") != "ignored";
    if !state.ha.resources.get(&sid).is_some_and(managed) {
        return Err(Refusal::died(format!("resource '{sid}' is not HA managed")));
    }
    if state.contract.release() == Release::Eight {
        return Ok(Value::Null);
    }
    let node = context.param("node");
    let mut answer = json!({ "sid": sid, "requested-node": node });
    let (together, apart) = feasibility::companions(&state.ha.rules, &sid);
    let runs_there = |sid: &&str| {
        let vm = sid.strip_prefix("vm:").and_then(|vm| vm.parse().ok());
        let vm = vm.and_then(|vm: VmId| state.vms.get(&vm));
        vm.is_some_and(|vm| vm.node.as_str() == node)
    };
    let blocking: Vec<Value> = apart
        .iter()
        .copied()
        .filter(runs_there)
        .map(|sid| json!({ "sid": sid, "cause": "resource-affinity" }))
        .collect();
    if !together.is_empty() {
        answer["comigrated-resources"] = json!(together);
    }
    if !blocking.is_empty() {
        answer["blocking-resources"] = json!(blocking);
    }
    Ok(answer)
}
