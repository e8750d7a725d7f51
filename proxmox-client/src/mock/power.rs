//! Power and the guest agent.

use serde_json::{Value, json};

use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::State;
use super::task::{self, TaskSubject};
use super::vm::check_unlocked;
use super::vm_config::{drive_values, is_drive};
use crate::id::{VmId, VolumeId};
use crate::vm::guest::GuestInterface;

/// What a power call does when its task ends.
type Change = fn(&mut State, VmId) -> Result<Vec<String>, String>;

pub(super) fn status(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    let option = |name: &str| vm.options.get(name).cloned();
    let number = |name: &str| {
        option(name)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(1)
    };
    let state = if vm.running { "running" } else { "stopped" };
    let mut answer = json!({
        "vmid": id, "name": option("name"), "status": state, "qmpstatus": state,
        "uptime": u8::from(vm.running), "cpus": number("cores") * number("sockets"),
        "maxmem": number("memory") << 20, "disk": 0, "tags": option("tags").unwrap_or_default(),
        "ha": { "managed": 0 },
    });
    if option("agent").is_some() {
        answer["agent"] = 1.into();
    }
    if let Some(lock) = option("lock") {
        answer["lock"] = lock.into();
    }
    Ok(answer)
}

pub(super) fn change(
    context: &Context<'_>,
    state: &mut State,
    worker: &str,
    change: Change,
) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    let node = vm.node.clone();
    let subject = TaskSubject {
        worker,
        id: &id.to_string(),
        node: &node,
        user: &context.caller.id,
    };
    task::start(
        context.shared,
        state,
        &subject,
        Box::new(move |state| change(state, id)),
    )
}

pub(super) fn start(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    let Some(vm) = state.vms.get(&id) else {
        return Err(format!("VM {id} does not exist"));
    };
    if vm.running {
        return Err(format!("VM {id} already running"));
    }
    let mut log = Vec::new();
    for (name, value) in &vm.options {
        let values = drive_values(state.contract, name, value);
        if name.starts_with("net")
            && let Some(bridge) = values.get("bridge")
            && !state.bridges.iter().any(|known| known.name == *bridge)
        {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
        if is_drive(name)
            && let Some(Ok(volume)) = values.get("file").map(VolumeId::new)
            && !state.volumes.contains_key(&volume)
        {
            return Err(format!("volume '{volume}' does not exist"));
        }
    }
    let bios = vm.options.get("bios").map(String::as_str);
    if bios == Some("ovmf") && !vm.options.contains_key("efidisk0") {
        log.push("WARN: no efidisk configured! Using temporary efivars disk.".to_owned());
    }
    set_running(state, id, true);
    state.emit(&MockEvent::VmStarted { vmid: id });
    Ok(log)
}

pub(super) fn stop(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if set_running(state, id, false) {
        state.emit(&MockEvent::VmStopped { vmid: id });
    }
    Ok(Vec::new())
}

pub(super) fn shutdown(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if state.vms.get(&id).is_some_and(|vm| vm.running) {
        return stop(state, id);
    }
    Err(format!("VM {id} not running"))
}

pub(super) fn reset(state: &mut State, id: VmId) -> Result<Vec<String>, String> {
    if !state.vms.get(&id).is_some_and(|vm| vm.running) {
        return Err(format!("VM {id} not running"));
    }
    state.emit(&MockEvent::VmReset { vmid: id });
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
    }
    changed
}

pub(super) fn guest_interfaces(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    if !vm.options.contains_key("agent") {
        return Err(Refusal::died("No QEMU guest agent configured"));
    }
    if !vm.running {
        return Err(Refusal::died(format!("VM {id} is not running")));
    }
    match &vm.interfaces {
        Some(interfaces) => {
            Ok(json!({ "result": interfaces.iter().map(shown).collect::<Value>() }))
        }
        None => Err(Refusal::died("QEMU guest agent is not running")),
    }
}

fn shown(interface: &GuestInterface) -> Value {
    let addresses = interface.addresses.iter().map(|entry| {
        json!({
            "ip-address": entry.address,
            "ip-address-type": if entry.address.is_ipv4() { "ipv4" } else { "ipv6" },
            "prefix": entry.prefix,
        })
    });
    let mut answer = json!({
        "name": interface.name,
        "ip-addresses": addresses.collect::<Value>(),
    });
    if let Some(mac) = &interface.mac {
        answer["hardware-address"] = mac.as_str().into();
    }
    answer
}
