//! The guest agent.

use serde_json::{Value, json};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use crate::vm::guest::GuestInterface;

/// The VM of a call to an agent that responds.
fn responding<'a>(context: &Context<'_>, state: &'a State) -> Result<&'a MockVm, Refusal> {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    if !vm.options.contains_key("agent") {
        return Err(Refusal::died("No QEMU guest agent configured"));
    }
    if !vm.running {
        return Err(Refusal::died(format!("VM {id} is not running")));
    }
    match vm.interfaces {
        Some(_) => Ok(vm),
        None => Err(Refusal::died("QEMU guest agent is not running")),
    }
}

/// The VM of a call to an agent that responds and knows the command.
fn commanded<'a>(
    context: &Context<'_>,
    state: &'a State,
    command: &str,
) -> Result<&'a MockVm, Refusal> {
    let vm = responding(context, state)?;
    let known = vm.agent_commands.as_ref();
    match known.is_none_or(|known| known.iter().any(|name| name == command)) {
        true => Ok(vm),
        false => Err(Refusal::died(format!(
            "Agent error: The command {command} has not been found"
        ))),
    }
}

/// What the guest's agent can do unless the test says otherwise.
const COMMANDS: &[&str] = &[
    "guest-ping",
    "guest-info",
    "guest-network-get-interfaces",
    "guest-get-host-name",
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-thaw",
];

pub(super) fn index() -> Value {
    let commands = [
        "exec",
        "exec-status",
        "file-read",
        "file-write",
        "fsfreeze-freeze",
        "fsfreeze-status",
        "fsfreeze-thaw",
        "fstrim",
        "get-fsinfo",
        "get-host-name",
        "get-osinfo",
        "info",
        "network-get-interfaces",
        "ping",
    ];
    commands
        .iter()
        .map(|name| json!({ "name": name }))
        .collect()
}

pub(super) fn ping(context: &Context<'_>, state: &State) -> Reply {
    responding(context, state).map(|_| json!({ "result": {} }))
}

pub(super) fn interfaces(context: &Context<'_>, state: &State) -> Reply {
    let vm = responding(context, state)?;
    let interfaces = vm.interfaces.iter().flatten();
    Ok(json!({ "result": interfaces.map(shown).collect::<Value>() }))
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

/// A command that the guest of the mock does not know: an error inside a success, as the real server has it.
pub(super) fn unknown_command(context: &Context<'_>, state: &State, command: &str) -> Reply {
    responding(context, state)?;
    let text = format!("The command {command} has not been found");
    Ok(json!({ "result": { "error": { "class": "CommandNotFound", "desc": text } } }))
}

pub(super) fn info(context: &Context<'_>, state: &State) -> Reply {
    let vm = responding(context, state)?;
    let commands: Vec<&str> = match &vm.agent_commands {
        Some(commands) => commands.iter().map(String::as_str).collect(),
        None => COMMANDS.to_vec(),
    };
    let commands = commands
        .iter()
        .map(|name| json!({ "name": name, "enabled": true, "success-response": true }));
    Ok(
        json!({ "result": { "version": "9.0.0", "supported_commands": commands.collect::<Value>() } }),
    )
}

pub(super) fn host_name(context: &Context<'_>, state: &State) -> Reply {
    let vm = responding(context, state)?;
    let name = vm.options.get("name").map_or("localhost", String::as_str);
    Ok(json!({ "result": { "host-name": name } }))
}

/// The commands that have an effect in a real guest have none here.
pub(super) fn freeze(context: &Context<'_>, state: &State) -> Reply {
    commanded(context, state, "guest-fsfreeze-freeze").map(|_| json!({ "result": 1 }))
}

/// Every command ends at once with this exit code.
pub(super) fn exec(context: &Context<'_>, state: &State) -> Reply {
    commanded(context, state, "guest-exec").map(|_| json!({ "pid": 4711 }))
}

pub(super) fn exec_status(context: &Context<'_>, state: &State) -> Reply {
    responding(context, state)?;
    match context.optional("pid") {
        Some("4711") => Ok(json!({ "exited": 1, "exitcode": 0, "out-data": "" })),
        other => Err(Refusal::died(format!(
            "Agent error: PID {} does not exist",
            other.unwrap_or_default()
        ))),
    }
}

pub(super) fn file_read(context: &Context<'_>, state: &State) -> Reply {
    commanded(context, state, "guest-file-open")?;
    let file = context.param("file");
    Err(Refusal::died(format!(
        "Agent error: failed to open file '{file}' (mode: 'r'): No such file or directory"
    )))
}

pub(super) fn file_write(context: &Context<'_>, state: &State) -> Reply {
    commanded(context, state, "guest-file-open").map(|_| Value::Null)
}
