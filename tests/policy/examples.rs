//! Cargo ignores an example that its manifest does not list; we do not.

use std::collections::BTreeSet;

#[test]
fn every_example_is_listed_in_the_manifest_and_in_the_readme() {
    let folder = crate::root().join("examples");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let listed: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \""))
        .map(|rest| rest.trim_end_matches('"').to_owned())
        .collect();

    let present: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs"))
        .collect();

    let top_level: BTreeSet<String> = listed
        .iter()
        .filter(|path| !path.contains('/'))
        .cloned()
        .collect();
    assert_eq!(top_level, present);
    // The unit tests of a program are no program.
    for path in listed.iter().filter(|path| !path.ends_with("/tests.rs")) {
        let name = path.trim_end_matches(".rs").trim_end_matches("/main");
        assert!(
            readme.contains(&format!("`{name}`")),
            "{name} is not in examples/README.md"
        );
    }
}
