//! What the nodes of the mock report about themselves.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockBridge, State};

const MEMORY: u64 = 128 << 30;
const USED_MEMORY: u64 = 16 << 30;
const DISK: u64 = 100 << 30;
const USED_DISK: u64 = 10 << 30;
/// What the file system keeps for root.
const RESERVED: u64 = 5 << 30;

pub(super) fn version(state: &State) -> Value {
    let release: Vec<&str> = state.version.split('.').take(2).collect();
    json!({ "version": state.version, "release": release.join("."), "repoid": "14a22df3aabbccdd" })
}

/// The nodes; metrics need a right on the node, and an offline node has none.
pub(super) fn list(context: &Context<'_>, state: &State) -> Vec<Value> {
    let items = state.nodes.iter().map(|node| {
        let name = &node.name;
        let mut item = json!({
            "id": format!("node/{name}"), "node": name, "type": "node",
            "status": if node.online { "online" } else { "offline" },
        });
        if !node.online {
            return item;
        }
        item["level"] = "c".into();
        if context
            .caller
            .may(&format!("/nodes/{name}"), &["Sys.Audit"])
        {
            for (field, value) in [
                ("maxcpu", u64::from(state.cpus)),
                ("maxmem", MEMORY),
                ("mem", USED_MEMORY),
                ("maxdisk", DISK),
                ("disk", USED_DISK),
                ("uptime", 86_400),
            ] {
                item[field] = value.into();
            }
            item["cpu"] = json!(0.02);
        }
        item
    });
    items.collect()
}

/// The list of the nodes alone also has the fingerprint of each.
pub(super) fn nodes(context: &Context<'_>, state: &State) -> Value {
    let fingerprint = vec!["AA"; 32].join(":");
    let items = list(context, state).into_iter().map(|mut item| {
        item["ssl_fingerprint"] = match item["status"] == "online" {
            true => fingerprint.as_str().into(),
            false => Value::Null,
        };
        item
    });
    items.collect()
}

pub(super) fn status(state: &State) -> Value {
    json!({
        "pveversion": format!("pve-manager/{}/14a22df3aabbccdd", state.version),
        "kversion": "Linux 6.14.8-2-pve #1 SMP PREEMPT_DYNAMIC",
        "uptime": 86_400, "loadavg": ["0.10", "0.20", "0.30"], "wait": 0, "idle": 0, "cpu": 0.02,
        "memory": { "total": MEMORY, "used": USED_MEMORY, "free": MEMORY - USED_MEMORY },
        "swap": { "total": 0, "used": 0, "free": 0 },
        "ksm": { "shared": 0 },
        "rootfs": {
            "total": DISK, "used": USED_DISK, "free": DISK - USED_DISK, "avail": DISK - USED_DISK - RESERVED,
        },
        "cpuinfo": {
            "cpus": state.cpus, "cores": state.cpus, "sockets": 1, "model": "Virtual processor",
            "flags": "vmx aes", "hvm": "1", "mhz": "3000.000", "user_hz": 100,
        },
        "boot-info": { "mode": "efi", "secureboot": 0 },
        "current-kernel": { "sysname": "Linux", "machine": "x86_64", "release": "6.14.8-2-pve", "version": "#1 SMP" },
    })
}

/// The clock of the node is that of this process, behind by what the builder sets.
pub(super) fn time(state: &State) -> Value {
    let now = SystemTime::now().checked_sub(state.clock_behind);
    let now = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    let seconds = now.unwrap_or_default().as_secs();
    json!({ "timezone": "UTC", "time": seconds, "localtime": seconds })
}

pub(super) fn services() -> Value {
    let names = [
        "corosync",
        "pve-cluster",
        "pvedaemon",
        "pveproxy",
        "pvestatd",
    ];
    let items = names.map(|name| {
        json!({ "service": name, "name": name, "desc": format!("{name} service"), "state": "running" })
    });
    items.into_iter().collect()
}

