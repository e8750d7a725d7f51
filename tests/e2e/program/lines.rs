//! The lines of `--json`, and the schema that describes them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::{Ended, Place};

fn schema_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lungmen.lines.schema.json")
}

fn validator() -> jsonschema::Validator {
    let text = std::fs::read_to_string(schema_file()).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Every line is an object of the schema, and its tag is one of those.
#[track_caller]
fn assert_described(ended: &Ended, tags: &[&str]) {
    let validator = validator();
    let lines = ended.lines();
    for line in &lines {
        assert!(line["event"].is_string(), "{line}");
        let problems: Vec<String> = validator
            .iter_errors(line)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(problems, [""; 0], "{line}");
    }
    for tag in tags {
        assert!(
            lines.iter().any(|line| line["event"] == *tag),
            "{tag}: {lines:#?}"
        );
    }
}

#[test]
fn the_schema_of_the_lines_is_the_one_of_the_types() {
    let place = Place::of("lungmen.yaml");

    let printed = place.run(&["schema"]).with(0).stdout();

    let checked_in = std::fs::read_to_string(schema_file()).unwrap_or_default();
    assert!(
        printed == checked_in,
        "generate it again: cargo run --example lungmen -- schema > {}",
        schema_file().display()
    );
}

#[test]
fn whatever_a_command_prints_is_described_by_the_schema() {
    let place = Place::of("lungmen.yaml");
    let run = |arguments: &[&str]| place.run(&[arguments, &["--json"]].concat());

    assert_described(
        &run(&["run", "--until", "image"]).with(0),
        &["simulated", "reached"],
    );
    let events = [
        "step-started",
        "step-finished",
        "waiting",
        "acting",
        "note",
        "complete",
    ];
    assert_described(&run(&["run"]).with(0), &events);
    assert_described(&run(&["plan"]).with(0), &["plan"]);
    assert_described(&run(&["doctor"]).with(0), &["diagnosis"]);
    assert_described(&run(&["status"]).with(0), &["status"]);
    assert_described(&run(&["logs"]).with(0), &["log"]);
    assert_described(&run(&["renew", "--everything"]).with(0), &["renewed"]);
    assert_described(&run(&["support"]).with(0), &["support"]);
    assert_described(&run(&["destroy", "--yes", "other"]).with(1), &["failed"]);
    let destroyed = run(&["destroy", "--yes", "lungmen.akn", "--despite-applications"]);
    assert_described(&destroyed.with(0), &["deleting", "destroyed"]);
    // Something else than a line is not described.
    assert!(!validator().is_valid(&serde_json::json!({ "event": "nothing" })));
    assert!(!validator().is_valid(&serde_json::json!({ "cluster": "c" })));
}

#[test]
fn a_failure_is_one_json_object_with_its_parts() {
    let place = Place::of("lungmen.yaml");

    let last = place
        .run(&["destroy", "--json", "--yes", "other"])
        .with(1)
        .last_line();

    assert_eq!(last["event"], "failed", "{last}");
    assert_eq!(last["kind"], "invalid_input", "{last}");
    assert_eq!(last["operation"], "destroy the cluster", "{last}");
    assert_eq!(last["target"], "lungmen.akn", "{last}");
    for part in ["message", "hint", "report"] {
        assert!(last[part].is_string(), "{part}: {last}");
    }
}

#[test]
fn a_wrong_command_line_is_an_object_too() {
    let place = Place::of("lungmen.yaml");

    let last = place
        .run(&["plan", "--json", "--until", "nowhere"])
        .with(1)
        .last_line();

    assert_eq!(last["event"], "failed", "{last}");
    assert_eq!(last["kind"], "usage", "{last}");
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("first-boot"), "{message}");
}

#[test]
fn a_support_file_is_private_and_has_the_events_of_the_run_but_no_secret() {
    let place = Place::of("lungmen.yaml");
    place.run(&["run"]).with(0);
    let canary = key_of(&place.file("talosconfig"));
    // Something secret that a run would never write down.
    let events = place.file("events.jsonl");
    let mut text = std::fs::read_to_string(&events).unwrap();
    assert!(text.contains("\"event\":\"step-finished\""), "{text}");
    text.push_str(&format!("{{\"event\":\"note\",\"text\":\"{canary}\"}}\n"));
    std::fs::write(&events, text).unwrap();

    place.run(&["support"]).with(0);

    let file = place.file("support.tar.gz");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let archive = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap());
    let mut whole = String::new();
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        std::io::Read::read_to_string(&mut entry, &mut whole).unwrap();
    }
    for name in [
        "run/events.jsonl",
        "run/journal",
        "plan.json",
        "machines/tal01/dmesg.log",
    ] {
        assert!(
            names.contains(&format!("support/{name}")),
            "{name}: {names:#?}"
        );
    }
    assert!(!whole.contains(&canary) && whole.contains("[redacted]"));
}

/// The private key in a talosconfig, as the file writes it.
fn key_of(talosconfig: &Path) -> String {
    let text = std::fs::read_to_string(talosconfig).unwrap();
    let mut lines = text.lines();
    let key = lines
        .find_map(|line| line.trim().strip_prefix("key: "))
        .unwrap();
    key.to_owned()
}
