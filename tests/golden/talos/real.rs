//! What five releases of the reference answer.
//!
//! `tests/data/talos/real/cases.json` holds reduced configurations and patches that people publish, `differential.json` texts
//! that a generator made of the fields of each release: one record for each input with the answers by release. The digest of a
//! result is the SHA-256 of its documents as JSON with sorted keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use talos_client::config::{ConfigPatch, MachineConfig, Mode, TalosVersion, ValidationOptions};

use super::digest::digest;

const PUBLISHED: &str = include_str!("../../data/talos/real/cases.json");
const DIFFERENTIAL: &str = include_str!("../../data/talos/real/differential.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    class: String,
    mode: String,
    base: String,
    /// Nothing when the text is only loaded and validated.
    patches: Option<Vec<String>>,
    results: BTreeMap<String, Answer>,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Answer {
    outcome: String,
    text: String,
    warnings: Vec<String>,
    sha: Option<String>,
}

impl Answer {
    fn refusal(outcome: &str, text: &str) -> Self {
        Self {
            outcome: outcome.to_owned(),
            text: text.trim_end().to_owned(),
            ..Self::default()
        }
    }
}

impl Case {
    fn base(&self, release: &str) -> String {
        match self.base.as_str() {
            "controlplane" | "worker" => {
                let contract = release.split('.').take(2).collect::<Vec<_>>().join(".");
                let file = format!("default.{release}.{contract}.{}.yaml", self.base);
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/talos/generate/");
                std::fs::read_to_string(format!("{folder}{file}")).unwrap()
            }
            text => text.to_owned(),
        }
    }

    fn answer(&self, release: &str) -> Answer {
        let version = TalosVersion::parse(release).unwrap();
        let mut text = self.base(release);
        let mut sha = None;
        if let Some(patches) = &self.patches {
            let patches: Vec<ConfigPatch> = patches
                .iter()
                .map(|text| ConfigPatch::new(text.as_str()))
                .collect();
            let unreadable = patches.iter().find_map(|patch| patch.check(&version).err());
            if let Some(error) = unreadable {
                return Answer::refusal("refused-patch", error.message());
            }
            let base = match MachineConfig::load(&text, &version) {
                Ok(base) => base,
                Err(error) => return Answer::refusal("refused-load", error.message()),
            };
            match base.patched(&patches, &version) {
                Ok(patched) => text = patched.to_yaml().expose_secret().to_owned(),
                Err(error) => return Answer::refusal("refused-patch", error.message()),
            }
            sha = Some(digest(&text));
        }
        let config = match MachineConfig::load(&text, &version) {
            Ok(config) => config,
            Err(error) => return Answer::refusal("refused-load", error.message()),
        };
        let mode: Mode = self.mode.parse().unwrap();
        let validation = config.validate(&ValidationOptions::new(mode, &version));
        let warnings = validation
            .warnings()
            .map(|found| found.message.clone())
            .collect();
        let (outcome, text) = match validation.into_result() {
            Ok(_) => ("valid", String::new()),
            Err(error) => ("invalid", error.message().trim_end().to_owned()),
        };
        Answer {
            outcome: outcome.to_owned(),
            text,
            warnings,
            sha,
        }
    }
}

/// What differs, in one line; nothing when the reference answers the same.
fn difference(case: &Case, release: &str, expected: &Answer) -> Option<String> {
    let answer = case.answer(release);
    // A crash of the reference is an error of ours.
    if expected.outcome == "panic" && answer.outcome.starts_with("refused") {
        return None;
    }
    let what = if answer.outcome != expected.outcome {
        "outcome"
    } else if expected.sha.is_some() && answer.sha != expected.sha {
        "documents"
    } else if answer.text != expected.text.trim_end() {
        "text"
    } else if answer.warnings != expected.warnings {
        "warnings"
    } else {
        return None;
    };
    Some(format!(
        "{} ({release}): {what}\n  expected {expected:?}\n  answered {answer:?}",
        case.name
    ))
}

#[test]
fn published_inputs_get_the_answers_of_the_reference() {
    compare(PUBLISHED);
}

#[test]
fn generated_inputs_get_the_answers_of_the_reference() {
    compare(DIFFERENTIAL);
}

/// Prints how many agree in each class, and fails with all differences.
#[allow(
    clippy::print_stdout,
    reason = "the agreement of each class is the result"
)]
fn compare(records: &str) {
    let cases: Vec<Case> = serde_json::from_str(records).unwrap();
    let mut agreeing: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut differences = Vec::new();

    for case in &cases {
        for (release, expected) in &case.results {
            let found = difference(case, release, expected);
            let (agreed, all) = agreeing.entry(&case.class).or_default();
            *agreed += usize::from(found.is_none());
            *all += 1;
            differences.extend(found);
        }
    }

    let mut report = String::new();
    for (class, (agreed, all)) in &agreeing {
        writeln!(report, "{class}: {agreed} of {all} agree").unwrap();
    }
    println!("{report}");
    assert!(
        differences.is_empty(),
        "{} differences\n{}\n{report}",
        differences.len(),
        differences.join("\n")
    );
}
