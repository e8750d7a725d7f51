//! Power.

use serde_json::{Value, json};

use super::cloud_init;
use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use super::task::{self, TaskSubject};
use super::vm_config::{drive_values, is_drive};
use crate::id::{VmId, VolumeId};

/// What a power call does when its task ends.
type Change = fn(&mut State, VmId) -> Result<Vec<String>, String>;

pub(super) fn status(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    let mut answer = super::vm::summary(id, vm);
    answer["ha"] = json!({ "managed": u8::from(state.ha.is_managed(id)) });
    if vm.options.contains_key("agent") {
        answer["agent"] = 1.into();
    }
    add_details(vm, &mut answer);
    Ok(answer)
}

/// What only the process of a running VM knows.
pub(super) fn add_details(vm: &MockVm, answer: &mut Value) {
    answer["qmpstatus"] = match (vm.running, vm.paused) {
        (true, true) => "paused",
        (true, false) => "running",
        (false, _) => "stopped",
    }
    .into();
    if !vm.running {
        return;
    }
    let machine = vm.options.get("machine").map_or("pc", String::as_str);
    answer["running-machine"] = machine.into();
    answer["running-qemu"] = "10.1.2".into();
    answer["proxmox-support"] = json!({});
    answer["balloon"] = answer["maxmem"].clone();
    answer["ballooninfo"] = json!({ "actual": answer["maxmem"], "max_mem": answer["maxmem"] });
}

/// Whether a power call looks at the VM before it starts its task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Everything is found out by the task.
    Never,
    /// The VM must run.
    Running,
}

pub(super) fn change(
    context: &Context<'_>,
    state: &mut State,
    (worker, look): (&str, Look),
    change: Change,
) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    let own = node.clone();
    if look == Look::Running {
        let vm = state.vm(context.param("node"), id)?;
        if !vm.running {
            return Err(Refusal::died(format!("VM {id} not running")));
        }
    }
    let subject = TaskSubject::of(context, worker, id, &node);
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(move |state| {
            if let Some(vm) = state.vms.get(&id).filter(|vm| vm.node == own) {
                super::vm::check_lock(vm)?;
                return change(state, id);
            }
            Err(missing(is_start(change), own.as_str(), id))
        }),
    )
}

/// Starting reads the configuration, the others ask for the node of the VM.
fn missing(starts: bool, node: &str, id: VmId) -> String {
    match starts {
        true => super::state::missing_vm(node, id),
        false => format!("unable to find configuration file for VM {id} on node '{node}'"),
    }
}

fn is_start(change: Change) -> bool {
    std::ptr::fn_addr_eq(change, start as Change)
}

pub(super) fn start(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    let Some(vm) = state.vms.get(&id) else {
        return Err(format!("VM {id} does not exist"));
    };
    if vm.running {
        return Err(format!("VM {id} already running"));
    }
    let (options, node) = (vm.planned(), vm.node.clone());
    let mut log = Vec::new();
    cloud_init::write(state, id, &options)?;
    check_processors(state, &options)?;
    for (name, value) in &options {
        let values = drive_values(state.contract, name, value);
        if name.starts_with("net")
            && let Some(bridge) = values.get("bridge")
            && !state.bridges.iter().any(|known| known.name == *bridge)
            && !state.datacenter.is_vnet(bridge)
        {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
        if is_drive(name)
            && let Some(Ok(volume)) = values.get("file").map(VolumeId::new)
            && state.volume_on(&node, &volume).is_none()
        {
            return Err(format!("volume '{volume}' does not exist"));
        }
    }
    let bios = options.get("bios").map(String::as_str);
    if bios == Some("ovmf") && !options.contains_key("efidisk0") {
        log.push("WARN: no efidisk configured! Using temporary efivars disk.".to_owned());
    }
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.options = options;
        vm.pending.clear();
        vm.paused = false;
    }
    set_running(state, id, true);
    state.emit(&MockEvent::VmStarted { vmid: id });
    Ok(log)
}

fn check_processors(
    state: &State,
    options: &std::collections::BTreeMap<String, String>,
) -> Result<(), String> {
    let number = |name: &str| {
        options
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
    };
    let wanted: u32 = u32::saturating_mul(number("cores"), number("sockets"));
    match wanted > state.cpus {
        true => Err(format!(
            "MAX {} vcpus allowed per VM on this node",
            state.cpus
        )),
        false => Ok(()),
    }
}

pub(super) fn stop(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if set_running(state, id, false) {
        state.emit(&MockEvent::VmStopped { vmid: id });
    }
    Ok(Vec::new())
}

/// Stops the VM and starts it, with pending changes in effect.
pub(super) fn reboot(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    stop(state, id)?;
    start(state, id)
}

pub(super) fn reset(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    state.emit(&MockEvent::VmReset { vmid: id });
    Ok(Vec::new())
}

pub(super) fn suspend(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.paused = true;
    }
    Ok(Vec::new())
}

/// Saves the memory and stops the VM.
pub(super) fn hibernate(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    stop(state, id)
}

pub(super) fn resume(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.paused = false;
    }
    Ok(Vec::new())
}

/// Whether the state was another one before.
fn set_running(state: &mut State, id: VmId, running: bool) -> bool {
    let Some(vm) = state.vms.get_mut(&id) else {
        return false;
    };
    let changed = vm.running != running;
    vm.running = running;
    if !running {
        vm.interfaces = None;
        vm.paused = false;
        let planned = vm.planned();
        vm.options = planned;
        vm.pending.clear();
    }
    changed
}
