//! Creating VMs.

use super::rights::{check_create_privileges, check_options};
use super::{Options, change::given_options};
use crate::id::VmId;
use crate::mock::event::MockEvent;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockVm, State};
use crate::mock::task::{self, Cleanup, Effect, TaskSubject};
use crate::mock::vm_config::{self, resolve_cdrom_alias};
use crate::mock::{power, restore};

pub(in crate::mock) fn create(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    state.require_quorum()?;
    let mut options = given_options(context);
    resolve_cdrom_alias(&mut options);
    if let Some(archive) = context.optional("archive") {
        return restore::restore(context, state, archive, options);
    }
    check_create_privileges(context, state, id, &options)?;
    check_options(state, &node, &options)?;
    check_free(state, id, "create")?;
    let lock = Options::from([("lock".to_owned(), "create".to_owned())]);
    state.vms.insert(id, MockVm::new(node.clone(), lock));
    let pool = context.optional("pool").map(str::to_owned);
    let start = context.optional("start") == Some("1");
    let subject = TaskSubject::of(context, "qmcreate", id, &node);
    let work: Effect = Box::new(move |state| {
        let mut log = finish_create(state, id, &options)?;
        if let Some(pool) = pool {
            state.pools.add_vm(&pool, id);
        }
        if start {
            log.push("Execute autostart".to_owned());
            // A start that fails is no failure of the creation.
            log.extend(power::start(state, id).unwrap_or_default());
        }
        Ok(log)
    });
    let clean_up: Cleanup = Box::new(move |state| {
        state.vms.remove(&id);
    });
    task::start_with_cleanup(context.shared, state, &subject, (work, clean_up))
}

fn finish_create(state: &mut State, id: VmId, options: &Options) -> Result<Vec<String>, String> {
    let node = state.vms.get(&id).map(|vm| vm.node.clone());
    let node = node.ok_or("the VM was removed meanwhile")?;
    let stored = vm_config::store(state, &node, id, options).map_err(|error| {
        state.vms.remove(&id);
        format!("unable to create VM {id} - {error}")
    })?;
    if let Some(vm) = state.vms.get_mut(&id) {
        let order = vm_config::default_boot_order(&stored.options);
        vm.options = stored.options;
        let generated = [
            ("boot", order),
            (
                "smbios1",
                format!("uuid={}", vm_config::uuid_of(id, "smbios")),
            ),
            ("vmgenid", vm_config::uuid_of(id, "generation")),
            ("meta", "creation-qemu=10.1.2,ctime=1760000000".to_owned()),
        ];
        for (name, value) in generated {
            vm.options.entry(name.to_owned()).or_insert(value);
        }
    }
    state.emit(&MockEvent::VmCreated { vmid: id });
    Ok(stored.log)
}

/// Refuses an ID that is taken; `verb` is what is done with it.
pub(in crate::mock) fn check_free(state: &State, id: VmId, verb: &str) -> Result<(), Refusal> {
    match state.vms.get(&id) {
        None => Ok(()),
        Some(vm) => Err(Refusal::died(format!(
            "unable to {verb} VM {id} - VM {id} already exists on node '{}'",
            vm.node
        ))),
    }
}
