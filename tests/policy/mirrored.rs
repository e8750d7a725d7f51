//! Files that stand in several crates, because no client depends on another crate, are the same text in all of them.

use std::path::PathBuf;

/// Marks the only lines that may differ: the path of the crate's own error.
const OWN_PATH: &str = "// mirror: own path";

/// Crates, by the folder that holds the mirrored files, that have each file.
const MIRRORED: [(&str, &[&str]); 4] = [
    (
        "poll.rs",
        &[
            "proxmox-client/src",
            "factory-client/src",
            "argocd-client/src",
            "talos-client/src",
            "lungmen-bootstrap/src/services",
        ],
    ),
    (
        "retry.rs",
        &[
            "proxmox-client/src",
            "factory-client/src",
            "argocd-client/src",
            "talos-client/src",
            "lungmen-bootstrap/src/services",
        ],
    ),
    (
        "tls.rs",
        &[
            "proxmox-client/src",
            "factory-client/src",
            "argocd-client/src",
            "lungmen-bootstrap/src/services",
        ],
    ),
    (
        "fault.rs",
        &[
            "proxmox-client/src/mock",
            "factory-client/src/mock",
            "argocd-client/src/mock",
            "lungmen-bootstrap/src/mock/serve",
        ],
    ),
];

/// The text of a file without the lines that may differ.
fn common_text(path: &PathBuf) -> String {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().map(|line| {
        if line.ends_with(OWN_PATH) {
            OWN_PATH
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn mirrored_files_are_the_same_in_every_crate() {
    for (name, folders) in MIRRORED {
        let paths: Vec<PathBuf> = folders
            .iter()
            .map(|folder| crate::root().join(folder).join(name))
            .collect();
        let expected = common_text(&paths[0]);
        assert!(expected.contains("Mirrored: "), "{name}: not marked");
        for path in &paths[1..] {
            let first_difference = common_text(path)
                .lines()
                .zip(expected.lines())
                .position(|(found, expected)| found != expected);
            assert!(
                common_text(path) == expected,
                "{} differs from {} (line {:?})",
                path.display(),
                paths[0].display(),
                first_difference.map(|index| index + 1)
            );
        }
    }
}

#[test]
fn every_file_that_calls_itself_mirrored_is_compared() {
    for folder in [
        "proxmox-client/src",
        "talos-client/src",
        "factory-client/src",
        "argocd-client/src",
        "lungmen-bootstrap/src",
    ] {
        for path in crate::files(folder, &[".rs"]) {
            let text = std::fs::read_to_string(&path).unwrap();
            if !text
                .lines()
                .take(4)
                .any(|line| line.starts_with("//! Mirrored: "))
            {
                continue;
            }
            let is_listed = MIRRORED.iter().any(|(name, folders)| {
                folders
                    .iter()
                    .any(|folder| path == crate::root().join(folder).join(name))
            });
            assert!(is_listed, "{} is in no list", path.display());
        }
    }
}
