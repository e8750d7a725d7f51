//! Verdicts of the reference validator: `tests/data/talos/validate` holds base files, edits and what v1.10.7, v1.11.6,
//! v1.12.11, v1.13.9 and v1.14.0-rc.1 answered.

use std::collections::BTreeMap;

use serde::Deserialize;
use talos_client::config::{MachineConfig, Mode, TalosVersion, ValidationOptions};

use super::validate_input::Input;

const CASES: &str = include_str!("../../data/talos/validate/cases.json");

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) mode: String,
    pub(super) strict: bool,
    #[serde(flatten)]
    pub(super) input: Input,
    pub(super) results: BTreeMap<String, Answer>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Answer {
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<String>,
}

pub(super) fn cases() -> Vec<Case> {
    serde_json::from_str(CASES).unwrap()
}

impl Case {
    fn answer(&self, version: &str) -> Answer {
        let version = TalosVersion::parse(version).unwrap();
        let mode: Mode = self.mode.parse().unwrap();
        let mut options = ValidationOptions::new(mode, &version);
        if self.strict {
            options = options.strict();
        }
        let validation = match MachineConfig::load(&self.input.text(), &version) {
            Ok(config) => config.validate(&options),
            Err(error) => {
                return Answer {
                    warnings: Vec::new(),
                    error: Some(error.message().to_owned()),
                };
            }
        };
        Answer {
            warnings: validation
                .warnings()
                .map(|found| found.message.clone())
                .collect(),
            error: validation
                .into_result()
                .err()
                .map(|error| error.message().trim_end().to_owned()),
        }
    }
}

#[test]
fn every_verdict_and_text_is_that_of_the_reference() {
    let cases = cases();
    let mut differences = Vec::new();

    for case in &cases {
        for (version, expected) in &case.results {
            let answer = case.answer(version);
            if answer != *expected {
                differences.push(format!(
                    "{} ({version}):\n  expected {expected:?}\n  answered {answer:?}",
                    case.name
                ));
            }
        }
    }

    assert!(
        differences.is_empty(),
        "{} of {} cases differ\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}
