//! High availability: resources, groups (PVE 8) and rules (PVE 9).
//!
//! Nothing of it is recorded. Order of the checks, texts and status codes were read in the Perl of pve-ha-manager 5.2.0
//! (`b71218f`) and 4.0.7 (`53d8e48`, for PVE 8), `src/PVE/API2/HA` and `src/PVE/HA`; how a locked change fails, in
//! pve-cluster (`cfs_lock`) and pve-common (`PVE::Exception::stringify`, `PVE::SectionConfig`).

mod feasibility;
mod groups;
mod resources;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::route::Route;
use super::state::{State, hex};
use crate::id::VmId;
use crate::wire::split_list;

type Object = Map<String, Value>;
type Objects = BTreeMap<String, Object>;

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
        Route::HaResources => Ok(resources::list(context, state)),
        Route::HaResource => resources::read(context, state),
        Route::CreateHaResource => resources::create(context, state),
        Route::UpdateHaResource => resources::update(context, state),
        Route::DeleteHaResource => resources::delete(context, state),
        Route::MigrateHaResource | Route::RelocateHaResource => resources::send(context, state),
        Route::HaGroups => groups::list(state),
        Route::HaGroup => groups::read(context, state),
        Route::CreateHaGroup => groups::create(context, state),
        Route::UpdateHaGroup => groups::update(context, state),
        Route::DeleteHaGroup => groups::delete(context, state),
        Route::HaRules => Ok(rules::list(context, state)),
        Route::HaRule => rules::read(context, state),
        Route::CreateHaRule => rules::create(context, state),
        Route::UpdateHaRule => rules::update(context, state),
        Route::DeleteHaRule => rules::delete(context, state),
        Route::HaStatus => Ok(status(state)),
        _ => return None,
    })
}

/// The digest of a configuration file.
fn digest(objects: &Objects) -> String {
    hex(&Sha256::digest(format!("{objects:?}")))[..40].to_owned()
}

fn shown(objects: &Objects, object: &Object) -> Object {
    let mut object = object.clone();
    object.insert("digest".to_owned(), digest(objects).into());
    object
}

/// The settings that an object of a kind can have.
struct Settings {
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Settings {
    fn has(&self, name: &str) -> bool {
        self.required.contains(&name) || self.optional.contains(&name)
    }

    /// Removes a list of settings from an object.
    fn unset(&self, object: &mut Object, names: &str) -> Result<(), String> {
        for name in split_list(names) {
            if self.required.contains(&name) {
                return Err(format!("unable to delete required option '{name}'"));
            }
            if !self.optional.contains(&name) {
                return Err(format!("no such option '{name}'"));
            }
            object.shift_remove(name);
        }
        Ok(())
    }
}

/// Settings that are stored as numbers.
const NUMBERS: &[&str] = &[
    "disable",
    "failback",
    "max_relocate",
    "max_restart",
    "nofailback",
    "restricted",
    "strict",
];

/// The settings of a request: its parameters without those of the call itself.
fn settings(context: &Context<'_>, of_the_call: &[&str]) -> Object {
    let given = context.params.iter();
    given
        .filter(|(name, _)| !of_the_call.contains(&name.as_str()))
        .map(|(name, value)| {
            let number = value.parse::<u64>().ok();
            let number = number.filter(|_| NUMBERS.contains(&name.as_str()));
            let shown = number.map_or_else(|| Value::from(value.as_str()), Value::from);
            (name.clone(), shown)
        })
        .collect()
}

/// Fails when the file is another one than the caller has read.
fn assert_unmodified(context: &Context<'_>, objects: &Objects) -> Result<(), String> {
    let given = context.optional("digest");
    match given.is_some_and(|given| given != digest(objects)) {
        true => Err(super::vm_config::MODIFIED.to_owned()),
        false => Ok(()),
    }
}

/// Runs a change of the files under their common lock, which needs the quorum; `failed` begins the text of a failure.
fn locked(
    state: &mut State,
    failed: &str,
    change: impl FnOnce(&mut State) -> Result<(), String>,
) -> Reply {
    let changed = match state.quorate {
        true => change(state),
        false => Err("cfs-lock 'domain-ha' error: no quorum!".to_owned()),
    };
    match changed {
        Ok(()) => Ok(Value::Null),
        Err(text) => Err(Refusal::died(format!("{failed}: {text}"))),
    }
}

/// The members of a list, sorted, as the server writes them.
fn sorted_list(list: &str) -> String {
    let members: BTreeSet<&str> = split_list(list).collect();
    members.into_iter().collect::<Vec<_>>().join(",")
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
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
