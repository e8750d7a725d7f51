//! What a crate needs on crates.io: licences, metadata, and nothing outside its own folder.

use serde_json::Value;

const CRATES: [&str; 5] = [
    "proxmox-client",
    "talos-client",
    "factory-client",
    "argocd-client",
    "lungmen-bootstrap",
];

/// The categories of crates.io that the crates use.
const CATEGORIES: [&str; 3] = ["api-bindings", "config", "virtualization"];

fn read(path: &str) -> String {
    std::fs::read_to_string(crate::root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The value of a line `key = value` of a manifest.
fn field(manifest: &str, key: &str) -> Value {
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    let line = line.unwrap_or_else(|| panic!("no {key}"));
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{key}: {e}"))
}

#[test]
fn every_crate_carries_its_licences() {
    for name in CRATES {
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(
                read(&format!("{name}/{licence}")),
                read(licence),
                "{name}: {licence}"
            );
        }
    }
}

#[test]
fn every_crate_has_the_metadata_of_a_published_one() {
    for name in CRATES {
        let manifest = read(&format!("{name}/Cargo.toml"));
        let list =
            |key: &str| -> Vec<String> { serde_json::from_value(field(&manifest, key)).unwrap() };

        let keywords = list("keywords");
        assert!((1..=5).contains(&keywords.len()), "{name}");
        assert!(keywords.iter().all(|word| word.len() <= 20), "{name}");
        for category in list("categories") {
            assert!(
                CATEGORIES.contains(&category.as_str()),
                "{name}: {category}"
            );
        }
        assert_eq!(
            field(&manifest, "documentation"),
            format!("https://docs.rs/{name}")
        );
        assert!(manifest.contains("[package.metadata.docs.rs]"), "{name}");
        // There is no public repository yet.
        assert!(!manifest.contains("repository"), "{name}");
    }
}

#[test]
fn no_crate_reads_a_file_outside_of_its_package() {
    let outside = "CARGO_MANIFEST_DIR\"), \"/..";
    for name in CRATES {
        let depth = |path: &std::path::Path| {
            let folder = crate::root().join(name);
            path.strip_prefix(folder).unwrap().components().count() - 1
        };
        for path in crate::files(name, &[".rs", ".md"]) {
            if path.to_string_lossy().contains("/target/") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(outside), "{}", path.display());
            for line in text.lines().filter(|line| line.contains("include_str!(\"")) {
                let ups = line.matches("../").count();
                assert!(
                    ups <= depth(&path),
                    "{}: {line} leaves the package",
                    path.display()
                );
            }
        }
    }
}
