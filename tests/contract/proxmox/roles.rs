//! The roles of the README are what the access rules of both releases ask for: enough, and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use proxmox_client::mock::Contract;
use serde_json::Value;

use super::operation_table::operations;

const README: &str = include_str!("../../../proxmox-client/README.md");

const VM: &str = "/nodes/{node}/qemu/{vmid}";
const STORAGE: &str = "/nodes/{node}/storage/{storage}";

/// The changing calls of each group; the paths begin with `~` for a VM and `^` for a storage.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "power",
        &[
            "POST ~/status/start",
            "POST ~/status/stop",
            "POST ~/status/shutdown",
            "POST ~/status/reboot",
            "POST ~/status/reset",
            "POST ~/status/suspend",
            "POST ~/status/resume",
        ],
    ),
    (
        "create, change, delete",
        &[
            "POST /nodes/{node}/qemu",
            "DELETE ~",
            "POST ~/config",
            "PUT ~/config",
            "PUT ~/resize",
            "PUT ~/unlink",
            "POST ~/move_disk",
            "POST ~/template",
            "PUT ~/cloudinit",
        ],
    ),
    ("clone", &["POST ~/clone"]),
    (
        "storage",
        &[
            "POST ^/upload",
            "POST ^/download-url",
            "POST ^/content",
            "PUT ^/content/{volume}",
            "DELETE ^/content/{volume}",
        ],
    ),
    (
        "agent, reading",
        &[
            "POST ~/agent/ping",
            "GET ~/agent/info",
            "GET ~/agent/get-osinfo",
            "GET ~/agent/get-host-name",
            "GET ~/agent/get-fsinfo",
            "GET ~/agent/network-get-interfaces",
        ],
    ),
    (
        "agent, commands and files",
        &[
            "POST ~/agent/exec",
            "GET ~/agent/exec-status",
            "GET ~/agent/file-read",
            "POST ~/agent/file-write",
            "POST ~/agent/fsfreeze-freeze",
            "POST ~/agent/fsfreeze-thaw",
        ],
    ),
    (
        "snapshots",
        &[
            "POST ~/snapshot",
            "POST ~/snapshot/{snapname}/rollback",
            "DELETE ~/snapshot/{snapname}",
        ],
    ),
    ("migrate", &["GET ~/migrate", "POST ~/migrate"]),
    (
        "backup",
        &["POST /nodes/{node}/vzdump", "DELETE ^/prunebackups"],
    ),
    (
        "consoles and keys",
        &["POST ~/termproxy", "POST ~/vncproxy", "PUT ~/sendkey"],
    ),
    ("monitor of QEMU", &["POST ~/monitor"]),
    (
        "firewall of a VM",
        &[
            "PUT ~/firewall/options",
            "POST ~/firewall/rules",
            "PUT ~/firewall/rules/{pos}",
            "DELETE ~/firewall/rules/{pos}",
            "POST ~/firewall/ipset",
            "POST ~/firewall/ipset/{name}",
            "DELETE ~/firewall/ipset/{name}",
            "DELETE ~/firewall/ipset/{name}/{cidr}",
        ],
    ),
    ("pools", &["POST /pools", "PUT /pools", "DELETE /pools"]),
    (
        "HA",
        &[
            "POST /cluster/ha/resources",
            "PUT /cluster/ha/resources/{sid}",
            "DELETE /cluster/ha/resources/{sid}",
            "POST /cluster/ha/resources/{sid}/migrate",
            "POST /cluster/ha/resources/{sid}/relocate",
            "POST /cluster/ha/groups",
            "PUT /cluster/ha/groups/{group}",
            "DELETE /cluster/ha/groups/{group}",
        ],
    ),
    (
        "HA rules",
        &[
            "POST /cluster/ha/rules",
            "PUT /cluster/ha/rules/{rule}",
            "DELETE /cluster/ha/rules/{rule}",
        ],
    ),
    (
        "SDN",
        &[
            "POST /cluster/sdn/zones",
            "POST /cluster/sdn/vnets",
            "PUT /cluster/sdn",
        ],
    ),
    ("cluster options", &["PUT /cluster/options"]),
    (
        "access",
        &[
            "POST /access/users",
            "PUT /access/users/{userid}",
            "DELETE /access/users/{userid}",
            "POST /access/users/{userid}/token/{tokenid}",
            "PUT /access/users/{userid}/token/{tokenid}",
            "DELETE /access/users/{userid}/token/{tokenid}",
            "POST /access/roles",
            "PUT /access/roles/{roleid}",
            "DELETE /access/roles/{roleid}",
            "PUT /access/acl",
        ],
    ),
];

/// Privileges that the calls check themselves, by option, storage and bridge: read in qemu-server 9.2.6 and 8.4.10,
/// pve-manager 9.2.11 and 8.4.21. No access rule names them, or the rule is content with one of several.
const CHECKED_INSIDE: &[(&str, &[&str])] = &[
    (
        "create, change, delete",
        &[
            "VM.Config.CDROM",
            "VM.Config.CPU",
            "VM.Config.HWType",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
            "Datastore.AllocateSpace",
            "SDN.Use",
        ],
    ),
    ("clone", &["Datastore.AllocateSpace"]),
    ("backup", &["VM.Backup", "Datastore.AllocateSpace"]),
];

