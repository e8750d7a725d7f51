//! The firewall of a VM.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State, hex};

/// Options, rules and sets of addresses of a VM.
#[derive(Debug, Clone, Default)]
pub(super) struct Firewall {
    options: BTreeMap<String, String>,
    rules: Vec<Map<String, Value>>,
    sets: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

impl Firewall {
    fn digest(&self) -> String {
        let text = format!("{:?}{:?}{:?}", self.options, self.rules, self.sets);
        hex(&Sha256::digest(text))[..40].to_owned()
    }
}

fn firewall<'a>(context: &Context<'_>, state: &'a mut State) -> Result<&'a mut Firewall, Refusal> {
    let id = context.vm_id()?;
    state.vm(context.param("node"), id)?;
    let vm: Option<&mut MockVm> = state.vms.get_mut(&id);
    let vm = vm.ok_or_else(|| Refusal::died("no such VM"))?;
    check_digest(context, &vm.firewall)?;
    Ok(&mut vm.firewall)
}

fn check_digest(context: &Context<'_>, firewall: &Firewall) -> Result<(), Refusal> {
    match context.optional("digest") {
        Some(digest) if digest != firewall.digest() => {
            Err(Refusal::died(super::vm_config::MODIFIED))
        }
        _ => Ok(()),
    }
}

fn shown(value: &str) -> Value {
    value
        .parse::<u64>()
        .map_or_else(|_| value.into(), Value::from)
}

const NOT_STORED: &[&str] = &[
    "node", "vmid", "digest", "delete", "pos", "moveto", "name", "cidr",
];

fn given(context: &Context<'_>) -> impl Iterator<Item = (String, String)> {
    let params = context.params.iter();
    params
        .filter(|(name, _)| !NOT_STORED.contains(&name.as_str()))
        .cloned()
}

pub(super) fn options(context: &Context<'_>, state: &mut State) -> Reply {
    let firewall = firewall(context, state)?;
    let mut answer: Map<String, Value> = firewall
        .options
        .iter()
        .map(|(name, value)| (name.clone(), shown(value)))
        .collect();
    answer.insert("digest".to_owned(), firewall.digest().into());
    Ok(Value::Object(answer))
}

pub(super) fn update_options(context: &Context<'_>, state: &mut State) -> Reply {
    let firewall = firewall(context, state)?;
    firewall.options.extend(given(context));
    for name in crate::wire::split_list(context.optional("delete").unwrap_or_default()) {
        firewall.options.remove(name);
    }
    Ok(Value::Null)
}

pub(super) fn rules(context: &Context<'_>, state: &mut State) -> Reply {
    let firewall = firewall(context, state)?;
    let digest = firewall.digest();
    let items = firewall.rules.iter().zip(0_u32..).map(|(rule, position)| {
        let mut item = rule.clone();
        item.insert("pos".to_owned(), position.into());
        item.insert("digest".to_owned(), digest.clone().into());
        Value::Object(item)
    });
    Ok(items.collect())
}

/// A new rule comes first, whatever position is given (pve-firewall 6.0).
pub(super) fn create_rule(context: &Context<'_>, state: &mut State) -> Reply {
    let firewall = firewall(context, state)?;
    let mut rule: Map<String, Value> = given(context)
        .map(|(name, value)| (name, shown(&value)))
        .collect();
    rule.entry("enable").or_insert_with(|| 0.into());
    firewall.rules.insert(0, rule);
    Ok(Value::Null)
}

/// Changes a rule, or moves it in front of another one; the rest of the request is ignored then.
pub(super) fn update_rule(context: &Context<'_>, state: &mut State) -> Reply {
    let at = context.number("pos", 0);
    let to = context.number("moveto", at);
    let firewall = firewall(context, state)?;
    if at >= firewall.rules.len() {
        return Err(Refusal::died(format!("no rule at position {at}")));
    }
    if to != at {
        let rule = firewall.rules.remove(at);
        let to = if to > at { to - 1 } else { to };
        firewall.rules.insert(to.min(firewall.rules.len()), rule);
        return Ok(Value::Null);
    }
    let rule = &mut firewall.rules[at];
    rule.extend(given(context).map(|(name, value)| (name, shown(&value))));
    for name in crate::wire::split_list(context.optional("delete").unwrap_or_default()) {
        rule.shift_remove(name);
    }
    Ok(Value::Null)
}

pub(super) fn delete_rule(context: &Context<'_>, state: &mut State) -> Reply {
    let at = context.number("pos", 0);
    let firewall = firewall(context, state)?;
    if at >= firewall.rules.len() {
        return Err(Refusal::died(format!("no rule at position {at}")));
    }
    firewall.rules.remove(at);
    Ok(Value::Null)
}

pub(super) fn sets(context: &Context<'_>, state: &mut State) -> Reply {
    let firewall = firewall(context, state)?;
    let digest = firewall.digest();
    let items = firewall
        .sets
        .keys()
        .map(|name| json!({ "name": name, "digest": digest }));
    Ok(items.collect())
}

pub(super) fn create_set(context: &Context<'_>, state: &mut State) -> Reply {
    let name = context.param("name").to_owned();
    let old = context.optional("rename").map(str::to_owned);
    let firewall = firewall(context, state)?;
    if let Some(old) = old {
        return rename_set(firewall, &old, name);
    }
    if firewall.sets.contains_key(&name) {
        return Err(Refusal::parameter(
            "name",
            format!("IPSet '{name}' already exists"),
        ));
    }
    firewall.sets.insert(name, BTreeMap::new());
    Ok(Value::Null)
}

fn rename_set(firewall: &mut Firewall, old: &str, new: String) -> Reply {
    let missing = || Refusal::parameter("name", format!("IPSet '{old}' does not exist"));
    if !firewall.sets.contains_key(old) {
        return Err(missing());
    }
    if old != new && firewall.sets.contains_key(&new) {
        let problem = format!("IPSet '{new}' does already exist");
        return Err(Refusal::parameter("name", problem));
    }
    let entries = firewall.sets.remove(old).ok_or_else(missing)?;
    firewall.sets.insert(new, entries);
    Ok(Value::Null)
}

fn set<'a>(
    context: &Context<'_>,
    state: &'a mut State,
) -> Result<&'a mut BTreeMap<String, Option<String>>, Refusal> {
    let name = context.param("name");
    let missing = || Refusal::died(format!("no such IPSet '{name}'"));
    firewall(context, state)?
        .sets
        .get_mut(name)
        .ok_or_else(missing)
}

