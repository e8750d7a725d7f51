//! Groups of nodes, which PVE 9 has made into rules.

use serde_json::Value;

use super::{Settings, assert_unmodified, locked, settings, shown, sorted_list, text};
use crate::mock::check::Release;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::State;

const GROUP: Settings = Settings {
    required: &["nodes"],
    optional: &["comment", "nofailback", "restricted"],
};

/// Parameters that are no settings.
const OF_THE_CALL: &[&str] = &["group", "type", "digest", "delete"];

/// Whether there are groups at all; `what` begins the text of the refusal.
fn with_groups(state: &State, what: &str) -> Result<(), Refusal> {
    match state.contract.release() {
        Release::Eight => Ok(()),
        Release::Nine => Err(Refusal::died(format!(
            "cannot {what}: ha groups have been migrated to rules"
        ))),
    }
}

pub(super) fn list(state: &State) -> Reply {
    with_groups(state, "index groups")?;
    let groups = &state.ha.groups;
    Ok(groups
        .values()
        .map(|group| Value::Object(shown(groups, group)))
        .collect())
}

pub(super) fn read(context: &Context<'_>, state: &State) -> Reply {
    with_groups(state, "read group")?;
    let name = context.param("group");
    let group = state.ha.groups.get(name);
    let group = group.ok_or_else(|| Refusal::died(format!("no such ha group '{name}'")))?;
    Ok(Value::Object(shown(&state.ha.groups, group)))
}

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "create group")?;
    state.require_quorum()?;
    check_type(context)?;
    let name = context.param("group").to_owned();
    let mut group = given(context);
    group.insert("group".to_owned(), name.as_str().into());
    group.insert("type".to_owned(), "group".into());
    locked(state, "create ha group failed", |state| {
        if state.ha.groups.contains_key(&name) {
            return Err(format!("ha group ID '{name}' already defined"));
        }
        state.ha.groups.insert(name, group);
        Ok(())
    })
}

pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "update group")?;
    check_type(context)?;
    let name = context.param("group");
    locked(state, "update ha group failed", |state| {
        assert_unmodified(context, &state.ha.groups)?;
        let group = state.ha.groups.get_mut(name);
        let group = group.ok_or_else(|| format!("no such ha group '{name}'"))?;
        let mut changed = group.clone();
        changed.extend(given(context));
        GROUP.unset(&mut changed, context.optional("delete").unwrap_or_default())?;
        *group = changed;
        Ok(())
    })
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    with_groups(state, "delete group")?;
    let name = context.param("group");
    locked(state, "delete ha group failed", |state| {
        let mut resources = state.ha.resources.iter();
        if let Some((sid, _)) = resources.find(|(_, resource)| text(resource, "group") == name) {
            return Err(format!("ha group is used by service '{sid}'"));
        }
        state.ha.groups.remove(name);
        Ok(())
    })
}

fn check_type(context: &Context<'_>) -> Result<(), Refusal> {
    match context.optional("type") {
        None | Some("group") => Ok(()),
        Some(_) => Err(Refusal::died("types does not match")),
    }
}

fn given(context: &Context<'_>) -> super::Object {
    let mut group = settings(context, OF_THE_CALL);
    if let Some(nodes) = group.get_mut("nodes") {
        *nodes = sorted_list(nodes.as_str().unwrap_or_default()).into();
    }
    group
}
