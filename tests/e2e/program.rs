//! The program `lungmen` as a process: how it ends on a signal and on a failure, for programs that read its lines.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program. `cargo test` builds it beside the tests; a test does not run cargo itself.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/lungmen");
    assert!(
        program.exists(),
        "{} is not built: run `cargo test`, or `cargo build --example lungmen` first",
        program.display()
    );
    program
}

#[test]
fn a_terminated_run_ends_with_143_and_an_interrupted_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(program())
        .args(["run", "--json", "--output"])
        .arg(folder.path())
        .arg("--config")
        .arg(crate::support::spec_file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The run has begun, and at the pace of a demo it is far from its end.
    for _ in 0..5 {
        lines.next().unwrap().unwrap();
    }

    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status();

    assert!(killed.unwrap().success());
    let last = lines.last().unwrap().unwrap();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["event"], "interrupted", "{last}");
    assert_eq!(last["signal"], "SIGTERM", "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_failure_is_one_json_object_with_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program())
        .args(["destroy", "--json", "--fast", "--yes", "other", "--output"])
        .arg(folder.path())
        .arg("--config")
        .arg(crate::support::spec_file())
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "failed", "{last}");
    assert_eq!(last["kind"], "invalid_input", "{last}");
    assert_eq!(last["operation"], "destroy the cluster", "{last}");
    assert_eq!(last["target"], "lungmen.akn", "{last}");
    for part in ["message", "hint", "report"] {
        assert!(last[part].is_string(), "{part}: {last}");
    }
}
