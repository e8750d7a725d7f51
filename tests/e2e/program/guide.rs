//! The commands of the guide: each is accepted by the program, and the first cluster of the guide is really built, without
//! servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, program};

const START: &str = "$ cargo run --example lungmen";

/// The pages that name commands.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = std::fs::read_dir(root.join("lungmen-bootstrap/docs")).unwrap();
    let guide = guide.map(|entry| entry.unwrap().path());
    let others = [
        "README.md",
        "lungmen-bootstrap/README.md",
        "examples/README.md",
    ];
    let all = guide.chain(others.map(|name| root.join(name)));
    let is_page = |path: &PathBuf| path.extension().is_some_and(|it| it == "md");
    all.filter(is_page)
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The arguments of every command of the program on a page, in order.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = page
        .lines()
        .filter_map(|line| line.trim().strip_prefix(START));
    lines
        .map(|line| {
            let command = line.split('#').next().unwrap_or_default().trim();
            let command = command.strip_prefix("--").unwrap_or(command);
            let words = command.split_whitespace();
            words
                .map(|word| word.trim_matches('\'').to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn every_command_of_the_guide_is_accepted() {
    let mut count = 0;
    for (path, page) in pages() {
        for arguments in commands(&page) {
            // Everything before it is read first, so a flag that does not exist is found.
            let output = Command::new(program())
                .args(&arguments)
                .arg("--help")
                .output();
            let output = output.unwrap();
            assert!(
                output.status.success(),
                "{}: {arguments:?}\n{}",
                path.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    assert!(count >= 10, "{count} commands were found");
}

#[test]
fn every_flag_that_the_guide_names_exists() {
    let help: String = [
        "run", "plan", "doctor", "status", "destroy", "scale", "renew", "logs", "support", "schema",
    ]
    .iter()
    .map(|command| {
        let output = Command::new(program())
            .args([command, "--help"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}");
        String::from_utf8(output.stdout).unwrap()
    })
    .collect();
    let mut count = 0;
    for (path, page) in pages() {
        // Inline code that starts with a flag is one of this program; `--privsep 1` is one of `pveum`.
        let codes = page.split('`').skip(1).step_by(2);
        let flags = codes.filter(|code| code.starts_with("--") && code.len() > 2);
        for flag in flags.filter(|flag| !flag.starts_with("--privsep")) {
            let name = flag.split([' ', '=']).next().unwrap();
            let is_known = help
                .split_whitespace()
                .any(|word| word.trim_end_matches([',', '.']) == name);
            assert!(is_known, "{}: {flag}", path.display());
            count += 1;
        }
    }
    assert!(count >= 8, "{count} flags were found");
}

/// The page is followed word for word, except that no server is real.
#[test]
fn the_first_cluster_of_the_guide_is_built_and_taken_down() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../lungmen-bootstrap/docs/first-cluster.md");
    let page = std::fs::read_to_string(path).unwrap();
    let start = page.find("```yaml\n").unwrap() + 8;
    let end = start + page[start..].find("```").unwrap();
    let lines = page[start..end].lines();
    let spec: String = lines
        .map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line)))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, spec).unwrap();
    let place = Place { folder, spec: file };

    let mut done = Vec::new();
    for arguments in commands(&page) {
        // The first one is about the cluster of the example.
        if !arguments.iter().any(|it| it == "cluster.yaml") {
            continue;
        }
        let mut kept = arguments.clone();
        kept.retain(|it| !["--live", "--config", "cluster.yaml"].contains(&it.as_str()));
        let words: Vec<&str> = kept.iter().map(String::as_str).collect();
        let code = if words.contains(&"plan") { 2 } else { 0 };
        place.run(&words).with(code);
        done.push(words.first().map_or("run", |it| it).to_owned());
    }
    assert_eq!(done, ["plan", "plan", "run", "destroy"]);
}
