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

#[test]
fn the_files_that_the_contributing_page_names_exist() {
    let text = std::fs::read_to_string(crate::root().join("CONTRIBUTING.md")).unwrap();
    let paths: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') && !word.starts_with("src/") && !word.contains(' '))
        .collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(crate::root().join(path).exists(), "{path}");
    }
}

#[test]
fn the_program_of_the_readme_is_the_compiled_one() {
    let program = |path: &str| {
        let text = std::fs::read_to_string(crate::root().join(path)).unwrap();
        let (_, rest) = text.split_once("```rust\n").unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };

    // The README of the crate is a documentation test.
    assert_eq!(program("README.md"), program("lungmen-bootstrap/README.md"));
}

/// Words that the project does not use, and the standard term for each.
const REPLACED: [(&str, &str); 13] = [
    ("mend", "fix, correct"),
    ("mended", "fixed, corrected"),
    ("anew", "again"),
    ("whom", "name the subject"),
    ("told", "receives, is given, reports"),
    ("shall", "must, will"),
    ("blueprint", "desired state"),
    ("patience", "deadline"),
    ("PublicRoots", "SystemRoots"),
    ("FirstContact", "TrustOnFirstUse"),
    ("perform_if_wanted", "run_if_enabled"),
    ("NotWanted", "Skipped"),
    ("converge", "reconcile"),
];

#[test]
fn documentation_and_code_use_the_standard_terms() {
    let mut found = Vec::new();
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let pages = pages.into_iter().map(|name| crate::root().join(name));
    let files = FOLDERS.into_iter().chain(["examples"]);
    let files = files.flat_map(|folder| crate::files(folder, &[".rs", ".md"]));
    for path in pages.chain(files) {
        // Generated code has the words of its source.
        if path.to_string_lossy().contains("/api/pb/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words {
                let term = REPLACED
                    .iter()
                    .find(|(replaced, _)| replaced.eq_ignore_ascii_case(word));
                if let Some((_, better)) = term {
                    found.push(format!(
                        "{}:{}: {word} ({better})",
                        path.display(),
                        index + 1
                    ));
                }
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn every_step_is_in_the_tables_of_the_readme_and_of_the_architecture() {
    let read = |path: &str| std::fs::read_to_string(crate::root().join(path)).unwrap();
    let (readme, architecture) = (read("lungmen-bootstrap/README.md"), read("ARCHITECTURE.md"));
    for step in lungmen_bootstrap::StepId::ALL {
        assert!(readme.contains(&format!("\n| `{step}` |")), "{step}");
        assert!(architecture.contains(&format!("\n| {step} |")), "{step}");
    }
}

#[test]
fn hints_are_sentences() {
    let hint = r#"with_hint\(\s*(?:&?format!\(\s*)?"((?:[^"\\]|\\[\s\S])*)""#;
    let hint = regex::Regex::new(hint).unwrap();
    let mut hints = 0;
    let mut found = Vec::new();
    for path in FOLDERS
        .into_iter()
        .flat_map(|folder| crate::files(folder, &[".rs"]))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        for text in hint
            .captures_iter(&text)
            .map(|hint| hint.get(1).unwrap().as_str())
        {
            hints += 1;
            let begins = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '`' || c == '{');
            if !begins || !text.ends_with(['.', '}']) {
                found.push(format!("{}: {text}", path.display()));
            }
        }
    }
    assert!(hints > 30, "the test no longer finds the hints");
    assert_eq!(found, [""; 0]);
}
