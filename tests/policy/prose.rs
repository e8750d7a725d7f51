//! What the documentation promises about itself.

const FOLDERS: [&str; 5] = [
    "proxmox-client",
    "talos-client",
    "factory-client",
    "argocd-client",
    "lungmen-bootstrap",
];

#[test]
fn rust_in_documentation_is_compiled() {
    for folder in FOLDERS {
        for path in crate::files(folder, &[".rs", ".md"]) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (index, line) in text.lines().enumerate() {
                let fence = line.trim_start_matches(['/', '!', ' ']);
                assert!(
                    !fence.starts_with("```ignore") && !fence.starts_with("```rust,ignore"),
                    "{}:{}: an example that is not compiled rots",
                    path.display(),
                    index + 1
                );
            }
        }
    }
}

#[test]
fn no_test_is_switched_off_without_a_reason() {
    let folders = FOLDERS.into_iter().chain(["tests", "examples"]);
    for path in folders.flat_map(|folder| crate::files(folder, &[".rs"])) {
        let text = std::fs::read_to_string(&path).unwrap();
        let switched_off = format!("#[{}]", "ignore");
        assert!(!text.contains(&switched_off), "{}", path.display());
    }
}