pub(super) fn set_entries(context: &Context<'_>, state: &mut State) -> Reply {
    let set = set(context, state)?;
    let items = set.iter().map(|(cidr, comment)| match comment {
        Some(comment) => json!({ "cidr": cidr, "comment": comment }),
        None => json!({ "cidr": cidr }),
    });
    Ok(items.collect())
}

pub(super) fn add_entry(context: &Context<'_>, state: &mut State) -> Reply {
    let cidr = context.param("cidr").to_owned();
    let comment = context.optional("comment").map(str::to_owned);
    let set = set(context, state)?;
    if set.contains_key(&cidr) {
        return Err(Refusal::parameter(
            "cidr",
            format!("address '{cidr}' already exists"),
        ));
    }
    set.insert(cidr, comment);
    Ok(Value::Null)
}

pub(super) fn remove_entry(context: &Context<'_>, state: &mut State) -> Reply {
    let cidr = context.param("cidr");
    set(context, state)?.remove(cidr);
    Ok(Value::Null)
}

pub(super) fn delete_set(context: &Context<'_>, state: &mut State) -> Reply {
    let name = context.param("name");
    if !set(context, state)?.is_empty() {
        return Err(Refusal::died(format!("IPSet '{name}' is not empty")));
    }
    firewall(context, state)?.sets.remove(name);
    Ok(Value::Null)
}
