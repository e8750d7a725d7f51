//! How a recorded answer and one of the mock are compared.

use serde_json::Value;

/// Values that differ from run to run, or that describe the machine: only their presence is compared.
const VOLATILE: &[&str] = &[
    "boot-info",
    "cpuinfo",
    "current-kernel",
    "kversion",
    "loadavg",
    "pveversion",
    "rootfs",
    "swap",
    "CSRFPreventionToken",
    "address",
    "avail",
    "balloon",
    "cap",
    "cidr",
    "comment",
    "cpu",
    "cpus",
    "ctime",
    "description",
    "digest",
    "disk",
    "diskread",
    "diskwrite",
    "endtime",
    "free",
    "gateway",
    "ip",
    "level",
    "maxcpu",
    "maxdisk",
    "maxmem",
    "mem",
    "meta",
    "netin",
    "netmask",
    "netout",
    "node_id",
    "path",
    "pid",
    "priority",
    "pstart",
    "repoid",
    "running-machine",
    "running-qemu",
    "snaptime",
    "ssl_fingerprint",
    "starttime",
    "ticket",
    "total",
    "upid",
    "uptime",
    "used",
    "used_fraction",
    "value_of_token",
    "vmgenid",
];

/// Fields of a running process or of the host's statistics that a mock without a machine does not have.
const OF_A_MACHINE: &[&str] = &[
    "ballooninfo",
    "blockstat",
    "memhost",
    "nics",
    "pid",
    "pressurecpufull",
    "pressurecpusome",
    "pressureiofull",
    "pressureiosome",
    "pressurememoryfull",
    "pressurememorysome",
    "proxmox-support",
    "saved",
    "tokenid",
    "families",
    "method6",
    "format",
    "fixed",
    "exists",
];

/// Fields by which items of two lists are matched.
const KEYS: &[&str] = &[
    "volid",
    "key",
    "upid",
    "iface",
    "userid",
    "roleid",
    "poolid",
    "realm",
    "subdir",
    "id",
    "storage",
    "node",
    "name",
    "path",
    "tokenid",
    "vmid",
    "n",
    "ip-address",
];

/// Where the mock's value differs from the recorded one; `None` when they agree.
pub(super) fn difference(at: &str, real: &Value, ours: &Value, truncated: bool) -> Option<String> {
    match (real, ours) {
        (Value::Object(real), Value::Object(_))
            if real
                .get("key")
                .and_then(Value::as_str)
                .is_some_and(|key| VOLATILE.contains(&key)) =>
        {
            None
        }
        (Value::Object(real), Value::Object(ours)) => real.iter().find_map(|(key, value)| {
            let inner = format!("{at}.{key}");
            match ours.get(key) {
                None if OF_A_MACHINE.contains(&key.as_str()) || value.is_null() => None,
                None => Some(format!("{inner} is missing")),
                Some(_) if VOLATILE.contains(&key.as_str()) => None,
                Some(known) => difference(&inner, value, known, truncated),
            }
        }),
        (Value::Array(real), Value::Array(ours)) => list(at, real, ours, truncated),
        (real, ours) if text(real) == text(ours) => None,
        (real, ours) => Some(format!("{at} is {ours}, not {real}")),
    }
}

fn list(at: &str, real: &[Value], ours: &[Value], truncated: bool) -> Option<String> {
    if !truncated && real.len() != ours.len() {
        return Some(format!("{at} has {} items, not {}", ours.len(), real.len()));
    }
    real.iter().enumerate().find_map(|(index, item)| {
        let key = KEYS.iter().find(|key| item.get(**key).is_some());
        let same = |known: &&Value| match key {
            Some(key) => known.get(*key).map(text) == item.get(*key).map(text),
            None => text(known) == text(item),
        };
        match ours.iter().find(same) {
            Some(known) => difference(&format!("{at}[{index}]"), item, known, truncated),
            None => Some(format!("{at} has no item like {item}")),
        }
    })
}

/// Numbers and their texts are the same; generated addresses are equal.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut text = text;
    if let Some(at) = text.find("BC:24:11:") {
        text.replace_range(at..(at + 17).min(text.len()), "BC:24:11:??:??:??");
    }
    // An identity that the server drew; the one of the recording's own request stays.
    if text.starts_with("uuid=") && !text.contains("11111111-") {
        return "uuid=drawn".to_owned();
    }
    // The time at which wget began.
    if text.starts_with("--20")
        && let Some((_, url)) = text.split_once("--  ")
    {
        return format!("--began--  {url}");
    }
    // A temporary name has the number of a process.
    if let Some((before, after)) = text.split_once(".tmp_dwnl.") {
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{before}.tmp_dwnl{after}");
    }
    // The order of a plain list has no meaning.
    if text.contains(',') && !text.contains(['=', ' ', ':']) {
        let mut items: Vec<&str> = text.split(',').collect();
        items.sort_unstable();
        return items.join(",");
    }
    text
}