/// Groups that PVE 8 does not have.
const NEW_IN_NINE: &[&str] = &["HA rules"];

/// Changing calls that only `root@pam` may make.
const ROOT_ONLY: &[&str] = &["POST ^/content/{volume}"];

/// Changing calls that need no privilege of their own: the owner of a task may stop it.
const UNPRIVILEGED: &[&str] = &["DELETE /nodes/{node}/tasks/{upid}"];

type Privileges = BTreeSet<String>;

/// The rows of the README: group to the privileges of PVE 9 and of PVE 8.
fn rows() -> BTreeMap<String, [Privileges; 2]> {
    let section = README.split("\n## Roles\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let nine = privileges(cells[2]);
        let eight = match cells[3] {
            "" => nine.clone(),
            cell => privileges(cell),
        };
        (cells[1].to_owned(), [nine, eight])
    })
    .collect()
}

fn privileges(cell: &str) -> Privileges {
    let list = cell.trim_matches('`').split(',');
    list.map(str::to_owned).collect()
}

fn full(call: &str) -> (Method, String) {
    let (method, path) = call.split_once(' ').unwrap();
    let path = path.replacen('~', VM, 1).replacen('^', STORAGE, 1);
    (method.parse().unwrap(), path)
}

/// Whether a caller with these privileges everywhere may make the call.
fn allows(rule: &Value, held: &Privileges) -> bool {
    let holds = |privilege: &Value| privilege.as_str().is_some_and(|name| held.contains(name));
    match rule {
        Value::Object(fields) => fields.get("check").is_none_or(|check| allows(check, held)),
        Value::Array(parts) => {
            let listed = |at: usize| {
                parts
                    .get(at)
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default()
            };
            match parts[0].as_str().unwrap() {
                "and" => parts[1..].iter().all(|part| allows(part, held)),
                "or" => parts[1..].iter().any(|part| allows(part, held)),
                "perm" if parts.iter().any(|part| part == "any") => listed(2).iter().any(holds),
                "perm" => listed(2).iter().all(holds),
                "userid-group" => listed(1).iter().all(holds),
                "userid-param" => holds(&parts[1]),
                "perm-modify" => held.contains("Permissions.Modify"),
                other => panic!("unknown rule {other}"),
            }
        }
        other => panic!("unknown rule {other}"),
    }
}

fn refused<'a>(contract: &Contract, calls: &[&'a str], held: &Privileges) -> Vec<&'a str> {
    let is_refused = |call: &&str| {
        let (method, path) = full(call);
        let rule = contract.permissions(&method, &path);
        !allows(rule.unwrap_or_else(|| panic!("no rule for {call}")), held)
    };
    calls.iter().copied().filter(is_refused).collect()
}

#[test]
fn each_role_of_the_readme_is_enough_and_nothing_more() {
    let rows = rows();
    let names: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, GROUPS.iter().map(|(name, _)| *name).collect());

    for (name, calls) in GROUPS {
        let inside = CHECKED_INSIDE.iter().find(|(group, _)| group == name);
        let inside: &[&str] = inside.map_or(&[], |(_, privileges)| privileges);
        for (contract, held) in [Contract::pve_9(), Contract::pve_8()]
            .into_iter()
            .zip(&rows[*name])
        {
            if NEW_IN_NINE.contains(name) && held.contains("-") {
                continue;
            }
            assert_eq!(
                refused(contract, calls, held),
                [""; 0],
                "{name} with {held:?}"
            );
            for extra in inside {
                assert!(held.contains(*extra), "{name} needs {extra}");
            }
            for privilege in held.iter().filter(|held| !inside.contains(&held.as_str())) {
                let mut less = held.clone();
                less.remove(privilege);
                assert!(
                    !refused(contract, calls, &less).is_empty(),
                    "{name} does not need {privilege}"
                );
            }
        }
    }
}

#[test]
fn every_changing_call_belongs_to_a_group() {
    let grouped: BTreeSet<(Method, String)> = GROUPS
        .iter()
        .flat_map(|(_, calls)| calls.iter())
        .chain(UNPRIVILEGED)
        .chain(ROOT_ONLY)
        .map(|call| full(call))
        .collect();

    for operation in operations() {
        let (method, path, _) = operation.request;
        let method: Method = method.parse().unwrap();
        let path = path.split('?').next().unwrap_or_default();
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .unwrap();
        let (template, _) = Contract::pve_9().find(&method, &path).unwrap();
        let known =
            method == Method::GET || grouped.contains(&(method.clone(), template.to_owned()));
        assert!(known, "{}: {method} {template}", operation.name);
    }
}

#[test]
fn nobody_but_root_may_make_the_calls_without_a_rule() {
    for contract in [Contract::pve_9(), Contract::pve_8()] {
        for call in ROOT_ONLY {
            let (method, path) = full(call);
            assert!(contract.has(&method, &path), "{call}");
            assert_eq!(contract.permissions(&method, &path), None, "{call}");
        }
    }
}