pub(super) fn certificates(context: &Context<'_>) -> Value {
    let fingerprint = vec!["AA"; 32].join(":");
    let node = context.param("node");
    json!([
        {
            "filename": "pve-root-ca.pem", "fingerprint": fingerprint,
            "subject": "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA",
            "issuer": "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA",
            "notbefore": 1_700_000_000, "notafter": 2_015_000_000, "san": [],
        },
        {
            "filename": "pve-ssl.pem", "fingerprint": fingerprint,
            "subject": format!("/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={node}"),
            "issuer": "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA",
            "notbefore": 1_780_000_000, "notafter": 1_843_000_000,
            "san": ["127.0.0.1", "0000:0000:0000:0000:0000:0000:0000:0001", "localhost", node],
        },
    ])
}

pub(super) fn cpu_models(state: &State) -> Value {
    let items = super::check::cpu::listed(state.contract.release());
    let items = items.map(|(name, vendor)| json!({ "name": name, "vendor": vendor, "custom": 0 }));
    items.collect()
}

pub(super) fn cpu_flags() -> Value {
    json!([
        {
            "name": "nested-virt", "supported-on": [],
            "description": "Controls nested virtualization, namely 'svm' for AMD CPUs and 'vmx' for Intel CPUs. Live migration still only works if it's the same flag on both sides. Use a CPU model similar to the host, with the same vendor, not x86-64-vX!",
        },
        {
            "name": "aes", "supported-on": [],
            "description": "Activate AES instruction set for HW acceleration.",
        },
    ])
}

pub(super) fn machines() -> Value {
    json!([
        { "id": "pc-q35-10.1", "type": "q35", "version": "10.1" },
        { "id": "pc-q35-9.2+pve1", "type": "q35", "version": "9.2+pve1" },
        { "id": "pc-i440fx-10.1", "type": "i440fx", "version": "10.1" },
    ])
}

/// All interfaces, or those of one kind. A bridge that the caller may not use is left out silently from PVE 8 on.
pub(super) fn networks(context: &Context<'_>, state: &State) -> Reply {
    let kind = context.optional("type");
    let mut items = Vec::new();
    if kind.is_none_or(|kind| kind == "eth") {
        items.push(json!({
            "iface": "eno1", "type": "eth", "method": "manual", "method6": "manual",
            "families": ["inet"], "priority": 3,
        }));
        // A card that the configuration does not name (measured on 9.2.11).
        items.extend(state.cards.iter().map(|card| {
            json!({
                "iface": card, "type": "eth", "method": "manual", "method6": "manual",
                "families": ["inet"], "active": 1, "exists": 1,
            })
        }));
    }
    if kind.is_none_or(|kind| matches!(kind, "bridge" | "any_bridge" | "any_local_bridge")) {
        let visible = state.bridges.iter().zip(4..).filter(|(bridge, _)| {
            let path = format!("/sdn/zones/localnetwork/{}", bridge.name);
            state.major() < 8 || context.caller.may(&path, &["SDN.Audit", "SDN.Use"])
        });
        items.extend(visible.map(|(bridge, priority)| {
            let mut item = shown(bridge, priority);
            item["iface"] = bridge.name.as_str().into();
            item
        }));
    }
    Ok(items.into_iter().collect())
}

pub(super) fn network(context: &Context<'_>, state: &State) -> Reply {
    let name = context.param("iface");
    let found = state
        .bridges
        .iter()
        .zip(4..)
        .find(|(bridge, _)| bridge.name == name);
    match found {
        Some((bridge, priority)) => Ok(shown(bridge, priority)),
        None => Err(Refusal::parameter("iface", "interface does not exist")),
    }
}

fn shown(bridge: &MockBridge, priority: u32) -> Value {
    let mut item = json!({
        "type": "bridge", "autostart": 1, "bridge_fd": "0", "bridge_stp": "off", "method6": "manual",
        "method": "manual", "families": ["inet"], "priority": priority,
        "bridge_ports": bridge.port.as_deref().unwrap_or_default(),
    });
    if bridge.vlan_aware {
        item["bridge_vlan_aware"] = 1.into();
        item["bridge_vids"] = "2-4094".into();
    }
    if let Some((address, prefix)) = bridge
        .address
        .as_ref()
        .and_then(|cidr| cidr.split_once('/'))
    {
        item["method"] = "static".into();
        item["address"] = address.into();
        item["netmask"] = prefix.into();
        item["cidr"] = format!("{address}/{prefix}").into();
        let network = address
            .rsplit_once('.')
            .map_or(address, |(network, _)| network);
        item["gateway"] = format!("{network}.254").into();
    }
    item
}
