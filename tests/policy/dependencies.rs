//! The clients stay independent of each other.

use std::collections::BTreeSet;

const CLIENTS: [&str; 4] = [
    "proxmox-client",
    "talos-client",
    "factory-client",
    "argocd-client",
];

/// The names in the `[dependencies]` and `[build-dependencies]` tables of a manifest.
fn dependencies(package: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(crate::root().join(package).join("Cargo.toml")).unwrap();
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[build-dependencies]";
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            if !name.is_empty() {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn no_client_depends_on_a_crate_of_the_workspace() {
    for client in CLIENTS {
        let dependencies = dependencies(client);

        assert!(
            !dependencies.is_empty(),
            "{client}: the manifest was not read"
        );
        for other in CLIENTS.iter().chain(["lungmen-bootstrap"].iter()) {
            assert!(
                !dependencies.contains(*other),
                "{client} depends on {other}"
            );
        }
    }
}

#[test]
fn only_the_bootstrap_depends_on_kube() {
    for client in CLIENTS {
        assert!(!dependencies(client).contains("kube"), "{client}");
    }
    assert!(dependencies("lungmen-bootstrap").contains("kube"));
}

#[test]
fn examples_and_tests_have_dev_dependencies_only() {
    // Under [dependencies] the mock features would be switched on in every build of the workspace.
    for package in ["examples", "tests"] {
        assert!(dependencies(package).is_empty(), "{package}");
    }
}
