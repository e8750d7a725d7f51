//! Formats of high availability, SDN, nodes and addresses of people.
//!
//! Read in pve-ha-manager, pve-network, pve-common 9.2.1 and qemu-server 9.2.6.

use super::named::{is_host_label, is_storage_id};
use super::pattern::matches;
use super::{Checked, unless};

/// Checks a value against one of these formats; `None` for another format.
pub(super) fn check(name: &str, value: &str) -> Option<Checked> {
    let looks_like = |pattern: &str, what: &str| {
        unless(matches(pattern, false, value), || {
            format!("value does not look like a valid {what}")
        })
    };
    Some(match name {
        "string" => Ok(()),
        "pve-ha-resource-id" => looks_like(r"[a-z]+:\S+", "ha resource id"),
        "pve-ha-resource-or-vm-id" => looks_like(r"([a-z]+:\S+|\d+)", "ha resource id"),
        "pve-ha-node" | "pve-ha-group-node" => {
            let node = value.split_once(':').map_or(value, |(node, _)| node);
            let priority = value[node.len()..].trim_start_matches(':');
            let digits = priority.chars().all(|c| c.is_ascii_digit());
            let ends = value.ends_with(':');
            unless(is_host_label(node) && digits && !ends, || {
                "value does not look like a valid ha node".to_owned()
            })
        }
        "pve-sdn-zone-id" => sdn_name("zone", value),
        "pve-sdn-vnet-id" => sdn_name("vnet", value),
        "pve-sdn-fabric-id" => sdn_name("fabric", value),
        "pve-sdn-bgp-rt" => looks_like(r"\d+:\d+", "BGP route target"),
        "pve-bridge-id" => unless(matches(r"[-_.\w\d]+", false, value), || {
            format!("invalid bridge ID '{value}'")
        }),
        "pve-iface" => unless(
            matches(r"[a-z][a-z0-9_]{1,20}([:\.]\d+)?", true, value),
            || format!("invalid network interface name '{value}'"),
        ),
        "mac-prefix" => unless(
            matches(r"[a-f0-9][02468ace](?::[a-f0-9]{2}){0,2}:?", true, value),
            || "value is not a valid unicast MAC address prefix".to_owned(),
        ),
        "pve-cpuset" => unless(is_cpu_set(value), || {
            "unable to parse cpuset option".to_owned()
        }),
        "storage-pair" => storage_pair(value),
        "email" => looks_like(&format!("{USER}@{DOMAIN}"), "email address"),
        "email-or-username" => looks_like(
            &format!("({USER}@{DOMAIN}|{USER})"),
            "email address or user name",
        ),
        _ => return None,
    })
}

const USER: &str = r"[\w\+\-\~]+(\.[\w\+\-\~]+)*";
const DOMAIN: &str = r"[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*";

fn sdn_name(kind: &str, value: &str) -> Checked {
    unless(matches("[a-z][a-z0-9]*[a-z0-9]", true, value), || {
        format!("{kind} ID '{value}' contains illegal characters")
    })
}

/// `0,5,8-11`.
fn is_cpu_set(value: &str) -> bool {
    value.split(',').all(|part| {
        let (from, to) = part
            .trim()
            .split_once('-')
            .unwrap_or((part.trim(), part.trim()));
        match (from.parse::<u32>(), to.parse::<u32>()) {
            (Ok(from), Ok(to)) => from <= to,
            _ => false,
        }
    })
}

/// `SOURCE:TARGET`, a target for all, or `1` for the same storage. A list is checked item by item.
fn storage_pair(value: &str) -> Checked {
    if value == "1" {
        return Ok(());
    }
    let mut storages = value.split(':');
    let well_formed = value.matches(':').count() <= 1;
    let wrong = storages.find(|storage| !is_storage_id(storage));
    match wrong {
        None if well_formed => Ok(()),
        wrong => {
            let wrong = wrong.unwrap_or(value);
            Err(format!(
                "entry '{value}' contains invalid ID - storage ID '{wrong}' contains illegal characters\n\n"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        for (format, good, bad) in [
            ("pve-ha-resource-or-vm-id", "vm:104", "vm"),
            ("pve-ha-resource-id", "vm:104", "104"),
            ("pve-ha-node", "pve-01:2", "pve-01:"),
            ("pve-sdn-zone-id", "zone1", "1zone"),
            ("pve-sdn-bgp-rt", "65000:1", "65000"),
            ("mac-prefix", "BC:24:11", "BD:24"),
            ("pve-cpuset", "0,5,8-11", "11-8"),
            ("storage-pair", "a1:b1", "a1:b1:c1"),
            ("email", "a.b@example.org", "a b@example.org"),
            ("email-or-username", "root", "@"),
            ("pve-iface", "vmbr0.5", "0eth"),
        ] {
            assert_eq!(check(format, good), Some(Ok(())), "{format} {good}");
            assert!(matches!(check(format, bad), Some(Err(_))), "{format} {bad}");
        }
        assert_eq!(check("no-format", "x"), None);
    }
}
