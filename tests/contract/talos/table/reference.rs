//! The calls compared with the methods of the reference, and with the table of operations in the README.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::cases;

/// Methods that no typed call makes, with the reason.
const NOT_CALLED: [(&str, &str); 10] = [
    (
        "/machine.MachineService/GenerateConfiguration",
        "deprecated in v1.12 and gone in v1.13; the module `config` generates without a node",
    ),
    ("/cosi.resource.State/Create", "nodes deny every write"),
    ("/cosi.resource.State/Update", "nodes deny every write"),
    ("/cosi.resource.State/Destroy", "nodes deny every write"),
    ("/cosi.resource.State/Teardown", "nodes deny every write"),
    (
        "/cosi.resource.State/TeardownAndDestroy",
        "nodes deny every write",
    ),
    (
        "/securityapi.SecurityService/Certificate",
        "served by trustd for workers, with the token of machines",
    ),
    (
        "/signerapi.SignerService/GetCertificate",
        "part of the tools that build Talos; no node serves it",
    ),
    (
        "/signerapi.SignerService/GetPublicKey",
        "part of the tools that build Talos; no node serves it",
    ),
    (
        "/signerapi.SignerService/Sign",
        "part of the tools that build Talos; no node serves it",
    ),
];

/// Every method of the reference, with the first minor release that has it and the first one that does not have it any more.
#[derive(Debug, Deserialize)]
struct Method {
    since: u64,
    until: Option<u64>,
}

fn methods() -> BTreeMap<String, Method> {
    serde_json::from_str(include_str!("../../../data/talos-api/methods.json")).unwrap()
}

#[test]
fn every_method_of_every_release_has_a_typed_call() {
    let methods = methods();
    let cases = cases::cases();
    let called: BTreeMap<&str, u64> = cases.iter().map(|case| (case.path, case.since)).collect();
    let excepted: BTreeSet<&str> = NOT_CALLED.iter().map(|(path, _)| *path).collect();
    assert!(methods.len() > 80, "only {} methods", methods.len());

    for (path, method) in &methods {
        match called.get(path.as_str()) {
            Some(since) => {
                assert_eq!(
                    *since, method.since,
                    "{path} is there since another release"
                );
                assert_eq!(method.until, None, "{path} is gone in a later release");
                assert!(!excepted.contains(path.as_str()), "{path} has a call");
            }
            None => assert!(excepted.contains(path.as_str()), "{path} has no typed call"),
        }
    }
    for path in called.keys().chain(&excepted) {
        assert!(methods.contains_key(*path), "no release has {path}");
    }
}

/// The rows of the table of operations: calls, methods, roles, releases.
fn rows() -> Vec<[String; 5]> {
    let readme = include_str!("../../../../talos-client/README.md");
    let (_, table) = readme.split_once("| call | `talosctl` |").unwrap();
    let table = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    table
        .map(|line| {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            cells
                .try_into()
                .unwrap_or_else(|_| panic!("cells of {line}"))
        })
        .collect()
}

/// The parts of a cell, for a row whose calls differ.
fn parts(cell: &str) -> Vec<&str> {
    cell.split(';').map(str::trim).collect()
}

#[test]
fn the_table_of_operations_names_every_call_with_its_method_role_and_release() {
    let rows = rows();
    for case in cases::cases() {
        let quoted = format!("`{}`", case.call);
        let member = format!("::{}`", case.call);
        let of_table = |name: &str| rows.iter().find(|row| row[0].contains(name));
        let row = of_table(&quoted)
            .or_else(|| of_table(&member))
            .unwrap_or_else(|| panic!("README.md has no row for {}", case.call));
        let [calls, _, methods, roles, releases] = row;
        let calls = parts(calls);
        let at = calls
            .iter()
            .position(|calls| calls.contains(&quoted) || calls.contains(&member))
            .unwrap();
        // A cell has one part for all calls of the row, or one for each of theirs.
        let of = |cell: &str| {
            let parts = parts(cell);
            parts[if parts.len() == calls.len() { at } else { 0 }].to_owned()
        };
        let (_, method) = case.path.rsplit_once('/').unwrap();
        assert!(
            of(methods).contains(&format!("`{method}`"))
                || of(methods).contains(&format!("/{method}`")),
            "{}: {methods}",
            case.call
        );
        for letter in case.roles.chars() {
            assert!(of(roles).contains(letter), "{}: {roles}", case.call);
        }
        let release = format!("v1.{}", case.since);
        assert!(
            case.since == 10 || of(releases).contains(&release),
            "{} since {release}: {releases}",
            case.call
        );
    }
}
