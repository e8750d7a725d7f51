//! Rules of placement, since PVE 9.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Object, Objects, Settings, assert_unmodified, feasibility, locked, settings, shown,
    sorted_list, text,
};
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::State;
use crate::wire::split_list;

const NODE_AFFINITY: Settings = Settings {
    required: &["resources", "nodes"],
    optional: &["strict", "disable", "comment"],
};

const RESOURCE_AFFINITY: Settings = Settings {
    required: &["resources", "affinity"],
    optional: &["disable", "comment"],
};

/// Parameters that are no settings.
const OF_THE_CALL: &[&str] = &["rule", "type", "digest", "delete"];

fn settings_of(kind: &str) -> Settings {
    match kind {
        "node-affinity" => NODE_AFFINITY,
        _ => RESOURCE_AFFINITY,
    }
}

pub(super) fn list(context: &Context<'_>, state: &State) -> Value {
    let errors = errors(state, &state.ha.rules);
    let kind = context.optional("type");
    let resource = context.optional("resource");
    let mut rules: Vec<&Object> = state.ha.rules.values().collect();
    rules.sort_by_key(|rule| rule.get("order").and_then(Value::as_u64));
    rules
        .into_iter()
        .filter(|rule| kind.is_none_or(|kind| text(rule, "type") == kind))
        .filter(|rule| {
            let mut members = split_list(text(rule, "resources"));
            resource.is_none_or(|wanted| members.any(|member| member == wanted))
        })
        .map(|rule| display(&state.ha.rules, rule, &errors))
        .collect()
}

pub(super) fn read(context: &Context<'_>, state: &State) -> Reply {
    let name = context.param("rule");
    let rule = state.ha.rules.get(name);
    let rule = rule.ok_or_else(|| Refusal::died(format!("no such ha rule '{name}'")))?;
    let errors = errors(state, &state.ha.rules);
    Ok(display(&state.ha.rules, rule, &errors))
}

type Errors = BTreeMap<String, Vec<String>>;

fn errors(state: &State, rules: &Objects) -> Errors {
    feasibility::errors(rules, state.nodes.len())
}

fn display(rules: &Objects, rule: &Object, errors: &Errors) -> Value {
    let mut shown = shown(rules, rule);
    if let Some(problems) = errors.get(text(rule, "rule")) {
        shown.insert("errors".to_owned(), json!({ "resources": problems }));
    }
    Value::Object(shown)
}

pub(super) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    state.require_quorum()?;
    let kind = context.param("type");
    let mut rule = given(context, kind).map_err(Refusal::died)?;
    let known = settings_of(kind);
    let missing = known
        .required
        .iter()
        .find(|name| !rule.contains_key(**name));
    if let Some(name) = missing {
        return Err(Refusal::died(format!(
            "missing value for required option '{name}'"
        )));
    }
    let name = context.param("rule").to_owned();
    rule.insert("rule".to_owned(), name.as_str().into());
    rule.insert("type".to_owned(), kind.into());
    locked(state, "create ha rule failed", |state| {
        if state.ha.rules.contains_key(&name) {
            return Err(format!("HA rule '{name}' already defined"));
        }
        check_members(state, &rule)?;
        let orders = state.ha.rules.values();
        let last = orders.filter_map(|rule| rule.get("order")?.as_u64()).max();
        rule.insert("order".to_owned(), (last.unwrap_or(0) + 1).into());
        store(state, &name, rule)
    })
}

pub(super) fn update(context: &Context<'_>, state: &mut State) -> Reply {
    let name = context.param("rule");
    locked(state, "update HA rules failed", |state| {
        assert_unmodified(context, &state.ha.rules)?;
        let rule = state.ha.rules.get(name);
        let mut rule = rule
            .ok_or_else(|| format!("HA rule '{name}' does not exist"))?
            .clone();
        let kind = text(&rule, "type").to_owned();
        if context.param("type") != kind {
            return Err("unexpected property 'type'".to_owned());
        }
        let changed = given(context, &kind)?;
        check_members(state, &changed)?;
        let removed = context.optional("delete").unwrap_or_default();
        settings_of(&kind).unset(&mut rule, removed)?;
        if let Some(name) = split_list(removed).find(|name| changed.contains_key(*name)) {
            return Err(format!(
                "cannot set and delete property '{name}' at the same time!"
            ));
        }
        rule.extend(changed);
        store(state, name, rule)
    })
}

pub(super) fn delete(context: &Context<'_>, state: &mut State) -> Reply {
    let name = context.param("rule");
    locked(state, "delete ha rule failed", |state| {
        state.ha.rules.remove(name);
        Ok(())
    })
}

/// Stores a rule that can be kept beside the others. The refusal is an exception of its own inside the locked change, whose
/// status becomes a part of the text.
fn store(state: &mut State, name: &str, rule: Object) -> Result<(), String> {
    let mut rules = state.ha.rules.clone();
    rules.insert(name.to_owned(), rule);
    if let Some(problems) = errors(state, &rules).get(name) {
        let problems = problems.join(", ");
        return Err(format!(
            "400 Rule '{name}' is invalid.\nresources: {problems}"
        ));
    }
    state.ha.rules = rules;
    Ok(())
}

/// The settings of the request, as they are stored.
fn given(context: &Context<'_>, kind: &str) -> Result<Object, String> {
    let mut rule = settings(context, OF_THE_CALL);
    // A rule is disabled by the presence of the setting.
    if rule.get("disable") == Some(&0.into()) {
        rule.shift_remove("disable");
    }
    let known = settings_of(kind);
    if let Some(name) = rule.keys().find(|name| !known.has(name)) {
        return Err(format!("unexpected property '{name}'"));
    }
    if let Some(list) = rule.get_mut("resources") {
        *list = sorted_list(list.as_str().unwrap_or_default()).into();
    }
    if let Some(list) = rule.get_mut("nodes") {
        *list = nodes(list.as_str().unwrap_or_default()).into();
    }
    Ok(rule)
}

/// The nodes with their priorities, as the server writes them: a priority of 0 is none.
fn nodes(list: &str) -> String {
    let nodes: Vec<String> = feasibility::priorities(list)
        .into_iter()
        .map(|(node, priority)| match priority {
            0 => node.to_owned(),
            _ => format!("{node}:{priority}"),
        })
        .collect();
    nodes.join(",")
}

/// Resources must be managed, nodes must exist.
fn check_members(state: &State, rule: &Object) -> Result<(), String> {
    let unmanaged: Vec<&str> = split_list(text(rule, "resources"))
        .filter(|sid| !state.ha.resources.contains_key(*sid))
        .collect();
    if !unmanaged.is_empty() {
        let unmanaged = unmanaged.join(", ");
        return Err(format!("cannot use unmanaged resource(s) {unmanaged}."));
    }
    let unknown: Vec<&str> = split_list(text(rule, "nodes"))
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
