//! What ends the program from outside.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Place;

#[test]
fn every_signal_ends_a_run_with_its_code_and_an_interrupted_line() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let place = Place::of("lungmen.yaml");
        let page = place.file("page.html");
        let mut child = place
            .command(&["run", "--json"])
            .arg("--report")
            .arg(&page)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The run has begun, and at the pace of a demo it is far from its end.
        for _ in 0..5 {
            lines.next().unwrap().unwrap();
        }

        let pid = child.id().to_string();
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();

        assert!(killed.unwrap().success());
        let last = lines.last().unwrap().unwrap();
        let last: Value = serde_json::from_str(&last).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(last["event"], "interrupted", "{signal}, {status}: {last}");
        assert_eq!(last["signal"], format!("SIG{signal}"), "{last}");
        assert_eq!(status.code(), Some(code), "{signal}");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(&format!("interrupted by SIG{signal}")));
        // What it had begun is finished by the next one.
        place.run(&["run"]).with(0);
    }
}

#[test]
fn a_log_shows_that_a_run_lives_while_nothing_changes() {
    let place = Place::of("lungmen.yaml");
    let mut child = place
        .command(&["run", "--heartbeat", "1"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();

    // The same step or machine is told again with another time.
    let mut seen = std::collections::BTreeMap::<String, String>::new();
    let repeated = lines.map(Result::unwrap).find(|line| {
        let Some((place, rest)) = line.trim_start_matches("  … ").split_once(" s: ") else {
            return false;
        };
        let (place, seconds) = place.rsplit_once(' ').unwrap_or((place, ""));
        let before = seen.insert(format!("{place}: {rest}"), seconds.to_owned());
        line.starts_with("  … ") && before.is_some_and(|before| before != seconds)
    });

    child.kill().unwrap();
    child.wait().unwrap();
    let line = repeated.unwrap();
    assert!(line.chars().count() < 200, "{line}");
}

#[test]
fn a_reader_that_goes_away_does_not_end_a_run() {
    let place = Place::of("lungmen.yaml");
    let mut child = place
        .command(&["run", "--fast"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    drop(child.stdout.take());
    drop(child.stderr.take());

    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.run(&["plan"]).with(0);
}
